import { fromUtf8, type Json, parseJson, toUtf8 } from "@parapet/attestation";
import { shown } from "../problem.ts";
import { isUpdateError, updateError } from "./errors.ts";
import { quoted } from "./fetcher.ts";
import { asObject, field, type JsonObject, malformed } from "./fields.ts";
import { hashesOf } from "./hashes.ts";
import { checkUsable, isVersion } from "./release.ts";
import type { UpdateStore } from "./store.ts";

/** A model that was proven and switched to. */
export interface InstalledModel {
  readonly name: string;
  readonly version: string;
  /** SHA-256 of its signature. */
  readonly bundle: string;
  readonly location?: string;
}

/** The models of one path. */
export interface ModelState {
  readonly current: InstalledModel;
  /** What was current before. */
  readonly previous?: InstalledModel;
}

/** What is kept of one path. */
export interface Kept {
  readonly current?: InstalledModel;
  readonly previous?: InstalledModel;
  /** What the newest release that was seen says of all of them. */
  readonly minimumVersion?: string;
  /** Versions that were revoked, with the reason. */
  readonly revoked: Readonly<Record<string, string>>;
  /** When the repository was last asked. */
  readonly checked: string;
}

/** Never ends as names of metadata do, so that no role can be called like a model's state. */
const stateName = (path: string) => `${quoted(path)}.model`;
/** Where a signature is kept. */
export const bundleName = (digest: string) => `${digest}.bundle`;

/** Options of `installedModel`. */
export interface InstalledModelOptions {
  readonly store: UpdateStore;
  readonly path: string;
  /** Refuse when the repository was last asked longer ago, in seconds: whoever keeps a client offline keeps news from it. */
  readonly maxAge?: number;
  readonly now?: () => Date;
}

/** An installed model with its signature. */
export interface UsableModel extends ModelState {
  /** The signature of the current model: verify the files against it each time they are loaded. */
  readonly bundle: Uint8Array;
}

/**
 * The model that `updateModel` switched to, without asking anybody, if by all that is known it may be used.
 *
 * @param options - where the state is kept
 * @returns the current model; the previous one only where it, too, may be used
 * @throws `model-signing/update-not-installed`, `-revoked`, or `-expired` beyond `maxAge`
 *
 * @example
 * ```ts
 * import { installedModel, memoryStore } from "@parapet/model-signing/updates";
 * const refusal = await installedModel({ store: memoryStore(), path: "digits.sig" }).catch((error) => error);
 * console.log(refusal.code); // => model-signing/update-not-installed
 * ```
 */
export async function installedModel(options: InstalledModelOptions): Promise<UsableModel> {
  const { store, path, maxAge = Number.POSITIVE_INFINITY, now = () => new Date() } = options;
  const where = `model at ${shown(path)}`;
  const kept = await readKept(store, path);
  const bundle = kept?.current === undefined ? undefined : await store.read(bundleName(kept.current.bundle));
  if (kept === undefined || kept.current === undefined || bundle === undefined) {
    throw updateError("model-signing/update-not-installed", where, "to be installed", "nothing");
  }
  const { current, previous, minimumVersion } = kept;
  if ((await hashesOf(bundle)).sha256 !== current.bundle) {
    throw updateError("model-signing/update-not-installed", where, "the signature that was kept", "a damaged one");
  }
  checkUsable(reasoned(current, kept), minimumVersion);
  const age = (now().getTime() - Date.parse(kept.checked)) / 1000;
  if (!(age <= maxAge)) {
    throw updateError("model-signing/update-expired", where, `news of the last ${maxAge} s`, `some of ${kept.checked}`);
  }
  return { current, bundle, ...(previous !== undefined && isUsable(previous, kept) ? { previous } : {}) };
}

/** A model with what is known against it. */
export const reasoned = ({ name, version }: Pick<InstalledModel, "name" | "version">, { revoked }: Kept) =>
  Object.hasOwn(revoked, version)
    ? { name, version, status: "revoked" as const, reason: revoked[version]! }
    : { name, version, status: "active" as const };

function isUsable(model: InstalledModel, kept: Kept): boolean {
  try {
    checkUsable(reasoned(model, kept), kept.minimumVersion);
    return true;
  } catch (error) {
    if (isUpdateError(error)) return false;
    throw error;
  }
}

/** What callers see of it. */
export const stateOf = ({ current, previous }: Kept): ModelState | undefined =>
  current && { current, ...(previous === undefined ? {} : { previous }) };

/** Writes it in one step. */
export const writeKept = (store: UpdateStore, path: string, kept: Kept) =>
  store.write(stateName(path), toUtf8(JSON.stringify(kept)));

/** The store is trusted, but may be damaged: then it says so rather than to forget what must not be used. */
export async function readKept(store: UpdateStore, path: string): Promise<Kept | undefined> {
  const bytes = await store.read(stateName(path));
  if (bytes === undefined) return undefined;
  const where = `state of ${shown(path)}`;
  let json: Json;
  try {
    json = parseJson(fromUtf8(bytes));
  } catch (cause) {
    throw updateError("model-signing/update-malformed", where, "to be JSON", "something else", { cause });
  }
  const kept = asObject(json, where);
  const { revoked, checked, minimumVersion } = kept as unknown as Kept;
  for (const name of ["current", "previous"]) {
    if (Object.hasOwn(kept, name)) checkInstalled(asObject(field(kept, name), `${where} ${name}`), `${where} ${name}`);
  }
  asObject(revoked as unknown as Json, `${where} revoked`);
  const good = typeof checked === "string" && (minimumVersion === undefined || isVersion(minimumVersion));
  if (!good) throw malformed(where, "times and versions", undefined);
  return kept as unknown as Kept;
}

function checkInstalled(model: JsonObject, where: string): void {
  const { name, version, bundle, location } = model as Readonly<Record<string, unknown>>;
  const good =
    typeof name === "string" &&
    isVersion(version) &&
    typeof bundle === "string" &&
    /^[0-9a-f]{64}$/.test(bundle) &&
    (location === undefined || typeof location === "string");
  if (!good) throw malformed(where, "a name, a version and a digest", undefined);
}
