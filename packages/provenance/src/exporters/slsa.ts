import { canonicalJson, createStatement, type Json, type Statement, toBase64 } from "@parapet/attestation";
import { expected } from "@parapet/core";
import { artefactOf, type IndexedRun, indexRun, modelsOut } from "../index-run.ts";
import type { Activity, Artefact, Run } from "../run.ts";
import { compact, digestSet, some, utc } from "./shared.ts";

/** What `slsa` has to be told. */
export interface SlsaOptions {
  /** A URI for who ran it and is trusted for that: "builder.id". */
  readonly builder: string;
  /** Ids of the artefacts that it is about. By default the models that came out: made, and not made into another model. */
  readonly subjects?: readonly string[];
  /** Metadata of the builder's parts by name, such as versions. */
  readonly builderVersion?: Readonly<Record<string, string>>;
}

/** What kind of build a training run is. Its external parameters are those of `slsa`. */
const TRAINING = "urn:parapet:buildtype:training:v1";

/**
 * A run as SLSA provenance: an in-toto statement about the models that came out, to be signed with `signEnvelope`.
 *
 * External parameters are the name of the run, the script, and each step's parameters and seeds; resolved dependencies are the
 * source code and everything that was used and not made by the run; byproducts are all else that it made, and the figures that
 * were measured. What it cannot express: which step used or made what, in which order and at what time, which records a step
 * saw other than as an annotation, and steps that failed.
 *
 * @param run - done or not
 * @param options - who built, and what it is about
 * @returns a statement with the predicate type `https://slsa.dev/provenance/v1`
 * @throws RangeError when nothing came out, when `subjects` names what the run did not make, or the run is not consistent
 *
 * @example
 * ```ts
 * import { type Run, slsa } from "@parapet/provenance";
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
 * const { subject } = slsa(run, { builder: "https://example.com/trainer/v1" });
 * console.log(subject[0]?.name); // => digits
 * ```
 *
 * Source: https://slsa.dev/spec/v1.0/provenance.
 */
export function slsa(run: Run, options: SlsaOptions): Statement {
  const index = indexRun(run);
  const { builder, subjects } = options ?? {};
  if (typeof builder !== "string" || !/^[a-z][a-z0-9+.-]*:\S+$/i.test(builder)) {
    throw new TypeError(expected("builder", "a URI", builder));
  }
  const about = subjects?.map((id) => artefactOf(index, id, "subjects")) ?? modelsOut(index);
  if (about.length === 0) throw new RangeError(expected("run", "a model that came out, or subjects", "none"));
  const foreign = about.find(({ id }) => !index.makers.has(id));
  if (foreign) throw new RangeError(expected("subjects", "artefacts that the run made", foreign.id));
  const subject = about.map((artefact) => ({ name: artefact.name, digest: digestSet(artefact) }));
  return createStatement(subject, "https://slsa.dev/provenance/v1", predicate(index, about, options));
}

function predicate(index: IndexedRun, about: readonly Artefact[], { builder, builderVersion }: SlsaOptions): Json {
  const { run, makers, users } = index;
  const { id, name, started, finished, code, environment, artefacts } = run;
  const isSubject = new Set(about.map((artefact) => artefact.id));
  const made = artefacts.filter((artefact) => makers.has(artefact.id) && !isSubject.has(artefact.id));
  const taken = artefacts.filter((artefact) => users.has(artefact.id) && !makers.has(artefact.id));
  const version = { ...environment.packages, ...builderVersion };
  return {
    buildDefinition: compact({
      buildType: TRAINING,
      externalParameters: compact({ name, entry: code.entry, steps: byStep(run.activities) }),
      internalParameters: compact({
        ...{ runtime: environment.runtime, platform: environment.platform, processor: environment.processor },
        ...{ variables: environment.variables, sourceModified: code.modified },
      }),
      resolvedDependencies: [...source(run), ...taken.map((artefact) => descriptor(index, artefact))],
    }),
    runDetails: compact({
      builder: compact({ id: builder, version: Object.keys(version).length > 0 ? version : undefined }),
      metadata: compact({
        invocationId: `urn:uuid:${id.toLowerCase()}`,
        startedOn: utc(started, "run.started"),
        finishedOn: finished === undefined ? undefined : utc(finished, "run.finished"),
      }),
      byproducts: some([...made.map((artefact) => descriptor(index, artefact)), ...metrics(run)]),
    }),
  };
}

/** Parameters and seeds of the steps that have some. */
function byStep(activities: readonly Activity[]): Json {
  const given = activities.filter(({ parameters, seeds }) => Object.keys({ ...parameters, ...seeds }).length > 0);
  return Object.fromEntries(given.map(({ id, kind, parameters, seeds }) => [id, { kind, parameters, seeds }]));
}

function source({ code: { repository, commit } }: Run): Json[] {
  if (repository === undefined && commit === undefined) return [];
  const isDigest = commit !== undefined && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit);
  const uri = repository === undefined ? undefined : `git+${repository}`;
  return [
    compact({
      name: "source",
      uri: isDigest || commit === undefined ? uri : `${uri ?? "git"}@${commit}`,
      digest: isDigest ? { gitCommit: commit } : undefined,
    }),
  ];
}

function descriptor({ users, makers }: IndexedRun, artefact: Artefact): Json {
  const { id, name, uri, mediaType, kind, licence, records, size } = artefact;
  const steps = [...new Set([...(makers.get(id) ?? []), ...(users.get(id) ?? [])])];
  const uses = steps.flatMap(({ used, made }) => [...used, ...made].filter((use) => use.artefact === id));
  const roles = [...new Set(uses.map(({ role }) => role))].filter((role) => role !== "");
  const seen = steps.flatMap((step) =>
    step.used.flatMap((use): Json[] => (use.artefact === id && use.records ? [{ step: step.id, ...use.records }] : [])),
  );
  return compact({
    ...{ name, uri, digest: digestSet(artefact), mediaType },
    annotations: compact({ kind, roles: some(roles), licence, records, size, recordsSeen: some(seen) }),
  });
}

function metrics({ activities }: Run): Json[] {
  const measured = activities.filter((activity) => Object.keys(activity.metrics).length > 0);
  if (measured.length === 0) return [];
  const content = canonicalJson(Object.fromEntries(measured.map((activity) => [activity.id, activity.metrics])));
  return [{ name: "metrics.json", content: toBase64(content), mediaType: "application/json" }];
}
