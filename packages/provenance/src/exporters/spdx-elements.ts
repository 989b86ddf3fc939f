import type { Json } from "@parapet/attestation";
import type { DatasetManifest } from "../datasets/manifest.ts";
import { digestOf } from "../index-run.ts";
import type { Activity, Artefact, Run } from "../run.ts";
import type { ModelFacts, ModelStory } from "./model-story.ts";
import { isWebAddress, some, textOf, utc } from "./shared.ts";

/** An element without its creation. */
export type Element = { readonly type: string; readonly spdxId: string } & {
  readonly [name: string]: Json | undefined;
};

/** What is known of an artefact beyond itself. */
interface Known {
  readonly story: ModelStory | undefined;
  readonly card: ModelFacts | undefined;
  readonly manifest: DatasetManifest | undefined;
  readonly manifests: ReadonlyMap<string, DatasetManifest>;
}

const entries = (values: Readonly<Record<string, Json>>, prefix = ""): readonly Json[] =>
  Object.entries(values).map(([name, value]) => ({
    type: "DictionaryEntry",
    key: prefix + name,
    value: textOf(value),
  }));

/** A model as a package of the AI profile, a dataset as one of its own, all else as a file. */
export function artefactElement(spdxId: string, artefact: Artefact, known: Known): Element {
  const { name, description, kind, uri, mediaType, size, notes = {} } = artefact;
  const comments = [
    ...(size === undefined ? [] : [`size: ${size} bytes`]),
    ...Object.entries(notes).map(([name, value]) => `${name}: ${textOf(value)}`),
  ];
  const common = {
    ...{ spdxId, name, description, comment: comments.length === 0 ? undefined : comments.join("\n") },
    verifiedUsing: [{ type: "Hash", algorithm: "sha256", hashValue: digestOf(artefact) }],
  };
  const software_downloadLocation = uri !== undefined && isWebAddress(uri) ? uri : undefined;
  if (kind === "model") {
    const purpose = { software_primaryPurpose: "model", software_downloadLocation };
    return { type: "ai_AIPackage", ...common, ...purpose, ...aboutModel(known) };
  }
  if (kind === "dataset") {
    const purpose = { software_primaryPurpose: "data", software_downloadLocation };
    return { type: "dataset_DatasetPackage", ...common, ...purpose, ...aboutDataset(artefact, known.manifest) };
  }
  const purposes = { code: "source", report: "evidence", file: "file" };
  return {
    ...{ type: "software_File", ...common, software_primaryPurpose: purposes[kind] ?? "file" },
    contentType: mediaType !== undefined && /^[^/\s]+\/[^/\s]+$/.test(mediaType) ? mediaType : undefined,
  };
}

function aboutModel({ story, card = {}, manifests }: Known) {
  const { steps = [], measured = [], trainingData = [] } = story ?? {};
  const limitations = [...(card.limitations ?? []), ...(card.misuses ?? []).map((misuse) => `not for ${misuse}`)];
  const personal = trainingData.map(({ id }) => isPersonal(manifests.get(id)));
  return {
    software_packageVersion: card.version,
    ...(card.description === undefined ? {} : { description: card.description }),
    ai_domain: card.task === undefined ? undefined : [card.task],
    ai_typeOfModel: some([card.approach, card.architectureFamily].filter((type) => type !== undefined)),
    ai_hyperparameter: some(
      steps.flatMap(({ id, parameters, seeds }) => [
        ...entries(parameters, `${id}: `),
        ...entries(seeds, `${id}: seed `),
      ]),
    ),
    ai_metric: some(
      measured.map(({ name, value, on }) => ({
        ...{
          type: "DictionaryEntry",
          key: on.length === 0 ? name : `${name} on ${on.join(", ")}`,
          value: String(value),
        },
      })),
    ),
    ai_informationAboutTraining:
      steps.length === 0 ? undefined : steps.map(({ kind, name }) => `${kind}: ${name}`).join("; "),
    ai_informationAboutApplication: card.uses?.join("; "),
    ai_limitation: limitations.length === 0 ? undefined : limitations.join("; "),
    ai_useSensitivePersonalInformation: personal.includes("yes") ? "yes" : "noAssertion",
  };
}

/** "no" only where every field says so. */
function isPersonal(manifest: DatasetManifest | undefined): "yes" | "no" | "noAssertion" {
  if (manifest?.fields.some(({ personal }) => personal === true)) return "yes";
  return manifest && manifest.fields.length > 0 && manifest.fields.every(({ personal }) => personal === false)
    ? "no"
    : "noAssertion";
}

const datasetTypes: Readonly<Record<string, string>> = { number: "numeric", integer: "numeric", text: "text" };

function aboutDataset({ records, description }: Artefact, manifest: DatasetManifest | undefined) {
  const types = new Set((manifest?.fields ?? []).flatMap(({ type }) => datasetTypes[type] ?? []));
  return {
    description: description ?? manifest?.description,
    software_packageVersion: manifest?.version,
    builtTime:
      manifest?.created === undefined ? undefined : utc(manifest.created, "manifest.created").replace(/\.\d+Z$/, "Z"),
    dataset_datasetType: types.size === 0 ? ["noAssertion"] : [...types],
    dataset_datasetSize: records,
    dataset_intendedUse: manifest?.consent?.purposes?.join("; "),
    dataset_hasSensitivePersonalInformation: isPersonal(manifest),
  };
}

/** What looks like an SPDX expression is one; all else is the text of a licence. */
export function licenceElement(spdxId: string, licence: string): Element {
  return /^\(*[A-Za-z0-9.+-]+[A-Za-z0-9.+:() -]*$/.test(licence)
    ? { type: "simplelicensing_LicenseExpression", spdxId, simplelicensing_licenseExpression: licence }
    : { type: "simplelicensing_SimpleLicensingText", spdxId, simplelicensing_licenseText: licence };
}

/** A step as a build. */
export function buildElement(spdxId: string, activity: Activity, { code, environment }: Run): Element {
  const { id, name, kind, started, finished, status, parameters, seeds, metrics, error } = activity;
  const seconds = (time: string) => utc(time, "activity").replace(/\.\d+Z$/, "Z");
  const { runtime, platform, variables } = environment;
  return {
    ...{ type: "build_Build", spdxId, name, build_buildId: id, build_buildType: `urn:parapet:step:${kind}` },
    comment: error === undefined ? `status: ${status}` : `status: ${status}\n${error}`,
    build_buildStartTime: seconds(started),
    build_buildEndTime: finished === undefined ? undefined : seconds(finished),
    build_parameter: some([...entries(parameters), ...entries(seeds, "seed "), ...entries(metrics, "metric ")]),
    build_environment: entries({ runtime, platform, ...variables }),
    build_configSourceEntrypoint: code.entry === undefined ? undefined : [code.entry],
    build_configSourceUri:
      code.repository !== undefined && isWebAddress(code.repository) ? [code.repository] : undefined,
    build_configSourceDigest:
      code.commit !== undefined && /^[0-9a-f]{40}$/.test(code.commit) && isWebAddress(code.repository ?? "")
        ? [{ type: "Hash", algorithm: "sha1", hashValue: code.commit }]
        : undefined,
  };
}
