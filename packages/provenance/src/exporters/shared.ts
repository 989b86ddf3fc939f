import { canonicalJson, fromHex, fromUtf8, type Json, toHex, toUtf8 } from "@parapet/attestation";
import { expected } from "@parapet/core";
import type { DatasetManifest } from "../datasets/manifest.ts";
import { manifestId } from "../datasets/read-manifest.ts";
import { digestOf, type IndexedRun } from "../index-run.ts";
import { portableHash } from "../merkle/tree.ts";
import type { Activity, Artefact } from "../run.ts";

/** Where this software is described; what formats call a producer or a tool. */
export const producer = "https://github.com/parapet-ml/parapet";

/** An object without the members that are undefined. */
export function compact(members: { readonly [name: string]: Json | undefined }): { readonly [name: string]: Json } {
  return Object.fromEntries(
    Object.entries(members).filter((member): member is [string, Json] => member[1] !== undefined),
  );
}

/** A list, or undefined where it would be empty. */
export const some = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list);

/** A value as text: texts as they are, all else as canonical JSON. */
export const textOf = (value: Json): string => (typeof value === "string" ? value : fromUtf8(canonicalJson(value)));

const TIME = /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/** RFC 3339 in UTC, with fractions of a second only where there are some. Throws RangeError, also for a time without a zone. */
export function utc(time: string, name = "time"): string {
  const usual = String(time).toUpperCase().replace(" ", "T");
  const [, year, month, day] = TIME.exec(usual) ?? [];
  // Engines differ on the 30th of February.
  const isDay = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day);
  const milliseconds = isDay ? Date.parse(usual) : Number.NaN;
  if (Number.isNaN(milliseconds)) throw new RangeError(expected(name, "a time by RFC 3339", time));
  return new Date(milliseconds).toISOString().replace(".000Z", "Z");
}

/** An absolute URI that may be followed: others are texts. */
export function isWebAddress(text: string): boolean {
  return /^https?:\/\/[^\s<>"\\^`{|}]+$/i.test(text) && URL.canParse(text);
}

/** The same UUID for the same text, of version 8: RFC 9562, section 5.8, made as in its appendix B.2. */
export function uuidFor(namespace: string, text: string): string {
  const name = toUtf8(text);
  const bytes = new Uint8Array(16 + name.length);
  bytes.set(fromHex(namespace.toLowerCase().replaceAll("-", "")));
  bytes.set(name, 16);
  const uuid = portableHash(bytes).slice(0, 16);
  uuid[6] = (uuid[6]! & 0x0f) | 0x80;
  uuid[8] = (uuid[8]! & 0x3f) | 0x80;
  return toHex(uuid).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Manifests by the artefacts that they belong to. Throws RangeError where one belongs to none. */
export function manifestsById(
  index: IndexedRun,
  manifests: readonly DatasetManifest[] = [],
): ReadonlyMap<string, DatasetManifest> {
  const found = new Map<string, DatasetManifest>();
  for (const manifest of manifests) {
    const id = manifestId(manifest);
    if (!index.artefacts.has(id)) throw new RangeError(expected("datasets", "manifests of the run's artefacts", id));
    found.set(id, manifest);
  }
  return found;
}

/** When a step ended: of one that was cut off, when the run did, if that is known. */
export const endOf = ({ run }: IndexedRun, { status, finished, started }: Activity): string | undefined =>
  finished ?? (status === "running" ? undefined : (run.finished ?? started));

/** The digest as in-toto writes it. */
export const digestSet = (artefact: Artefact) => ({ sha256: digestOf(artefact) });
