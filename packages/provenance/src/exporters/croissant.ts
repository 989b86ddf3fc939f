import type { Json } from "@parapet/attestation";
import { expected } from "@parapet/core";
import type { DatasetFile, DatasetManifest, Field } from "../datasets/manifest.ts";
import { manifestId } from "../datasets/read-manifest.ts";
import { compact, isWebAddress, some, utc } from "./shared.ts";

/** What `croissant` may be told. */
export interface CroissantOptions {
  /** Of the format; default "1.0". Only 1.1 can say what shape an array has. */
  readonly version?: "1.0" | "1.1";
  /** The page of the dataset. */
  readonly url?: string;
  /** What the names of files are appended to; ends in "/". By default they stay relative. */
  readonly base?: string;
  /** In which file, by its name, and in which column a field stands: the format demands it of every field of a record. */
  readonly columns?: Readonly<Record<string, { readonly file: string; readonly column?: string }>>;
}

/**
 * A dataset's manifest as Croissant metadata (JSON-LD): files with their digests, all fields as `variableMeasured`, and
 * for each file one record set with those of them that have their place in it by `columns`.
 *
 * What it cannot express: the roots of the trees, statistics, the number of records, consent other than its purposes; those
 * that are personal are named as `rai:personalSensitiveInformation`. The manifest's identity is the `identifier`.
 *
 * @param manifest - of the dataset
 * @param options - where it can be had, and where its fields stand
 * @returns a document that conforms to Croissant
 * @throws RangeError when `columns` names a field or a file that is not there, or `created` is no time
 *
 * @example
 * ```ts
 * import { croissant, type DatasetManifest } from "@parapet/provenance";
 * const manifest: DatasetManifest = {
 *   schema: "urn:parapet:evidence:dataset:v1", name: "mnist", records: 70000, root: "a".repeat(64), sortedRoot: "b".repeat(64),
 *   files: [{ name: "labels.csv", size: 140012, sha256: "c".repeat(64), mediaType: "text/csv" }],
 *   fields: [{ name: "digit", type: "integer" }],
 * };
 * const metadata = croissant(manifest, { columns: { digit: { file: "labels.csv" } } });
 * console.log((metadata as { distribution: { sha256: string }[] }).distribution[0]?.sha256 === "c".repeat(64)); // => true
 * ```
 *
 * Source: https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
 */
export function croissant(manifest: DatasetManifest, options: CroissantOptions = {}): Json {
  const { version = "1.0", url, base = "", columns = {} } = options;
  if (version !== "1.0" && version !== "1.1") throw new RangeError(expected("version", '"1.0" or "1.1"', version));
  const { files = [], fields, creators = [], licence, citation, created, consent, sources = [] } = manifest;
  for (const [name, { file }] of Object.entries(columns)) {
    if (!fields.some((field) => field.name === name)) throw new RangeError(expected("columns", "fields", name));
    if (!files.some((one) => one.name === file)) throw new RangeError(expected("columns", "files", file));
  }
  if (files.some(({ name }) => name === "")) throw new RangeError(expected("manifest.files", "names", ""));
  const placed = fields.filter(({ name }) => Object.hasOwn(columns, name));
  const personal = fields.filter((field) => field.personal).map(({ name }) => name);
  const origins = sources.map(({ uri }) => uri);
  return compact({
    "@context": context(version),
    "@type": "sc:Dataset",
    conformsTo: `http://mlcommons.org/croissant/${version}`,
    name: manifest.name,
    description: manifest.description,
    identifier: manifestId(manifest),
    license: licence === undefined ? undefined : licenceAddress(licence),
    url: url ?? origins.find(isWebAddress),
    version: manifest.version,
    citeAs: citation,
    datePublished: created === undefined ? undefined : utc(created, "manifest.created"),
    creator: some(creators.map((name) => ({ "@type": "sc:Person", name }))),
    isBasedOn: some(origins),
    "rai:dataUseCases": some(consent?.purposes ?? []),
    "rai:personalSensitiveInformation": some(personal),
    distribution: some(files.map((file) => fileObject(file, manifest, base))),
    variableMeasured: some(
      fields.map(({ name, description }) => compact({ "@type": "sc:PropertyValue", name, description })),
    ),
    recordSet: some(
      files
        .map(({ name }) => ({ name, inside: placed.filter((field) => columns[field.name]!.file === name) }))
        .filter(({ inside }) => inside.length > 0)
        .map(({ name, inside }) => recordSet(name, inside, version, columns)),
    ),
  });
}

function fileObject(
  { name, size, sha256, mediaType }: DatasetFile,
  { sources = [] }: DatasetManifest,
  base: string,
): Json {
  const origin = sources.find((source) => source.sha256 === sha256)?.uri;
  return {
    ...{ "@type": "cr:FileObject", "@id": `file/${encodeURI(name)}`, name },
    contentUrl: origin ?? base + name.split("/").map(encodeURIComponent).join("/"),
    ...{ contentSize: `${size} B`, encodingFormat: mediaType ?? "application/octet-stream", sha256 },
  };
}

function recordSet(
  file: string,
  fields: readonly Field[],
  version: string,
  columns: NonNullable<CroissantOptions["columns"]>,
): Json {
  const id = `records/${encodeURIComponent(file)}`;
  return {
    ...{ "@type": "cr:RecordSet", "@id": id, name: `records of ${file}` },
    field: fields.map((field) => {
      const { name, description, type, shape } = field;
      const at = columns[name]!;
      const isArray = type === "array";
      return compact({
        ...{ "@type": "cr:Field", "@id": `${id}/${encodeURIComponent(name)}`, name, description },
        dataType: typeOf(field),
        ...(isArray && version === "1.0" ? { repeated: true } : {}),
        ...(isArray && version === "1.1" ? { isArray: true, arrayShape: (shape ?? [-1]).join(",") } : {}),
        source: { fileObject: { "@id": `file/${encodeURI(at.file)}` }, extract: { column: at.column ?? name } },
      });
    }),
  };
}

function typeOf({ type, dtype = "" }: Field): string {
  if (type === "integer" || (type === "array" && /^u?int/.test(dtype))) return "sc:Integer";
  if (type === "number" || type === "array") return "sc:Float";
  return type === "boolean" ? "sc:Boolean" : "sc:Text";
}

/** One identifier of SPDX's list has a page; expressions and other texts stay as they are. */
const licenceAddress = (licence: string): string =>
  /^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(licence) ? `https://spdx.org/licenses/${licence}.html` : licence;

/** The terms, as the specification lists them. */
function context(version: string): Json {
  const own = [
    ...[
      "citeAs",
      "column",
      "equivalentProperty",
      "extract",
      "field",
      "fileProperty",
      "fileObject",
      "fileSet",
      "format",
    ],
    ...[
      "includes",
      "isLiveDataset",
      "jsonPath",
      "key",
      "md5",
      "parentField",
      "path",
      "recordSet",
      "references",
      "regex",
    ],
    ...["repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"],
    ...(version === "1.1" ? ["arrayShape", "isArray", "containedIn"] : []),
  ];
  return {
    ...{ "@language": "en", "@vocab": "https://schema.org/", sc: "https://schema.org/" },
    ...{
      cr: "http://mlcommons.org/croissant/",
      rai: "http://mlcommons.org/croissant/RAI/",
      dct: "http://purl.org/dc/terms/",
    },
    conformsTo: "dct:conformsTo",
    data: { "@id": "cr:data", "@type": "@json" },
    dataType: { "@id": "cr:dataType", "@type": "@vocab" },
    examples: { "@id": "cr:examples", "@type": "@json" },
    ...Object.fromEntries(own.map((name) => [name, `cr:${name}`])),
    ...(version === "1.1" ? { description: { "@container": "@language" }, name: { "@container": "@language" } } : {}),
  };
}
