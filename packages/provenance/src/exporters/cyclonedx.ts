import type { Json } from "@parapet/attestation";
import { expected } from "@parapet/core";
import type { DatasetManifest } from "../datasets/manifest.ts";
import { digestOf, type IndexedRun, indexRun } from "../index-run.ts";
import type { Artefact, Run } from "../run.ts";
import { formulation } from "./cyclonedx-formulation.ts";
import { type ModelFacts, type ModelStory, modelStory } from "./model-story.ts";
import { compact, isWebAddress, manifestsById, producer, some, textOf, utc } from "./shared.ts";

/** What `cyclonedx` may be told. */
export interface CycloneDxOptions {
  readonly version: "1.6" | "1.7";
  /** The id of the model that the document is about. By default the one that came out. */
  readonly model?: string;
  /** Manifests of the run's datasets, for their owners, fields and consent. */
  readonly datasets?: readonly DatasetManifest[];
  readonly card?: ModelFacts;
  /** "urn:uuid:" and a UUID. By default that of the run. */
  readonly serialNumber?: string;
}

/**
 * A run as a CycloneDX bill of materials for machine learning: the model with its card and pedigree, the other models, data and
 * files as components, who depends on whom, and the steps as a formulation.
 *
 * What it cannot express and stands in `properties` instead: records, seeds, status and errors of steps, consent, roles of
 * artefacts. What is left out: which records a step saw, statistics of fields, the roots of a dataset's trees.
 *
 * @param run - done or not
 * @param options - version of the format; what the document is about; what people say of it
 * @returns a document by the schema "bom-1.6" or "bom-1.7"
 * @throws RangeError when the version is another one, several models came out and none is chosen, a manifest is of no artefact,
 *   or the run is not consistent
 *
 * @example
 * ```ts
 * import { cyclonedx, type Run } from "@parapet/provenance";
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
 * const document = cyclonedx(run, { version: "1.6" }) as { metadata: { component: { type: string } } };
 * console.log(document.metadata.component.type); // => machine-learning-model
 * ```
 *
 * Source: ECMA-424 (CycloneDX 1.6), and CycloneDX 1.7: https://cyclonedx.org/docs/1.7/json/.
 */
export function cyclonedx(run: Run, options: CycloneDxOptions): Json {
  const { version, card, serialNumber = `urn:uuid:${run?.id?.toLowerCase()}` } = options ?? {};
  if (version !== "1.6" && version !== "1.7") throw new RangeError(expected("version", '"1.6" or "1.7"', version));
  if (!/^urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(serialNumber)) {
    throw new RangeError(expected("serialNumber", '"urn:uuid:" and a UUID in lower case', serialNumber));
  }
  const index = indexRun(run);
  const manifests = manifestsById(index, options.datasets);
  const story = modelStory(index, options.model);
  const others = run.artefacts.filter((artefact) => artefact !== story.model);
  return compact({
    $schema: `http://cyclonedx.org/schema/bom-${version}.schema.json`,
    bomFormat: "CycloneDX",
    specVersion: version,
    serialNumber,
    version: 1,
    metadata: {
      timestamp: utc(run.finished ?? run.started, "run.finished"),
      lifecycles: [{ phase: "build" }],
      tools: { components: [{ type: "library", name: "@parapet/provenance", externalReferences: [website] }] },
      component: modelComponent(index, story, card),
      properties: environment(run),
    },
    components: some(
      others.map((artefact) =>
        artefact.kind === "model"
          ? modelComponent(index, modelStory(index, artefact.id, "direct"))
          : dataComponent(artefact, manifests.get(artefact.id)),
      ),
    ),
    dependencies: dependencies(index),
    formulation: [formulation(index)],
  });
}

const website: Json = { type: "website", url: producer };

/** A property in this package's own name space. */
const property = (name: string, value: Json): Json => ({ name: `parapet:${name}`, value: textOf(value) });

function environment({ environment, code, name }: Run): Json {
  const { runtime, platform, processor, packages, variables } = environment;
  const known = { run: name, runtime, platform, processor, modified: code.modified, entry: code.entry };
  return [
    ...Object.entries(compact(known)).map(([name, value]) => property(name, value)),
    ...Object.entries(packages).map(([name, value]) => property(`package:${name}`, value)),
    ...Object.entries(variables).map(([name, value]) => property(`variable:${name}`, value)),
  ];
}

/** What every component has. */
function component(artefact: Artefact, type: string): Record<string, Json | undefined> {
  const { id, name, description, mediaType, licence, uri, records, size, kind, notes = {} } = artefact;
  const isMediaType = mediaType !== undefined && /^[-+a-z0-9.]+\/[-+a-z0-9.]+$/.test(mediaType);
  const extra = { kind, records, size, uri, mediaType: isMediaType ? undefined : mediaType };
  const properties = [
    ...Object.entries(compact(extra)).map(([name, value]) => property(name, value)),
    ...Object.entries(notes).map(([name, value]) => property(`note:${name}`, value)),
  ];
  return {
    ...{ type, "bom-ref": id, name, description, ...(isMediaType ? { "mime-type": mediaType } : {}) },
    hashes: [{ alg: "SHA-256", content: digestOf(artefact) }],
    licenses: licence === undefined ? undefined : [licenceOf(licence)],
    externalReferences: uri !== undefined && isWebAddress(uri) ? [{ type: "distribution", url: uri }] : undefined,
    properties: some(properties),
  };
}

/** What looks like an SPDX expression is one; all else is the name of a licence. */
const licenceOf = (licence: string): Json =>
  /^\(*[A-Za-z0-9.+-]+[A-Za-z0-9.+:() -]*$/.test(licence) ? { expression: licence } : { license: { name: licence } };

function modelComponent({ run }: IndexedRun, story: ModelStory, card: ModelFacts = {}): Json {
  const { repository, commit } = run.code;
  const ancestors = story.parents.map((parent) => {
    const { "bom-ref": _, ...rest } = component(parent, "machine-learning-model");
    return compact(rest);
  });
  const url = repository !== undefined && isWebAddress(repository) ? repository : undefined;
  const commits = commit === undefined || story.steps.length === 0 ? [] : [compact({ uid: commit, url })];
  const base = component(story.model, "machine-learning-model");
  return compact({
    ...base,
    description: card.description ?? base.description,
    version: card.version,
    pedigree:
      ancestors.length + commits.length === 0
        ? undefined
        : compact({ ancestors: some(ancestors), commits: some(commits) }),
    modelCard: modelCard(story, card),
  });
}

function modelCard({ model, steps, trainingData, measured }: ModelStory, card: ModelFacts): Json {
  const { approach, task, architectureFamily, architecture, inputs, outputs, users, uses, limitations, tradeoffs } =
    card;
  const considerations = compact({
    users,
    useCases: uses,
    technicalLimitations: card.misuses || limitations ? [...(limitations ?? []), ...(card.misuses ?? [])] : undefined,
    performanceTradeoffs: tradeoffs,
    ethicalConsiderations: card.risks?.map(({ name, mitigation }) => compact({ name, mitigationStrategy: mitigation })),
  });
  const properties = steps.flatMap(({ id, parameters, seeds }) => [
    ...Object.entries(parameters).map(([name, value]) => property(`parameter:${id}:${name}`, value)),
    ...Object.entries(seeds).map(([name, value]) => property(`seed:${id}:${name}`, value)),
  ]);
  const metrics = measured.map(({ name, value, on }) =>
    compact({ type: name, value: String(value), slice: on.length === 0 ? undefined : on.join(", ") }),
  );
  return compact({
    "bom-ref": `card:${model.id}`,
    modelParameters: compact({
      approach: approach === undefined ? undefined : { type: approach },
      ...{ task, architectureFamily, modelArchitecture: architecture },
      datasets: some(trainingData.map(({ id }) => ({ ref: id }))),
      inputs: inputs?.map((format) => ({ format })),
      outputs: outputs?.map((format) => ({ format })),
    }),
    quantitativeAnalysis: metrics.length === 0 ? undefined : { performanceMetrics: metrics },
    considerations: Object.keys(considerations).length === 0 ? undefined : considerations,
    properties: some(properties),
  });
}

const dataTypes = { dataset: "dataset", code: "source-code", report: "other", file: "other", model: "other" } as const;

function dataComponent(artefact: Artefact, manifest?: DatasetManifest): Json {
  if (artefact.kind === "file" || artefact.kind === "report") return compact(component(artefact, "file"));
  const { consent, creators = [], sources = [], fields = [], version } = manifest ?? {};
  const url = [artefact.uri, ...sources.map(({ uri }) => uri)].find((uri) => uri !== undefined && isWebAddress(uri));
  const properties = [
    ...Object.entries(consent ?? {}).map(([name, value]) => property(`consent:${name}`, value)),
    ...fields.map(({ name, type }) => property(`field:${name}`, type)),
  ];
  const contents = compact({ url, properties: some(properties) });
  const personal = fields.filter((field) => field.personal).map(({ name }) => name);
  const owners = creators.map((name) => ({ organization: { name } }));
  return compact({
    ...component(artefact, "data"),
    version,
    data: [
      compact({
        "bom-ref": `data:${artefact.id}`,
        type: dataTypes[artefact.kind],
        name: artefact.name,
        contents: Object.keys(contents).length === 0 ? undefined : contents,
        classification: manifest === undefined ? undefined : personal.length > 0 ? "personal" : "not personal",
        sensitiveData: some(personal),
        governance: owners.length === 0 ? undefined : { owners },
      }),
    ],
  });
}

/** An artefact depends on what the steps used that made it. */
function dependencies({ run, makers }: IndexedRun): Json {
  return run.artefacts.map(({ id }) => {
    const used = (makers.get(id) ?? []).flatMap((activity) => activity.used.map((use) => use.artefact));
    const dependsOn = [...new Set(used)].filter((other) => other !== id);
    return compact({ ref: id, dependsOn: some(dependsOn) });
  });
}
