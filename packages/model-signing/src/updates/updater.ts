import { equalBytes, type Json } from "@parapet/attestation";
import { checkNumber, expected } from "@parapet/core";
import { shown } from "../problem.ts";
import {
  checkExpiry,
  checkFile,
  fileOf,
  isMeant,
  lostKeys,
  missing,
  notBelow,
  partsOf,
  sameVersion,
} from "./checks.ts";
import { type DelegatedRole, rolesFor } from "./delegations.ts";
import { isUpdateError, updateError } from "./errors.ts";
import { type Fetcher, fetchWhole, quoted } from "./fetcher.ts";
import type { Hashes } from "./hashes.ts";
import type { VerifierOf } from "./keys.ts";
import { type UpdateLimits, usualLimits } from "./limits.ts";
import {
  type Metadata,
  type MetaFile,
  named,
  type Root,
  readRoot,
  readSnapshot,
  readTargets,
  readTimestamp,
  type Signed,
  type Snapshot,
  type TargetFile,
  type Targets,
  type Timestamp,
  type TopLevelRole,
} from "./metadata.ts";
import type { UpdateStore } from "./store.ts";
import { type Authority, createThreshold } from "./threshold.ts";

/** Options of `createUpdater`. */
export interface UpdaterOptions {
  /** Root metadata that came with the program: what all trust begins with. Its age does not matter. */
  readonly root: Uint8Array;
  readonly fetcher: Fetcher;
  readonly store: UpdateStore;
  /** The clock; default the platform's. */
  readonly now?: () => Date;
  readonly limits?: Partial<UpdateLimits>;
  /** Makes verifiers of keys, for platforms that lack an algorithm; default `createVerifier` of `@parapet/attestation`. */
  readonly verifierOf?: VerifierOf;
}

/** The versions that are trusted. */
export interface TrustedVersions {
  readonly root: number;
  readonly timestamp: number;
  readonly snapshot: number;
  readonly targets: number;
}

/** A file that a trusted role names. */
export interface TargetInfo {
  readonly path: string;
  /** Bytes. */
  readonly length: number;
  readonly hashes: Hashes;
  /** What the publisher says of it: an object. */
  readonly custom?: Json;
  /** The role that names it. */
  readonly role: string;
}

/** Options of an update's parts. */
export interface UpdateCall {
  readonly signal?: AbortSignal;
}

/** A client of one repository. Calls wait for each other. */
export interface Updater {
  /** Brings the four top-level roles up to date: one whole update cycle. */
  readonly refresh: (options?: UpdateCall) => Promise<TrustedVersions>;
  /** Finds the role that speaks for a path; refreshes where nobody did before. */
  readonly targetInfo: (path: string, options?: UpdateCall) => Promise<TargetInfo>;
  /** Fetches a target and proves it; `have` are bytes of an earlier download, which are given back if they are still the same. */
  readonly download: (
    info: TargetInfo,
    options?: UpdateCall & { readonly have?: Uint8Array | undefined },
  ) => Promise<Uint8Array>;
}

interface Trusted {
  readonly started: Date;
  readonly root: Metadata<Root>;
  readonly timestamp: Metadata<Timestamp>;
  readonly snapshot: Metadata<Snapshot>;
  readonly targets: Metadata<Targets>;
}

/** A note that timestamp and snapshot are to be forgotten, which outlives a program that ends in between. */
const ROTATED = "rotated";

/**
 * Makes a client that keeps a program's models up to date from a repository it does not have to trust: The Update Framework,
 * whose steps are numbered in the code. Whoever holds the server, or a mirror, or some of the keys, can hand out no file that
 * enough keys of its role did not sign, no older one than was seen before, none that expired, no mixture of releases and no
 * endless file.
 *
 * @param options - the root, where files come from and where they are kept
 * @returns the client; its calls throw errors with a code `model-signing/update-...`, the `role` at fault, what was
 *   `expected` and what it `got`, and leave in the store what was proven up to there, so that a later call can go on
 * @throws TypeError or RangeError when an option is none
 *
 * @example
 * ```ts
 * import { generateKeyPair, toUtf8 } from "@parapet/attestation";
 * import { addTarget, createRepository, createUpdater, memoryStore, releaseRepository } from "@parapet/model-signing/updates";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const draft = await addTarget(await createRepository({ keys: [publicKey] }), "digits/labels.json", toUtf8('["0"]'));
 * const { files } = await releaseRepository(draft, { signers: [signer] });
 * const fetcher = async ({ path }: { path: string }) => {
 *   const bytes = path.endsWith("labels.json") ? toUtf8('["0"]') : files.get(path);
 *   return bytes && (async function* () { yield bytes; })();
 * };
 * const updater = createUpdater({ root: files.get("1.root.json")!, fetcher, store: memoryStore() });
 * console.log((await updater.refresh()).targets); // => 1
 * const info = await updater.targetInfo("digits/labels.json");
 * console.log(new TextDecoder().decode(await updater.download(info))); // => ["0"]
 * ```
 *
 * Source: The Update Framework specification 1.0, section 5. Differences: keys count once by their material, not by their
 * identifier; "[" in patterns of paths stands for itself; timestamp and snapshot are forgotten (5.3.11) when a key was taken
 * from one of them, not when one was added.
 */
export function createUpdater(options: UpdaterOptions): Updater {
  const { fetcher, store, now = () => new Date(), verifierOf } = options;
  if (!(options.root instanceof Uint8Array)) throw new TypeError(expected("root", "a Uint8Array", options.root));
  if (typeof fetcher !== "function") throw new TypeError(expected("fetcher", "a function", fetcher));
  if (typeof store?.read !== "function") throw new TypeError(expected("store", "an UpdateStore", store));
  const shipped = options.root.slice();
  const limits = { ...usualLimits, ...options.limits };
  for (const [name, value] of Object.entries(limits)) {
    const seconds = name.toLowerCase().endsWith("seconds");
    checkNumber(`limits.${name}`, value, seconds ? { above: 0, max: 2e6 } : { min: 0, max: 2 ** 32, integer: true });
  }
  const threshold = createThreshold(verifierOf);
  let trusted: Trusted | undefined;
  let last: Promise<unknown> = Promise.resolve();

  const fetchMetadata = (path: string, where: string, limit: number, { signal }: UpdateCall) =>
    fetchWhole(fetcher, { kind: "metadata", path }, { where, limit, seconds: limits.seconds, signal });

  const byRoot = ({ signed }: Metadata<Root>, role: TopLevelRole): Authority => ({
    keys: signed.keys,
    role: signed.roles[role],
    by: `root ${signed.version}`,
  });

  /** What is kept under a name, if those who may now did sign it: other files are as good as none. */
  async function kept<T extends Signed>(
    name: string,
    reader: (bytes: Uint8Array) => Promise<Metadata<T>>,
    authority: Authority,
  ): Promise<Metadata<T> | undefined> {
    const bytes = await store.read(name);
    if (bytes === undefined) return undefined;
    try {
      const metadata = await reader(bytes);
      await threshold(metadata, authority);
      return metadata;
    } catch (error) {
      if (isUpdateError(error)) return undefined;
      throw error;
    }
  }

  async function cycle(call: UpdateCall): Promise<Trusted> {
    // 5.1 Record fixed update start time.
    const started = now();
    const root = await updateRoot(await loadRoot(), started, call);
    const timestamp = await updateTimestamp(root, started, call);
    const snapshot = await updateSnapshot(root, timestamp, started, call);
    const meta = snapshot.signed.meta.get("targets")!;
    const targets = await updateTargets("targets", meta, byRoot(root, "targets"), root, started, call);
    return { started, root, timestamp, snapshot, targets };
  }

  // 5.2 Load trusted root metadata: the newer one of what was shipped and what an earlier update proved.
  async function loadRoot(): Promise<Metadata<Root>> {
    const root = await readRoot(shipped);
    await threshold(root, byRoot(root, "root"));
    const bytes = await store.read("root.json");
    if (bytes !== undefined) {
      try {
        const later = await readRoot(bytes);
        await threshold(later, byRoot(later, "root"));
        if (later.signed.version > root.signed.version) return later;
      } catch (error) {
        if (!isUpdateError(error)) throw error; // a damaged file: the shipped root leads on
      }
    }
    if (bytes === undefined || !equalBytes(bytes, shipped)) await store.write("root.json", shipped);
    return root;
  }

  // 5.3 Update the root role.
  async function updateRoot(first: Metadata<Root>, started: Date, call: UpdateCall): Promise<Metadata<Root>> {
    let root = first;
    for (let count = 0; count < limits.roots; count++) {
      // 5.3.2, 5.3.3 Download version N+1; where there is none, N is the newest.
      const version = root.signed.version + 1;
      const where = `root ${version}`;
      const bytes = await fetchMetadata(`${version}.root.json`, where, limits.root, call);
      if (bytes === undefined) break;
      const next = await readRoot(bytes);
      // 5.3.4 Check for an arbitrary software attack: signed by those whom N names, and by those whom N+1 names.
      await threshold(next, byRoot(root, "root"));
      await threshold(next, byRoot(next, "root"));
      // 5.3.5 Check for a rollback attack.
      if (next.signed.version !== version) {
        throw updateError(
          "model-signing/update-rollback",
          where,
          `version ${version}`,
          `version ${next.signed.version}`,
        );
      }
      // 5.3.6 The expiry of an intermediate root does not matter.
      if (lostKeys(root.signed, next.signed)) await store.write(ROTATED, Uint8Array.of(1));
      // 5.3.7, 5.3.8 Set and persist it. 5.3.9 Repeat.
      await store.write("root.json", bytes);
      root = next;
    }
    // 5.3.10 Check for a freeze attack.
    checkExpiry(root, started);
    // 5.3.11 Fast-forward recovery: forget timestamp and snapshot when their keys were rotated.
    if ((await store.read(ROTATED)) !== undefined) {
      await store.remove("timestamp.json");
      await store.remove("snapshot.json");
      await store.remove(ROTATED);
    }
    // 5.3.12 `root` says whether consistent snapshots are used.
    return root;
  }

  // 5.4 Update the timestamp role.
  async function updateTimestamp(root: Metadata<Root>, started: Date, call: UpdateCall): Promise<Metadata<Timestamp>> {
    const authority = byRoot(root, "timestamp");
    const before = await kept("timestamp.json", readTimestamp, authority);
    // 5.4.1 Download it.
    const bytes = await fetchMetadata("timestamp.json", "timestamp", limits.timestamp, call);
    if (bytes === undefined) throw missing("timestamp");
    const next = await readTimestamp(bytes);
    // 5.4.2 Check for an arbitrary software attack.
    await threshold(next, authority);
    if (before !== undefined) {
      // 5.4.3.1 Check for a rollback attack; the same version is no news.
      notBelow("timestamp", next.signed.version, before.signed.version);
      if (next.signed.version === before.signed.version) {
        checkExpiry(before, started);
        return before;
      }
      // 5.4.3.2 Nor may the snapshot go back.
      notBelow("snapshot, as timestamp names it,", next.signed.snapshot.version, before.signed.snapshot.version);
    }
    // 5.4.4 Check for a freeze attack.
    checkExpiry(next, started);
    // 5.4.5 Persist it.
    await store.write("timestamp.json", bytes);
    return next;
  }

  // 5.5 Update the snapshot role.
  async function updateSnapshot(
    root: Metadata<Root>,
    { signed: { snapshot: meta } }: Metadata<Timestamp>,
    started: Date,
    call: UpdateCall,
  ): Promise<Metadata<Snapshot>> {
    const authority = byRoot(root, "snapshot");
    const before = await kept("snapshot.json", readSnapshot, authority);
    if (before !== undefined && (await isMeant(before, meta))) {
      checkExpiry(before, started);
      return before;
    }
    // 5.5.1 Download it. 5.5.2 Check against the timestamp role's hash.
    const next = await readSnapshot(await fetchMeant("snapshot", meta, limits.snapshot, root, call));
    // 5.5.3 Check for an arbitrary software attack.
    await threshold(next, authority);
    // 5.5.4 Check against the timestamp role's version.
    sameVersion("snapshot", next.signed.version, meta.version);
    // 5.5.5 Check for a rollback attack: no role goes back, none disappears.
    if (before !== undefined) {
      notBelow("snapshot", next.signed.version, before.signed.version);
      for (const [role, { version }] of before.signed.meta) {
        const file = next.signed.meta.get(role);
        const where = `${named(role)}, as snapshot names it,`;
        if (file === undefined)
          throw updateError("model-signing/update-rollback", where, `version ${version} or later`, "none");
        notBelow(where, file.version, version);
      }
    }
    // 5.5.6 Check for a freeze attack.
    checkExpiry(next, started);
    // 5.5.7 Persist it.
    await store.write("snapshot.json", next.bytes);
    return next;
  }

  // 5.6 Update the targets role, and in the same way every delegated one.
  async function updateTargets(
    role: string,
    meta: MetaFile,
    authority: Authority,
    root: Metadata<Root>,
    started: Date,
    call: UpdateCall,
  ): Promise<Metadata<Targets>> {
    const name = fileOf(role);
    const reader = (bytes: Uint8Array) => readTargets(bytes, role);
    const before = await kept(name, reader, authority);
    if (before !== undefined && (await isMeant(before, meta))) {
      checkExpiry(before, started);
      return before;
    }
    // 5.6.1 Download it. 5.6.2 Check against the snapshot role's hash.
    const next = await reader(await fetchMeant(role, meta, limits.targets, root, call));
    // 5.6.3 Check for an arbitrary software attack.
    await threshold(next, authority);
    // 5.6.4 Check against the snapshot role's version.
    sameVersion(named(role), next.signed.version, meta.version);
    // 5.6.5 Check for a freeze attack.
    checkExpiry(next, started);
    // 5.6.6 Persist it.
    await store.write(name, next.bytes);
    return next;
  }

  // 5.6.7 Perform a pre-order depth-first search, beginning with the top-level targets role.
  async function search(path: string, from: Trusted, call: UpdateCall): Promise<TargetInfo> {
    const found = ({ role, file }: { role: string; file: TargetFile }): TargetInfo => ({ path, ...file, role });
    const visited = new Set(["targets"]);
    const stack: { role: DelegatedRole; parent: Metadata<Targets> }[] = [];
    let current = from.targets;
    for (;;) {
      // 5.6.7.1 Does this role name the target?
      const file = current.signed.targets.get(path);
      if (file !== undefined) return found({ role: current.role, file });
      // 5.6.7.2 Its delegations come next, in their order, before those that wait; after a terminating one nothing does.
      const { delegations } = current.signed;
      const roles = delegations === undefined ? [] : await rolesFor(delegations, path);
      const last = roles.findIndex(({ terminating }) => terminating);
      if (last >= 0) stack.length = 0;
      const asked = last >= 0 ? roles.slice(0, last + 1) : roles;
      stack.push(...asked.map((role) => ({ role, parent: current })).reverse());
      let next = stack.pop();
      while (next !== undefined && visited.has(next.role.name)) next = stack.pop();
      if (next === undefined || visited.size > limits.delegations) {
        const got = `none of the ${visited.size} roles that were asked`;
        throw updateError("model-signing/update-unknown-target", `target ${shown(path)}`, "a role that names it", got);
      }
      visited.add(next.role.name);
      current = await delegated(next, from, call);
    }
  }

  async function delegated(
    { role, parent }: { role: DelegatedRole; parent: Metadata<Targets> },
    { snapshot, root, started }: Trusted,
    call: UpdateCall,
  ): Promise<Metadata<Targets>> {
    const meta = snapshot.signed.meta.get(role.name);
    if (meta === undefined) {
      throw updateError("model-signing/update-mismatch", named(role.name), "to be named by snapshot", "nothing");
    }
    const { keys } = parent.signed.delegations!;
    const authority = { keys, role, by: `${named(parent.role)} ${parent.signed.version}` };
    return updateTargets(role.name, meta, authority, root, started, call);
  }

  async function fetchMeant(role: string, meta: MetaFile, limit: number, root: Metadata<Root>, call: UpdateCall) {
    const path = `${root.signed.consistentSnapshot ? `${meta.version}.` : ""}${quoted(role)}.json`;
    const bytes = await fetchMetadata(path, named(role), Math.min(limit, meta.length ?? limit), call);
    if (bytes === undefined) throw missing(`${named(role)} ${meta.version}`);
    await checkFile(bytes, meta, named(role));
    return bytes;
  }

  const alone = <T>(run: () => Promise<T>): Promise<T> => {
    const turn = last.then(() => (store.exclusive === undefined ? run() : store.exclusive(run)));
    last = turn.catch(() => {});
    return turn;
  };
  const refreshed = async (call: UpdateCall) => {
    trusted = undefined; // an update that failed is not to be passed over
    trusted = await cycle(call);
    return trusted;
  };

  return {
    refresh: (call = {}) =>
      alone(async () => {
        const { root, timestamp, snapshot, targets } = await refreshed(call);
        return {
          root: root.signed.version,
          timestamp: timestamp.signed.version,
          snapshot: snapshot.signed.version,
          targets: targets.signed.version,
        };
      }),
    async targetInfo(path, call = {}) {
      partsOf(path);
      return alone(async () => search(path, trusted ?? (await refreshed(call)), call));
    },
    // 5.7 Fetch target.
    async download(info, { have, ...call } = {}) {
      const where = `target ${shown(info.path)}`;
      if (have !== undefined && (await isMeant({ bytes: have, signed: { version: 0 } }, { ...info, version: 0 })))
        return have;
      const { root } = trusted ?? (await alone(() => refreshed(call)));
      // 5.7.3 Download up to the number of bytes that is named, and verify it.
      const parts = partsOf(info.path).map(quoted);
      const prefix = info.hashes.sha256 ?? info.hashes.sha512 ?? Object.values(info.hashes)[0];
      if (root.signed.consistentSnapshot) parts.push(`${prefix}.${parts.pop()}`);
      const { download: most, downloadSeconds: seconds } = limits;
      if (info.length > most) {
        throw updateError("model-signing/update-too-large", where, `at most ${most} bytes`, `${info.length}`);
      }
      const request = { kind: "targets", path: parts.join("/") } as const;
      const bytes = await fetchWhole(fetcher, request, { where, limit: info.length, seconds, signal: call.signal });
      if (bytes === undefined) throw missing(where);
      await checkFile(bytes, info, where);
      return bytes;
    },
  };
}
