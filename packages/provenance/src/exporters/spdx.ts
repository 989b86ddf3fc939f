import type { Json } from "@parapet/attestation";
import { expected } from "@parapet/core";
import type { DatasetManifest } from "../datasets/manifest.ts";
import { type IndexedRun, indexRun, modelsOut } from "../index-run.ts";
import type { Artefact, Run } from "../run.ts";
import { type ModelFacts, type ModelStory, modelStory } from "./model-story.ts";
import { compact, manifestsById, some, utc, uuidFor } from "./shared.ts";
import { artefactElement, buildElement, licenceElement } from "./spdx-elements.ts";

/** What `spdx` may be told. */
export interface SpdxOptions {
  /** What the ids of the elements begin with: a URI that ends in "/", "#" or ":". By default one made from the run's id. */
  readonly namespace?: string;
  /** The id of the model that the document is about. By default those that came out. */
  readonly model?: string;
  /** Manifests of the run's datasets. */
  readonly datasets?: readonly DatasetManifest[];
  /** What people say of the model. */
  readonly card?: ModelFacts;
}

const CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld";
const NO_ASSERTION = "https://spdx.org/rdf/3.0.1/terms/ExpandedLicensing/NoAssertionLicense";

/**
 * A run as an SPDX 3.0.1 document (JSON-LD) with its profiles for AI, datasets and builds: models and datasets as packages, other
 * artefacts as files, steps as builds; what was trained and tested on what, and what descends from what.
 *
 * What it cannot express: which records a step saw, roles, statistics, consent, the roots of a dataset's trees, fractions of a
 * second; that a step failed stands in its comment. Of a licence only what was declared is known, never what was concluded.
 *
 * @param run - done or not
 * @param options - what the document is about, and what people say of it
 * @returns a document with `@context` and `@graph`
 * @throws RangeError when `model` is no model of the run, a manifest is of no artefact, or the run is not consistent
 *
 * @example
 * ```ts
 * import { type Run, spdx } from "@parapet/provenance";
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
 * const document = spdx(run) as { "@graph": { type: string }[] };
 * console.log(document["@graph"].filter(({ type }) => type === "ai_AIPackage").length); // => 1
 * ```
 *
 * Source: https://spdx.github.io/spdx-spec/v3.0.1/.
 */
export function spdx(run: Run, options: SpdxOptions = {}): Json {
  const index = indexRun(run);
  const { namespace = `urn:parapet:spdx:${run.id.toLowerCase()}:`, card } = options;
  if (!/^[a-z][a-z0-9+.-]*:\S*[/#:]$/i.test(namespace)) {
    throw new RangeError(expected("namespace", 'a URI that ends in "/", "#" or ":"', namespace));
  }
  const manifests = manifestsById(index, options.datasets);
  const roots = options.model === undefined ? modelsOut(index) : [modelStory(index, options.model).model];
  const about = new Set(roots);
  const idOf = (artefact: Artefact) => `${namespace}artefact-${artefact.id.slice("sha256:".length)}`;
  const stories = run.artefacts
    .filter(({ kind }) => kind === "model")
    .map((model) => modelStory(index, model.id, about.has(model) && roots.length === 1 ? "whole" : "direct"));
  const storyOf = new Map(stories.map((story) => [story.model, story]));
  const artefacts = run.artefacts.map((artefact) =>
    artefactElement(idOf(artefact), artefact, {
      story: storyOf.get(artefact),
      card: about.has(artefact) ? card : undefined,
      manifest: manifests.get(artefact.id),
      manifests,
    }),
  );
  const licences = new Map(
    [...new Set(run.artefacts.flatMap(({ licence }) => licence ?? []))].map((licence, i) => [
      licence,
      licenceElement(`${namespace}licence-${i + 1}`, licence),
    ]),
  );
  const steps = run.activities.map((activity) => ({
    activity,
    id: `${namespace}step-${uuidFor(run.id, activity.id)}`,
  }));
  const relationships = [
    ...run.artefacts.flatMap((artefact) => licensing(artefact, idOf(artefact), licences)),
    ...stories.flatMap((story) => trained(story, idOf, index)),
    ...steps.flatMap(({ activity, id }) => {
      const targets = (uses: typeof activity.used) => uses.map((use) => idOf(index.artefacts.get(use.artefact)!));
      return [link(id, "hasInput", targets(activity.used)), link(id, "hasOutput", targets(activity.made))].flat();
    }),
  ].map((relationship, i) => ({ ...relationship, spdxId: `${namespace}relationship-${i + 1}` }));
  const elements = [
    ...artefacts,
    ...[...licences.values()],
    ...steps.map(({ activity, id }) => buildElement(id, activity, run)),
    ...relationships,
  ];
  const agent = `${namespace}agent`;
  const created = utc(run.finished ?? run.started, "run.finished").replace(/\.\d+Z$/, "Z");
  const document = {
    ...{ type: "SpdxDocument", spdxId: `${namespace}document`, name: run.name },
    profileConformance: ["core", "software", "simpleLicensing", "ai", "dataset", "build"],
    rootElement: some(roots.map(idOf)) ?? [agent],
    element: [agent, ...elements.map(({ spdxId }) => spdxId)],
  };
  return {
    "@context": CONTEXT,
    "@graph": [
      { type: "CreationInfo", "@id": "_:creation", specVersion: "3.0.1", created, createdBy: [agent] },
      ...[document, { type: "SoftwareAgent", spdxId: agent, name: "@parapet/provenance" }, ...elements].map((element) =>
        compact({ ...element, creationInfo: "_:creation" } as Readonly<Record<string, Json>>),
      ),
    ],
  };
}

interface Link {
  readonly type: "Relationship";
  readonly from: string;
  readonly relationshipType: string;
  readonly to: readonly string[];
}

const link = (from: string, relationshipType: string, to: readonly string[]): readonly Link[] =>
  to.length === 0 ? [] : [{ type: "Relationship", from, relationshipType, to: [...new Set(to)] }];

/** The profiles want both licences of models and datasets, if only as unknown. */
function licensing(
  { kind, licence }: Artefact,
  id: string,
  licences: ReadonlyMap<string, { readonly spdxId: string }>,
) {
  const declared = licence === undefined ? undefined : licences.get(licence)!.spdxId;
  const isPackage = kind === "model" || kind === "dataset";
  return [
    ...link(id, "hasDeclaredLicense", declared !== undefined ? [declared] : isPackage ? [NO_ASSERTION] : []),
    ...link(id, "hasConcludedLicense", isPackage ? [NO_ASSERTION] : []),
  ];
}

function trained({ model, parents, testData }: ModelStory, idOf: (artefact: Artefact) => string, index: IndexedRun) {
  // Of the steps that made this very model: what its ancestors saw stands with them.
  const { trainingData } = modelStory(index, model.id, "direct");
  return [
    ...link(idOf(model), "trainedOn", trainingData.map(idOf)),
    ...link(idOf(model), "testedOn", testData.map(idOf)),
    ...link(idOf(model), "descendantOf", parents.map(idOf)),
  ];
}
