import { canonicalJson, fromUtf8, type Json } from "@parapet/attestation";
import type { IndexedRun } from "../index-run.ts";
import type { Activity, ActivityKind, Use } from "../run.ts";
import { compact, some, textOf, utc } from "./shared.ts";

const taskTypes: Readonly<Record<ActivityKind, string>> = {
  ...{ load: "copy", filter: "other", split: "other", augment: "other", train: "build", evaluate: "test" },
  ...{ harden: "build", distil: "build", quantise: "build", export: "build", other: "other" },
};

/** The steps of a run as one workflow with a task each. */
export function formulation({ run, makers }: IndexedRun): Json {
  const ref = (activity: Activity) => `step:${activity.id}`;
  const kinds = [...new Set(run.activities.map(({ kind }) => taskTypes[kind] ?? "other"))];
  return {
    "bom-ref": "formula",
    workflows: [
      compact({
        "bom-ref": `run:${run.id}`,
        uid: run.id,
        name: run.name,
        taskTypes: kinds.length === 0 ? ["other"] : kinds,
        tasks: some(run.activities.map((activity) => task(activity, ref(activity)))),
        taskDependencies: some(
          run.activities.map((activity) => {
            const before = activity.used.flatMap(({ artefact }) => makers.get(artefact) ?? []);
            const dependsOn = [...new Set(before)].filter((other) => other !== activity).map(ref);
            return compact({ ref: ref(activity), dependsOn: some(dependsOn) });
          }),
        ),
        timeStart: utc(run.started, "run.started"),
        timeEnd: run.finished === undefined ? undefined : utc(run.finished, "run.finished"),
        properties: [{ name: "parapet:status", value: run.status }],
      }),
    ],
  };
}

function task(activity: Activity, ref: string): Json {
  const { id, name, kind, started, finished, status, used, made, parameters, seeds, metrics, error } = activity;
  const settings = Object.entries(parameters).map(([name, value]) =>
    compact({ name, value: textOf(value), dataType: Array.isArray(value) ? "array" : typeof value }),
  );
  const resource = ({ artefact, role }: Use) => ({
    resource: { ref: artefact },
    properties: [{ name: "parapet:role", value: role }],
  });
  const inputs: Json[] = [...used.map(resource), ...(settings.length > 0 ? [{ parameters: settings }] : [])];
  const properties = [
    { name: "parapet:kind", value: kind },
    { name: "parapet:status", value: status },
    ...(error === undefined ? [] : [{ name: "parapet:error", value: error }]),
    ...Object.entries(seeds).map(([name, value]) => ({ name: `parapet:seed:${name}`, value: String(value) })),
    ...Object.entries(metrics).map(([name, value]) => ({ name: `parapet:metric:${name}`, value: String(value) })),
  ];
  return compact({
    ...{ "bom-ref": ref, uid: id, name, taskTypes: [taskTypes[kind] ?? "other"] },
    inputs: some(once(inputs)),
    outputs: some(once(made.map((use) => ({ type: "artifact", ...resource(use) })))),
    timeStart: utc(started, "activity.started"),
    timeEnd: finished === undefined ? undefined : utc(finished, "activity.finished"),
    properties,
  });
}

/** The schema wants lists without repetition. */
const once = (list: readonly Json[]): readonly Json[] => [
  ...new Map(list.map((one) => [fromUtf8(canonicalJson(one)), one])).values(),
];
