import { expected } from "@parapet/core";
import { ancestorsOf, artefactOf, type IndexedRun, modelsOut } from "../index-run.ts";
import type { Activity, Artefact } from "../run.ts";

/** What people say of a model, and no run can know. All of it is optional. */
export interface ModelFacts {
  readonly description?: string;
  readonly version?: string;
  readonly approach?: "supervised" | "unsupervised" | "reinforcement-learning" | "semi-supervised" | "self-supervised";
  /** Such as "classification of handwritten digits". */
  readonly task?: string;
  /** Such as "convolutional network". */
  readonly architectureFamily?: string;
  readonly architecture?: string;
  /** What goes in and comes out, such as "float32 [n, 28, 28]". */
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
  readonly users?: readonly string[];
  readonly uses?: readonly string[];
  /** What it is not to be used for. */
  readonly misuses?: readonly string[];
  readonly limitations?: readonly string[];
  readonly tradeoffs?: readonly string[];
  /** Risks, and what is done about them. */
  readonly risks?: readonly { readonly name: string; readonly mitigation?: string }[];
}

/** A figure, and on what it was measured. */
export interface Measured {
  readonly name: string;
  readonly value: number;
  readonly step: Activity;
  /** Names of the datasets. */
  readonly on: readonly string[];
}

/** How a model came about, by its run. */
export interface ModelStory {
  readonly model: Artefact;
  /** Models that it was made from directly: base, teacher, unquantised. */
  readonly parents: readonly Artefact[];
  /** All steps that led to it, in the order of the run. */
  readonly steps: readonly Activity[];
  /** Datasets that steps used which made the model or one of its ancestors. */
  readonly trainingData: readonly Artefact[];
  /** Datasets that steps used which measured this model. */
  readonly testData: readonly Artefact[];
  /** By steps that used the model, or what it was exported from, and made no other one. */
  readonly measured: readonly Measured[];
}

/**
 * The story of one model; without an id, of the only one that came out. Throws RangeError. With `reach` "direct" only the steps
 * that made it count, not those before: so that the stories of all models of a run do not take the square of its length.
 */
export function modelStory(index: IndexedRun, id?: string, reach: "whole" | "direct" = "whole"): ModelStory {
  const model = id === undefined ? onlyModel(index) : artefactOf(index, id, "model");
  if (model.kind !== "model") throw new RangeError(expected("model", "the id of a model", model.id));
  const { run, makers, users, artefacts } = index;
  const line = reach === "direct" ? [model] : [model, ...ancestorsOf(index, model.id)];
  const leading = new Set(line.flatMap((one) => makers.get(one.id) ?? []));
  const steps = reach === "direct" ? [...leading] : run.activities.filter((activity) => leading.has(activity));
  const used = (activities: readonly Activity[], kind: Artefact["kind"]): readonly Artefact[] => {
    const ids = new Set(activities.flatMap((activity) => activity.used.map((use) => use.artefact)));
    return [...ids].map((one) => artefacts.get(one)!).filter((one) => one.kind === kind);
  };
  const makesModel = ({ made }: Activity) => made.some(({ artefact }) => artefacts.get(artefact)!.kind === "model");
  // Exporting changes no answer: what was measured of the exported model counts.
  const same = new Set([model.id]);
  for (const one of same) {
    for (const { kind, used: before } of makers.get(one) ?? [])
      if (kind === "export")
        for (const { artefact } of before) if (artefacts.get(artefact)!.kind === "model") same.add(artefact);
  }
  const measuring = [...new Set([...same].flatMap((one) => users.get(one) ?? []))].filter(
    (activity) => !makesModel(activity),
  );
  const measured = measuring.flatMap((step) => {
    const on = used([step], "dataset").map(({ name }) => name);
    return Object.entries(step.metrics).map(([name, value]) => ({ name, value, step, on }));
  });
  return {
    model,
    parents: used(makers.get(model.id) ?? [], "model").filter((parent) => parent !== model),
    steps,
    trainingData: used(steps.filter(makesModel), "dataset"),
    testData: used(measuring, "dataset"),
    measured,
  };
}

function onlyModel(index: IndexedRun): Artefact {
  const models = modelsOut(index);
  if (models.length === 1) return models[0]!;
  throw new RangeError(expected("model", "the id of one of the models that came out", `none, of ${models.length}`));
}
