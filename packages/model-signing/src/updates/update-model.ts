import { shown } from "../problem.ts";
import { updateError } from "./errors.ts";
import { hashesOf } from "./hashes.ts";
import {
  bundleName,
  type InstalledModel,
  type Kept,
  type ModelState,
  readKept,
  reasoned,
  stateOf,
  writeKept,
} from "./installed-model.ts";
import { checkUsable, compareVersions, type ModelRelease, readRelease } from "./release.ts";
import type { UpdateStore } from "./store.ts";
import type { Updater } from "./updater.ts";

/** A model that is to be proven before it is switched to. */
export interface ModelCandidate {
  /** The signature as it was downloaded: an OpenSSF model signature, proven to be the one that the release names. */
  readonly bundle: Uint8Array;
  readonly release: ModelRelease;
  readonly signal?: AbortSignal;
}

/** What proving a candidate gave. */
export interface StagedModel {
  /** The model's name by its signature, as `verifyModel` gives it. */
  readonly name: string;
  /** Where the proven files lie now: a folder, a key of a cache. */
  readonly location?: string;
}

/** Options of `updateModel`. */
export interface UpdateModelOptions {
  readonly updater: Updater;
  /** Where the state is kept; the updater's own store will do. */
  readonly store: UpdateStore;
  /** The target that is the model's signature. */
  readonly path: string;
  /**
   * Gets the model's files and proves them and the signature, by `verifyModel` or a policy; what it throws is thrown, and nothing is
   * switched. The files of the current and the previous model must stay where they are.
   */
  readonly verify: (candidate: ModelCandidate) => Promise<StagedModel>;
  readonly now?: () => Date;
  readonly signal?: AbortSignal;
}

/**
 * Brings a model up to date: refreshes the metadata, downloads the signature that the newest release names, has it and the
 * model's files proven, and switches to them in one step. The model that was current stays as the previous one. A release
 * is taken only when its version is higher: going back is a release of older files with a higher version, signed like any other.
 *
 * @param options - the client, the path, and who proves
 * @returns the state, and whether it switched
 * @throws `model-signing/update-revoked` for a release that was taken back, `-rollback` for a lower version, `-mismatch` for another
 *   signature under the same version or another name; what `verify` and the updater throw. The current model stays;
 *   ask `installedModel` whether it may still be used
 *
 * @example
 * ```ts
 * import { generateKeyPair, toUtf8 } from "@parapet/attestation";
 * import { memorySource, signModel, verifyModel } from "@parapet/model-signing";
 * import { addTarget, createRepository, createUpdater, memoryStore, releaseRepository, releaseToJson, updateModel } from "@parapet/model-signing/updates";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const model = memorySource("digits", { "model.onnx": new Uint8Array(100) });
 * const bundle = toUtf8(await signModel(model, signer));
 * const custom = releaseToJson({ name: "digits", version: "1.0.0", status: "active" });
 * const draft = await addTarget(await createRepository({ keys: [publicKey] }), "digits.sig", bundle, { custom });
 * const { files } = await releaseRepository(draft, { signers: [signer] });
 * const fetcher = async ({ kind, path }: { kind: string; path: string }) => {
 *   const bytes = kind === "targets" ? bundle : files.get(path);
 *   return bytes && (async function* () { yield bytes; })();
 * };
 * const store = memoryStore();
 * const updater = createUpdater({ root: files.get("1.root.json")!, fetcher, store });
 * const { switched, current } = await updateModel({
 *   updater, store, path: "digits.sig",
 *   verify: ({ bundle }) => verifyModel(model, bundle, { keys: [publicKey.pem] }),
 * });
 * console.log(switched, current.name, current.version); // => true digits 1.0.0
 * ```
 */
export async function updateModel(options: UpdateModelOptions): Promise<ModelState & { readonly switched: boolean }> {
  const { updater, store, path, verify, now = () => new Date(), signal } = options;
  const call = signal === undefined ? {} : { signal };
  await updater.refresh(call);
  const info = await updater.targetInfo(path, call);
  const release = readRelease(info);
  const { name, version } = release;
  const where = `model ${shown(name)}`;
  const before = (await readKept(store, path)) ?? { revoked: {}, checked: "" };
  const { current } = before;
  // What the release says of others holds, whether or not it can be had itself. Metadata cannot go back, so the newest counts.
  const { minimumVersion: _, ...rest } = before;
  const revoked = {
    ...before.revoked,
    ...release.revokes,
    ...(release.status === "revoked" ? { [version]: release.reason ?? "no reason is given" } : {}),
  };
  const seen: Kept = {
    ...rest,
    revoked,
    checked: now().toISOString(),
    ...(release.minimumVersion === undefined ? {} : { minimumVersion: release.minimumVersion }),
  };
  await writeKept(store, path, seen);
  checkUsable(reasoned({ name, version }, seen), seen.minimumVersion);
  const isLower = current !== undefined && compareVersions(version, current.version) < 0;
  // From a version that was taken back, such as one of a thief of keys, the way leads down, too.
  if (isLower && !Object.hasOwn(revoked, current.version)) {
    const expected = `version ${current.version} or later`;
    throw updateError("model-signing/update-rollback", where, expected, `version ${version}`);
  }

  const have = current === undefined ? undefined : await store.read(bundleName(current.bundle));
  const bundle = await updater.download(info, { ...call, have });
  const digest = (await hashesOf(bundle)).sha256!;
  if (current !== undefined && compareVersions(version, current.version) === 0) {
    if (digest === current.bundle) return { ...stateOf(seen)!, switched: false };
    const [was, is] = [current.bundle, digest].map((one) => `${one.slice(0, 16)}...`);
    throw updateError("model-signing/update-mismatch", `${where} ${version}`, `its signature to stay ${was}`, is!);
  }
  const staged = await verify({ bundle, release, ...call });
  if (staged.name !== name) {
    throw updateError(
      "model-signing/update-mismatch",
      where,
      `a signature of ${shown(name)}`,
      `one of ${shown(staged.name)}`,
    );
  }
  signal?.throwIfAborted();
  const { location } = staged;
  const next: InstalledModel = { name, version, bundle: digest, ...(location === undefined ? {} : { location }) };
  await store.write(bundleName(digest), bundle);
  // A model that was taken back is nothing to go back to.
  const { previous: second, ...others } = seen;
  const previous = current !== undefined && !Object.hasOwn(revoked, current.version) ? current : second;
  const after: Kept = { ...others, current: next, ...(previous === undefined ? {} : { previous }) };
  // This one write is the switch.
  await writeKept(store, path, after);
  for (const old of [current?.bundle, second?.bundle]) {
    if (old !== undefined && old !== digest && old !== previous?.bundle) await store.remove(bundleName(old));
  }
  return { ...stateOf(after)!, switched: true };
}
