import type { Json } from "@parapet/attestation";
import { expected } from "@parapet/core";
import { shown } from "../problem.ts";
import { updateError } from "./errors.ts";
import { asObject, asText, asWhole, field, type JsonObject, malformed } from "./fields.ts";
import type { TargetInfo } from "./updater.ts";

/** What a publisher says of a model: the field `model` among the custom ones of a target that is its signature. */
export interface ModelRelease {
  /** The name that the signature must give. */
  readonly name: string;
  /** Such as "1.4.0", or "2.0.0-rc.1" before it. Going back to an older model is a new, higher version of it. */
  readonly version: string;
  /** Versions below this one must not be used any more, wherever they are. */
  readonly minimumVersion?: string;
  /** Other versions that must not be used any more, with the reasons: a client that has one takes this one even where it is lower. */
  readonly revokes?: Readonly<Record<string, string>>;
  /** "deprecated" still loads; "revoked" must not. */
  readonly status: "active" | "deprecated" | "revoked";
  /** Why it is no longer active. */
  readonly reason?: string;
  /** Where the model's files lie, relative to the place of targets or an address; what is there is proven by the signature. */
  readonly files?: string;
  /** Bytes of all files together: no more are downloaded. */
  readonly size?: number;
}

const versionForm =
  /^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(?:-((?:0|[1-9]\d{0,8}|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d{0,8}|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?$/;

/** Whether a text is a version: three numbers, and perhaps what comes before their release. */
export const isVersion = (text: unknown): text is string =>
  typeof text === "string" && text.length <= 100 && versionForm.test(text);

/**
 * Compares versions by their meaning.
 *
 * @param a - "MAJOR.MINOR.PATCH", or with "-" and a label of what comes before the release
 * @param b - likewise
 * @returns below 0, 0 or above 0
 * @throws RangeError for other texts
 *
 * @example
 * ```ts
 * import { compareVersions } from "@parapet/model-signing/updates";
 * console.log(["1.10.0", "1.2.0", "1.2.0-rc.2", "1.2.0-rc.10"].sort(compareVersions).join()); // => 1.2.0-rc.2,1.2.0-rc.10,1.2.0,1.10.0
 * ```
 *
 * Source: Semantic Versioning 2.0.0, section 11.
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  for (let i = 0; i < 3; i++) if (left.numbers[i] !== right.numbers[i]) return left.numbers[i]! - right.numbers[i]!;
  if (left.labels === undefined || right.labels === undefined) {
    return Number(left.labels === undefined) - Number(right.labels === undefined);
  }
  for (let i = 0; i < Math.min(left.labels.length, right.labels.length); i++) {
    const [one, other] = [left.labels[i]!, right.labels[i]!];
    if (one === other) continue;
    const [first, second] = [one, other].map((label) => /^\d+$/.test(label));
    if (first && second) return Number(one) - Number(other);
    if (first !== second) return first ? -1 : 1; // numbers come before words
    return one < other ? -1 : 1;
  }
  return left.labels.length - right.labels.length;
}

function partsOf(version: string) {
  const found = isVersion(version) ? versionForm.exec(version) : null;
  if (found === null) throw new RangeError(expected("version", 'three numbers such as "1.4.0"', version));
  return { numbers: found.slice(1, 4).map(Number), labels: found[4]?.split(".") };
}

/**
 * Reads what a target's publisher says of a model.
 *
 * @param info - from `targetInfo`
 * @returns the release
 * @throws `model-signing/update-malformed` when the target is no model, or a field is unknown or has another form
 *
 * @example
 * ```ts
 * import { readRelease } from "@parapet/model-signing/updates";
 * const custom = { model: { name: "digits", version: "1.0.0", status: "active" } };
 * console.log(readRelease({ path: "digits.sig", length: 1, hashes: {}, role: "targets", custom }).version); // => 1.0.0
 * ```
 */
export function readRelease(info: TargetInfo): ModelRelease {
  const where = `target ${shown(info.path)} custom model`;
  const model = asObject(field(asObject(info.custom, where), "model"), where);
  const known = ["name", "version", "minimumVersion", "revokes", "status", "reason", "files", "size"];
  const strange = Object.keys(model).find((name) => !known.includes(name));
  if (strange !== undefined) throw malformed(where, `only ${known.join(", ")}`, strange);
  const text = (name: string, most: number) => {
    const value = asText(field(model, name), `${where} ${name}`);
    if (value === "" || value.length > most) throw malformed(`${where} ${name}`, `1 to ${most} characters`, value);
    return value;
  };
  const version = (name: string) => {
    const value = field(model, name);
    if (!isVersion(value)) throw malformed(`${where} ${name}`, 'a version such as "1.4.0"', value);
    return value;
  };
  const status = text("status", 20);
  if (status !== "active" && status !== "deprecated" && status !== "revoked") {
    throw malformed(`${where} status`, '"active", "deprecated" or "revoked"', status);
  }
  const release: ModelRelease = {
    name: text("name", 500),
    version: version("version"),
    ...(Object.hasOwn(model, "minimumVersion") ? { minimumVersion: version("minimumVersion") } : {}),
    ...(Object.hasOwn(model, "revokes") ? { revokes: readRevokes(field(model, "revokes"), `${where} revokes`) } : {}),
    status,
    ...(Object.hasOwn(model, "reason") ? { reason: text("reason", 1000) } : {}),
    ...(Object.hasOwn(model, "files") ? { files: text("files", 2000) } : {}),
    ...(Object.hasOwn(model, "size") ? { size: asWhole(field(model, "size"), `${where} size`, 0) } : {}),
  };
  if (release.minimumVersion !== undefined && compareVersions(release.version, release.minimumVersion) < 0) {
    throw malformed(`${where} version`, `${release.minimumVersion} or later, its own minimum`, release.version);
  }
  if (release.revokes !== undefined && Object.hasOwn(release.revokes, release.version)) {
    throw malformed(`${where} revokes`, 'other versions; for its own "status" says so', release.version);
  }
  return release;
}

function readRevokes(value: Json | undefined, where: string): Readonly<Record<string, string>> {
  const versions = Object.entries(asObject(value, where));
  if (versions.length > 1000) throw malformed(where, "at most 1,000 versions", versions.length);
  for (const [version, reason] of versions) {
    if (!isVersion(version)) throw malformed(where, 'versions such as "1.4.0"', version);
    if (typeof reason !== "string" || reason.length > 1000) throw malformed(where, "reasons", reason);
  }
  return Object.fromEntries(versions) as Readonly<Record<string, string>>;
}

/**
 * A release as the custom fields of a target.
 *
 * @param release - what is to be said
 * @returns for `addTarget`
 * @throws as `readRelease`, which reads it
 *
 * @example
 * ```ts
 * import { releaseToJson } from "@parapet/model-signing/updates";
 * const custom = releaseToJson({ name: "digits", version: "1.0.0", status: "active" });
 * console.log(JSON.stringify(custom)); // => {"model":{"name":"digits","version":"1.0.0","status":"active"}}
 * ```
 */
export function releaseToJson(release: ModelRelease): JsonObject {
  const custom = { model: { ...release } as unknown as Json };
  readRelease({ path: release.name, length: 0, hashes: {}, role: "targets", custom });
  return custom;
}

/** Refuses a release that must not be used: revoked, or below what is allowed. */
export function checkUsable(
  { name, version, status, reason }: Pick<ModelRelease, "name" | "version" | "status" | "reason">,
  minimumVersion: string | undefined,
): void {
  const where = `model ${shown(name)} ${version}`;
  if (status === "revoked") {
    throw updateError("model-signing/update-revoked", where, "not to be revoked", reason ?? "no reason");
  }
  if (minimumVersion !== undefined && compareVersions(version, minimumVersion) < 0) {
    throw updateError("model-signing/update-revoked", where, `version ${minimumVersion} or later`, version);
  }
}
