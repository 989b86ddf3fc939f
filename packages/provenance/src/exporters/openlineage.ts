import type { Json } from "@parapet/attestation";
import { digestOf, type IndexedRun, indexRun } from "../index-run.ts";
import type { Activity, Artefact, Run, Use } from "../run.ts";
import { compact, endOf, isWebAddress, producer, some, textOf, utc, uuidFor } from "./shared.ts";

/** What `openlineage` may be told. */
export interface OpenLineageOptions {
  /** In which jobs and artefacts have their names; default "parapet". */
  readonly namespace?: string;
}

const SPECIFICATION = "https://openlineage.io/spec/2-0-2/OpenLineage.json";

/** Facets of the specification by the version of their schema; `$defs` is the facet's own. */
const facetSchemas = {
  parent: ["1-2-0", "ParentRunFacet"],
  processing_engine: ["1-1-1", "ProcessingEngineRunFacet"],
  executionParameters: ["1-0-0", "ExecutionParametersRunFacet"],
  environmentVariables: ["1-0-0", "EnvironmentVariablesRunFacet"],
  errorMessage: ["1-0-1", "ErrorMessageRunFacet"],
  jobType: ["2-0-4", "JobTypeJobFacet"],
  sourceCodeLocation: ["1-1-0", "SourceCodeLocationJobFacet"],
  version: ["1-0-1", "DatasetVersionDatasetFacet"],
  documentation: ["1-1-0", "DocumentationDatasetFacet"],
  tags: ["1-0-0", "TagsDatasetFacet"],
  inputStatistics: ["1-0-0", "InputStatisticsInputDatasetFacet"],
  outputStatistics: ["1-0-2", "OutputStatisticsOutputDatasetFacet"],
} as const;

function facet(name: keyof typeof facetSchemas, members: Readonly<Record<string, Json | undefined>>): Json {
  const [version, type] = facetSchemas[name];
  const schema = `https://openlineage.io/spec/facets/${version}/${type}.json#/$defs/${type}`;
  return compact({ _producer: producer, _schemaURL: schema, ...members });
}

/** A facet that the specification does not know, under its general form. */
const ownFacet = (members: Readonly<Record<string, Json | undefined>>): Json =>
  compact({ _producer: producer, _schemaURL: `${SPECIFICATION}#/$defs/RunFacet`, ...members });

/**
 * A run as OpenLineage events: a start and an end of the run and of each step, in the order of their times. A step's run has a
 * UUID made from that of the run and the step's id. An artefact is a dataset called by its name, "@" and the first 12 digits of
 * its digest; its whole digest is its version.
 *
 * What it cannot express and stands in facets of our own: metrics, seeds, roles, which records a step saw. Media types, notes
 * and addresses of artefacts are left out, and of the environment the packages.
 *
 * @param run - done or not; a step that still runs has no end
 * @param options - the name space
 * @returns events, to be sent one by one
 * @throws RangeError when the run is not consistent, or a time is none
 *
 * @example
 * ```ts
 * import { openlineage, type Run } from "@parapet/provenance";
 * const model = `sha256:${"b".repeat(64)}`;
 * const run: Run = {
 *   schema: "urn:parapet:evidence:lineage:v1", id: "00000000-0000-4000-8000-000000000001", name: "digits",
 *   started: "2026-03-01T09:00:00Z", finished: "2026-03-01T09:30:00Z", status: "done", code: {},
 *   environment: { runtime: "node 20.20.2", platform: "linux x64", packages: {}, variables: {} },
 *   artefacts: [{ id: model, kind: "model", name: "digits" }],
 *   activities: [{
 *     id: "train", kind: "train", name: "Train", started: "2026-03-01T09:00:00Z", finished: "2026-03-01T09:30:00Z",
 *     status: "done", parameters: {}, seeds: {}, metrics: {}, used: [], made: [{ artefact: model, role: "weights" }],
 *   }],
 * };
 * const events = openlineage(run) as { eventType: string }[];
 * console.log(events.map(({ eventType }) => eventType).join(" ")); // => START START COMPLETE COMPLETE
 * ```
 *
 * Source: https://openlineage.io/spec/2-0-2/OpenLineage.json.
 */
export function openlineage(run: Run, options: OpenLineageOptions = {}): readonly Json[] {
  const { namespace = "parapet" } = options;
  const index = indexRun(run);
  const started = utc(run.started, "run.started");
  const whole = { run: { runId: run.id.toLowerCase() }, job: { namespace, name: run.name } };
  const events: { readonly time: string; readonly rank: number; readonly event: Json }[] = [];
  const add = (rank: number, eventType: string, eventTime: string, rest: Readonly<Record<string, Json>>) => {
    const common = { eventType, eventTime, producer, schemaURL: `${SPECIFICATION}#/$defs/RunEvent` };
    events.push({ time: new Date(eventTime).toISOString(), rank, event: { ...common, ...rest } });
  };
  const about = { run: { ...whole.run, facets: runFacets(run) }, job: { ...whole.job, facets: sourceFacet(run) } };
  add(0, "START", started, about);
  for (const activity of run.activities) {
    const runId = uuidFor(run.id, activity.id);
    const job = {
      ...{ namespace, name: `${run.name}.${activity.name}` },
      facets: { ...sourceFacet(run), jobType: jobType(activity) },
    };
    const parent = facet("parent", whole);
    const inputs = activity.used.map((use) => dataset(index, use, namespace, "input"));
    add(1, "START", utc(activity.started, "activity.started"), {
      run: { runId, facets: { parent, ...stepFacets(activity, run) } },
      ...{ job, inputs, outputs: [] },
    });
    const end = endOf(index, activity);
    if (end === undefined) continue;
    add(2, ends[activity.status], utc(end, "activity.finished"), {
      run: { runId, facets: { parent, ...stepFacets(activity, run), ...results(activity) } },
      ...{ job, inputs, outputs: activity.made.map((use) => dataset(index, use, namespace, "output")) },
    });
  }
  if (run.status !== "running") add(3, ends[run.status], utc(run.finished ?? run.started, "run.finished"), about);
  events.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : a.rank - b.rank));
  return events.map(({ event }) => event);
}

const ends = { running: "RUNNING", done: "COMPLETE", failed: "FAIL", interrupted: "ABORT" } as const;

function runFacets({ environment }: Run): Readonly<Record<string, Json>> {
  const { runtime, platform, processor, variables } = environment;
  const [, name, version] = /^(\S+) (\S+)$/.exec(runtime) ?? [undefined, runtime, "unknown"];
  const listed = Object.entries(variables).map(([name, value]) => ({ name, value }));
  return {
    processing_engine: facet("processing_engine", { name, version }),
    parapet_environment: ownFacet({ runtime, platform, processor }),
    ...(listed.length > 0
      ? { environmentVariables: facet("environmentVariables", { environmentVariables: listed }) }
      : {}),
  };
}

function sourceFacet({ code: { repository, commit, entry } }: Run): Readonly<Record<string, Json>> {
  if (repository === undefined || !isWebAddress(repository)) return {};
  const location = { type: "git", url: repository, repoUrl: repository, path: entry, version: commit };
  return { sourceCodeLocation: facet("sourceCodeLocation", location) };
}

const jobType = ({ kind }: Activity): Json =>
  facet("jobType", { processingType: "BATCH", integration: "PARAPET", jobType: kind.toUpperCase() });

function stepFacets({ parameters, seeds }: Activity, run: Run): Readonly<Record<string, Json>> {
  const listed = [
    ...Object.entries(parameters).map(([key, value]) => ({ key, name: key, value: textOf(value) })),
    ...Object.entries(seeds).map(([name, value]) => ({
      key: `seed:${name}`,
      name: `seed: ${name}`,
      value: String(value),
    })),
  ];
  const { processing_engine } = runFacets(run);
  return {
    processing_engine: processing_engine!,
    ...(listed.length > 0 ? { executionParameters: facet("executionParameters", { parameters: listed }) } : {}),
  };
}

function results({ metrics, error }: Activity): Readonly<Record<string, Json>> {
  const listed = Object.entries(metrics).map(([name, value]) => ({ name, value }));
  return {
    ...(listed.length > 0 ? { parapet_metrics: ownFacet({ metrics: listed }) } : {}),
    ...(error === undefined
      ? {}
      : { errorMessage: facet("errorMessage", { message: error, programmingLanguage: "JavaScript" }) }),
  };
}

function dataset({ artefacts }: IndexedRun, use: Use, namespace: string, way: "input" | "output"): Json {
  const artefact = artefacts.get(use.artefact)!;
  const { name, id, size, records } = artefact;
  const rowCount = use.records?.count ?? records;
  const statistics = rowCount === undefined && size === undefined ? undefined : compact({ rowCount, size });
  const part = { role: use.role, records: use.records as Json | undefined };
  const facets = compact({
    parapet_use: ownFacet(part),
    [`${way}Statistics`]: statistics && facet(`${way}Statistics`, statistics as Readonly<Record<string, Json>>),
  });
  return {
    ...{ namespace, name: `${name}@${digestOf(artefact).slice(0, 12)}` },
    facets: datasetFacets(artefact, id),
    [`${way}Facets`]: facets,
  };
}

function datasetFacets({ kind, licence, description }: Artefact, id: string): Json {
  const tags = [{ key: "kind", value: kind }, ...(licence === undefined ? [] : [{ key: "licence", value: licence }])];
  return compact({
    version: facet("version", { datasetVersion: id }),
    documentation: description === undefined ? undefined : facet("documentation", { description }),
    tags: facet("tags", { tags: some(tags) }),
  });
}
