import type { Json } from "@parapet/attestation";
import { digestOf, indexRun } from "../index-run.ts";
import type { Activity, Artefact, Run, Use } from "../run.ts";
import { compact, producer, textOf, utc } from "./shared.ts";

type Records = Record<string, Json>;

/** More pairs than this of what one step used and made are not written out: the step itself connects them. */
const MAXIMUM_OF_PAIRS = 1_000;

/**
 * A run as W3C provenance (PROV-JSON): artefacts are entities, steps are activities, the runtime is a software agent that
 * followed the code as its plan. What a step that is done made was derived from what it used, unless these are more than
 * 1,000 pairs.
 *
 * What it cannot express: which records a step saw (kept as an attribute), that a step is a part of a run (likewise), and the
 * reason of a failure (likewise). Packages and variables of the environment are left out.
 *
 * @param run - done or not
 * @returns a document with the prefixes `artefact` ("urn:sha256:") and `step` ("urn:parapet:run:ID:")
 * @throws RangeError when the run is not consistent, or a time is none
 *
 * @example
 * ```ts
 * import { prov, type Run } from "@parapet/provenance";
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
 * const { activity } = prov(run) as { activity: Record<string, unknown> };
 * console.log(Object.keys(activity).join(" ")); // => run:00000000-0000-4000-8000-000000000001 step:train
 * ```
 *
 * Source: https://www.w3.org/submissions/2013/SUBM-prov-json-20130424/; https://www.w3.org/TR/prov-dm/.
 */
export function prov(run: Run): Json {
  const { artefacts } = indexRun(run);
  const uuid = run.id.toLowerCase();
  const own = `run:${uuid}`;
  const plan = "run:code";
  const agent = "run:runtime";
  const relations = { used: {}, wasGeneratedBy: {}, wasDerivedFrom: {}, wasAssociatedWith: {} } as const;
  const relate = (name: keyof typeof relations, value: Json) => {
    const records: Records = relations[name];
    counts[name]++;
    records[`_:${name}${counts[name]}`] = value;
  };
  const counts = { used: 0, wasGeneratedBy: 0, wasDerivedFrom: 0, wasAssociatedWith: 0 };
  relate("wasAssociatedWith", { "prov:activity": own, "prov:agent": agent, "prov:plan": plan });
  for (const activity of run.activities) {
    const step = stepName(activity);
    relate("wasAssociatedWith", { "prov:activity": step, "prov:agent": agent, "prov:plan": plan });
    for (const use of activity.used) {
      relate("used", { "prov:activity": step, "prov:entity": entityName(use.artefact), ...roleOf(use) });
    }
    for (const use of activity.made) {
      const time = activity.finished === undefined ? {} : { "prov:time": utc(activity.finished, "activity.finished") };
      relate("wasGeneratedBy", {
        "prov:entity": entityName(use.artefact),
        "prov:activity": step,
        ...time,
        ...roleOf(use),
      });
    }
    if (activity.status !== "done" || activity.used.length * activity.made.length > MAXIMUM_OF_PAIRS) continue;
    for (const [made, used] of pairs(activity)) {
      const [generatedEntity, usedEntity] = [entityName(made), entityName(used)];
      relate("wasDerivedFrom", {
        "prov:generatedEntity": generatedEntity,
        "prov:usedEntity": usedEntity,
        "prov:activity": step,
      });
    }
  }
  return compact({
    prefix: {
      artefact: "urn:sha256:",
      step: `urn:parapet:run:${uuid}:`,
      run: "urn:parapet:run:",
      parapet: `${producer}#`,
    },
    entity: {
      [plan]: planOf(run),
      ...Object.fromEntries([...artefacts.values()].map((one) => [entityName(one.id), entityOf(one)])),
    },
    activity: {
      [own]: activityOf(run, { "prov:type": qualified("parapet:Run"), "parapet:status": run.status }),
      ...Object.fromEntries(run.activities.map((one) => [stepName(one), stepOf(one, own)])),
    },
    agent: { [agent]: agentOf(run) },
    ...Object.fromEntries(Object.entries(relations).filter(([, records]) => Object.keys(records).length > 0)),
  });
}

const qualified = (name: string): Json => ({ $: name, type: "prov:QUALIFIED_NAME" });
const number = (value: number): Json => ({
  $: String(value),
  type: Number.isSafeInteger(value) ? "xsd:long" : "xsd:double",
});
const entityName = (id: string): string => `artefact:${id.slice("sha256:".length)}`;

/** Local names hold letters, digits and a few signs; all else is written with `%`, halves of surrogate pairs by their number. */
const escaped = (text: string): string =>
  encodeURIComponent(text.replace(/\p{Surrogate}/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`)).replace(
    /[!'()*~.]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
const stepName = ({ id }: Activity): string => `step:${escaped(id)}`;

/** Attributes whose names come from outside are lists of "name=value" under one name of ours. */
const pairsAsText = (values: Readonly<Record<string, Json>>): Json =>
  Object.entries(values).map(([name, value]) => `${name}=${textOf(value)}`);

function withLists(lists: Readonly<Record<string, Readonly<Record<string, Json>>>>): Records {
  return Object.fromEntries(
    Object.entries(lists)
      .filter(([, values]) => Object.keys(values).length > 0)
      .map(([name, values]) => [`parapet:${name}`, pairsAsText(values)]),
  );
}

const types = {
  dataset: "parapet:Dataset",
  model: "parapet:Model",
  code: "parapet:Code",
  report: "parapet:Report",
  file: "parapet:File",
};

function entityOf(artefact: Artefact): Json {
  const { kind, name, uri, mediaType, size, records, licence, description, notes = {} } = artefact;
  return compact({
    ...{ "prov:label": name, "prov:type": qualified(types[kind] ?? types.file), "parapet:sha256": digestOf(artefact) },
    "prov:location": uri,
    ...{ "parapet:mediaType": mediaType, "parapet:licence": licence, "parapet:description": description },
    "parapet:size": size === undefined ? undefined : number(size),
    "parapet:records": records === undefined ? undefined : number(records),
    ...withLists({ note: notes }),
  });
}

const activityOf = ({ name, started, finished }: Run | Activity, rest: Records): Json =>
  compact({
    "prov:label": name,
    "prov:startTime": utc(started, "started"),
    "prov:endTime": finished === undefined ? undefined : utc(finished, "finished"),
    ...rest,
  });

function stepOf(activity: Activity, own: string): Json {
  const { kind, status, error, parameters, seeds, metrics } = activity;
  return activityOf(activity, {
    "prov:type": qualified(`parapet:${kind}`),
    ...{ "parapet:status": status, "parapet:partOf": qualified(own) },
    ...(error === undefined ? {} : { "parapet:error": error }),
    ...withLists({ parameter: parameters, seed: seeds, metric: metrics }),
  });
}

function planOf({ code: { repository, commit, entry, modified } }: Run): Json {
  return compact({
    "prov:label": entry ?? "code",
    "prov:type": qualified("prov:Plan"),
    ...{ "parapet:repository": repository, "parapet:commit": commit, "parapet:modified": modified },
  });
}

function agentOf({ environment: { runtime, platform, processor } }: Run): Json {
  return compact({
    ...{ "prov:label": runtime, "prov:type": qualified("prov:SoftwareAgent") },
    ...{ "parapet:platform": platform, "parapet:processor": processor },
  });
}

function roleOf({ role, records }: Use): Records {
  return {
    ...(role === "" ? {} : { "prov:role": role }),
    ...(records === undefined ? {} : { "parapet:records": number(records.count) }),
    ...(records === undefined || records.all ? {} : { "parapet:indices": records.indices }),
  };
}

function pairs({ used, made }: Activity): readonly (readonly [made: string, used: string])[] {
  const from = new Set(used.map(({ artefact }) => artefact));
  const to = new Set(made.map(({ artefact }) => artefact));
  return [...to].flatMap((one) => [...from].flatMap((other) => (one === other ? [] : [[one, other] as const])));
}
