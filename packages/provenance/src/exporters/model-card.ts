import type { Json } from "@parapet/attestation";
import type { DatasetManifest } from "../datasets/manifest.ts";
import { indexRun } from "../index-run.ts";
import type { Artefact, Run } from "../run.ts";
import { type Section, sectionsToHtml, sectionsToMarkdown } from "./model-card-text.ts";
import { type ModelFacts, type ModelStory, modelStory } from "./model-story.ts";
import { endOf, manifestsById, textOf, utc } from "./shared.ts";

/** What `modelCard` may be told. */
export interface ModelCardOptions {
  /** The id of the model. By default the one that came out. */
  readonly model?: string;
  readonly card?: ModelFacts;
  /** Manifests of the run's datasets, for consent and personal data. */
  readonly datasets?: readonly DatasetManifest[];
}

/** The same card, for two readers. */
export interface ModelCard {
  readonly markdown: string;
  /** A whole page that loads nothing and runs nothing. */
  readonly html: string;
}

/**
 * A model card: what the model is, how it came about, on what it was trained and measured, what it is for and what not. What
 * nobody said is left out, not made up.
 *
 * What it leaves out of a run: steps that did not lead to the model and did not measure it, which records a step saw, notes.
 *
 * @param run - done or not
 * @param options - which model; what people say of it; manifests of datasets
 * @returns Markdown (of GitHub's flavour) and HTML, all names in it as text
 * @throws RangeError when several models came out and none is chosen, or the run is not consistent
 *
 * @example
 * ```ts
 * import { modelCard, type Run } from "@parapet/provenance";
 * const model = `sha256:${"b".repeat(64)}`;
 * const run: Run = {
 *   schema: "urn:parapet:evidence:lineage:v1", id: "00000000-0000-4000-8000-000000000001", name: "digits",
 *   started: "2026-03-01T09:00:00Z", status: "done", code: {},
 *   environment: { runtime: "node 20.20.2", platform: "linux x64", packages: {}, variables: {} },
 *   artefacts: [{ id: model, kind: "model", name: "digits" }],
 *   activities: [{
 *     id: "train", kind: "train", name: "Train", started: "2026-03-01T09:00:00Z", status: "done", parameters: {}, seeds: {},
 *     metrics: {}, used: [], made: [{ artefact: model, role: "weights" }],
 *   }],
 * };
 * console.log(modelCard(run).markdown.split("\n")[0]); // => # digits
 * ```
 *
 * Source: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, https://doi.org/10.1145/3287560.3287596.
 */
export function modelCard(run: Run, options: ModelCardOptions = {}): ModelCard {
  const index = indexRun(run);
  const { card = {} } = options;
  const manifests = manifestsById(index, options.datasets);
  const story = modelStory(index, options.model);
  const { model, parents } = story;
  const list = (title: string, items: readonly string[] = []): readonly Section[] =>
    items.length === 0 ? [] : [{ title, list: items }];
  const sections: readonly Section[] = [
    { title: "Details", table: { head: ["", ""], rows: details(run, model, card) } },
    ...list("Intended use", card.uses),
    ...list("Users", card.users),
    ...list("Not to be used for", card.misuses),
    ...list("Limitations", card.limitations),
    ...list("Trade-offs", card.tradeoffs),
    ...list(
      "Risks",
      card.risks?.map(({ name, mitigation }) => (mitigation === undefined ? name : `${name}: ${mitigation}`)),
    ),
    ...metrics(story),
    ...data("Training data", story.trainingData, manifests),
    ...data("Test data", story.testData, manifests),
    ...list("Made from", parents.map(nameAndDigest)),
    ...steps(story, (activity) => endOf(index, activity)),
  ];
  const { name } = model;
  const description = card.description ?? model.description;
  const intro = description === undefined ? [] : [description];
  return { markdown: sectionsToMarkdown(name, intro, sections), html: sectionsToHtml(name, intro, sections) };
}

type Row = readonly string[];

const nameAndDigest = ({ name, id }: Artefact): string => `${name} (${id})`;

function details({ name, started, code, environment }: Run, model: Artefact, card: ModelFacts): readonly Row[] {
  const commit = code.commit === undefined ? undefined : code.commit + (code.modified ? " (with changes)" : "");
  const known: readonly (readonly [string, string | undefined])[] = [
    ["Digest", model.id],
    ["Version", card.version],
    ["Task", card.task],
    ["Approach", card.approach],
    ["Architecture", [card.architectureFamily, card.architecture].filter((part) => part !== undefined).join(", ")],
    ["Input", card.inputs?.join("; ")],
    ["Output", card.outputs?.join("; ")],
    ["Licence", model.licence],
    ["Size", model.size === undefined ? undefined : `${model.size} bytes`],
    ["Run", `${name}, ${utc(started, "run.started")}`],
    ["Code", [code.repository, commit, code.entry].filter((part) => part !== undefined).join(" ")],
    ["Environment", `${environment.runtime}, ${environment.platform}`],
  ];
  return known.filter((row): row is readonly [string, string] => row[1] !== undefined && row[1] !== "");
}

function metrics({ measured }: ModelStory): readonly Section[] {
  if (measured.length === 0) return [];
  const rows = measured.map(({ name, value, on, step }) => [name, String(value), on.join(", "), step.name]);
  return [{ title: "Figures", table: { head: ["Metric", "Value", "On", "Step"], rows } }];
}

function data(
  title: string,
  sets: readonly Artefact[],
  manifests: ReadonlyMap<string, DatasetManifest>,
): readonly Section[] {
  if (sets.length === 0) return [];
  const rows = sets.map((set): Row => {
    const { consent, fields = [] } = manifests.get(set.id) ?? {};
    const personal = fields.filter((field) => field.personal).map(({ name }) => name);
    const remarks = [
      ...(consent === undefined ? [] : [`used on the ground of ${consent.basis}`]),
      ...(personal.length === 0 ? [] : [`personal: ${personal.join(", ")}`]),
    ];
    return [
      set.name,
      set.records === undefined ? "" : String(set.records),
      set.licence ?? "",
      remarks.join("; "),
      set.id,
    ];
  });
  return [{ title, table: { head: ["Dataset", "Records", "Licence", "Remarks", "Digest"], rows } }];
}

function steps(
  { steps }: ModelStory,
  end: (activity: Run["activities"][number]) => string | undefined,
): readonly Section[] {
  if (steps.length === 0) return [];
  const pairs = (values: Readonly<Record<string, Json>>) =>
    Object.entries(values)
      .map(([name, value]) => `${name} = ${textOf(value)}`)
      .join(", ");
  const rows = steps.map((activity): Row => {
    const finished = end(activity);
    const seconds = finished === undefined ? undefined : (Date.parse(finished) - Date.parse(activity.started)) / 1000;
    const { name, kind, status, parameters, seeds } = activity;
    return [name, kind, status, seconds === undefined ? "" : `${seconds} s`, pairs(parameters), pairs(seeds)];
  });
  return [
    { title: "How it came about", table: { head: ["Step", "Kind", "Status", "Took", "Parameters", "Seeds"], rows } },
  ];
}
