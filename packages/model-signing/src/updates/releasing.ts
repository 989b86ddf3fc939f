import { type Json, olpcJson, type Signer, toHex, toUtf8 } from "@parapet/attestation";
import { checkNumber, expected } from "@parapet/core";
import {
  changedRole,
  draftOf,
  isTop,
  type MetadataDraft,
  put,
  type Repository,
  type RoleTable,
  type Table,
} from "./drafts.ts";
import { updateError } from "./errors.ts";
import type { JsonObject } from "./fields.ts";
import { type Hashes, hashesOf } from "./hashes.ts";
import { keyidOf, keyToJson } from "./keys.ts";
import { readRoot, readTargets, type TopLevelRole } from "./metadata.ts";
import { createThreshold } from "./threshold.ts";

/** Days for which signed metadata holds. */
export type Lifetimes = Readonly<Partial<Record<"root" | "targets" | "snapshot" | "timestamp", number>>>;

/** Usual ones: the timestamp is signed anew by a machine, the root by people. */
const usual = { root: 365, targets: 90, snapshot: 30, timestamp: 2 } as const;

/**
 * Adds signatures to a role's draft. People on several machines pass the repository on as JSON, each adding theirs; the time
 * until which it holds is set by the first. Any change of the draft takes all signatures away.
 *
 * @param repository - with the draft
 * @param role - root, targets or a delegated role; the others are signed by `releaseRepository`
 * @param signers - whose keys are the role's, or, for root, were those of the root before
 * @param options - days it is to hold, clock
 * @returns the repository with the signatures
 * @throws RangeError when the role has not changed, or a signer is none of its
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { createRepository, signRole } from "@parapet/model-signing/updates";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const repository = await createRepository({ keys: [publicKey] });
 * console.log((await signRole(repository, "root", [signer])).root.signatures.length); // => 1
 * ```
 */
export async function signRole(
  repository: Repository,
  role: string,
  signers: readonly Signer[],
  options: { readonly days?: number; readonly now?: () => Date } = {},
): Promise<Repository> {
  if (!repository.changed.includes(role)) throw new RangeError(expected("role", "one that has changed", role));
  const allowed = namedKeys(repository, role);
  for (const { publicKey } of signers) {
    if (!allowed.has(await keyidOf(keyToJson(publicKey)))) {
      throw new RangeError(expected("signers", `keys of ${role}`, publicKey.fingerprint));
    }
  }
  const { days = usual[role as TopLevelRole] ?? usual.targets, now = () => new Date() } = options;
  return put(repository, role, await signed(draftOf(repository, role), signers, days, now()));
}

async function signed(
  file: MetadataDraft,
  signers: readonly Signer[],
  days: number,
  now: Date,
): Promise<MetadataDraft> {
  checkNumber("days", days, { above: 0, max: 36_500 });
  const ends = new Date(now.getTime() + days * 86_400_000).toISOString().replace(/\.\d+Z$/, "Z");
  const body = file.signatures.length > 0 ? file.signed : { ...file.signed, expires: ends };
  const payload = olpcJson(body);
  const signatures = new Map(file.signatures.map((one) => [one.keyid, one.sig]));
  for (const signer of signers) {
    const keyid = await keyidOf(keyToJson(signer.publicKey));
    if (!signatures.has(keyid)) signatures.set(keyid, toHex(await signer.sign(payload)));
  }
  return { signed: body, signatures: [...signatures].map(([keyid, sig]) => ({ keyid, sig })) };
}

/** The identifiers of all keys that may sign a role's draft. */
function namedKeys({ root, lastRoot, targets, delegated }: Repository, role: string): Set<string> {
  const roles = ({ signed }: MetadataDraft) => signed.roles as RoleTable;
  if (role === "root") return new Set([root, lastRoot ?? root].flatMap((file) => roles(file).root!.keyids));
  if (isTop(role)) return new Set(roles(root)[role]!.keyids);
  const lists = [targets, ...Object.values(delegated)].map(
    ({ signed }) => (signed.delegations as { roles?: readonly JsonObject[] } | undefined)?.roles ?? [],
  );
  return new Set(lists.flat().flatMap(({ name, keyids }) => (name === role ? (keyids as string[]) : [])));
}

/** Options of `releaseRepository`. */
export interface ReleaseOptions {
  /** All that sign here: each signs the roles whose key it has. Roles that are signed already need none. */
  readonly signers: readonly Signer[];
  /** Days for which metadata holds; default 365 for root, 90 for targets, 30 for snapshot and 2 for timestamp. */
  readonly days?: Lifetimes;
  readonly now?: () => Date;
}

/** A release that is ready to be published. */
export interface Release {
  /** The repository after it, to be kept for the next one. */
  readonly repository: Repository;
  /** New files of metadata by name, in the order in which to publish them: the timestamp last, which makes them visible. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/**
 * Signs what has changed, with a new snapshot where that is needed and a new timestamp always; nothing changed, it is a new
 * timestamp alone, as a machine makes each day. Every threshold is checked as clients will, before anything is published.
 *
 * @param repository - the repository
 * @param options - signers, lifetimes
 * @returns the files, and the repository after them
 * @throws `model-signing/update-signature` with the role that lacks signatures
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { createRepository, releaseRepository } from "@parapet/model-signing/updates";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const { files } = await releaseRepository(await createRepository({ keys: [publicKey] }), { signers: [signer] });
 * console.log([...files.keys()].join()); // => 1.targets.json,1.snapshot.json,1.root.json,timestamp.json
 * ```
 *
 * Source: The Update Framework specification 1.0, sections 6.2 and 6.3.
 */
export async function releaseRepository(repository: Repository, options: ReleaseOptions): Promise<Release> {
  const { signers, days = {}, now = () => new Date() } = options;
  const time = now();
  const holding = await Promise.all(
    signers.map(async (one) => [await keyidOf(keyToJson(one.publicKey)), one] as const),
  );
  let after = repository;
  const signOf = async (role: string, kind: TopLevelRole) => {
    const allowed = namedKeys(after, role);
    const own = holding.flatMap(([keyid, signer]) => (allowed.has(keyid) ? [signer] : []));
    after = put(after, role, await signed(draftOf(after, role), own, days[kind] ?? usual[kind], time));
  };
  const consistent = (repository.root.signed.consistent_snapshot ?? false) === true;
  const files = new Map<string, Uint8Array>();
  const nameOf = (role: string) =>
    consistent || role === "root" ? `${draftOf(after, role).signed.version}.${role}.json` : `${role}.json`;
  const write = (role: string, name = nameOf(role)) => files.set(name, bytesOf(draftOf(after, role)));

  // A root that takes keys away has all that they signed signed again.
  const mine = repository.changed.filter((role) => role !== "snapshot" && role !== "timestamp");
  for (const role of mine) await signOf(role, role === "root" ? "root" : "targets");
  for (const role of mine) if (role !== "root") write(role);
  const speakers = ["targets", ...Object.keys(after.delegated)];
  const fresh = speakers.filter((role) => mine.includes(role));
  if (fresh.length > 0 || mine.includes("root") || isEnding(after.snapshot, time)) {
    const meta: Record<string, Json> = { ...(after.snapshot.signed.meta as Table) };
    for (const role of fresh) meta[`${role}.json`] = await metaOf(draftOf(after, role));
    after = changedRole(after, "snapshot", () => ({ meta }));
    await signOf("snapshot", "snapshot");
    write("snapshot");
  }
  if (mine.includes("root")) write("root");
  const meta = { "snapshot.json": await metaOf(after.snapshot) };
  after = changedRole(after, "timestamp", () => ({ meta }));
  await signOf("timestamp", "timestamp");
  write("timestamp", "timestamp.json");
  await checkThresholds(after);
  return { repository: { ...after, lastRoot: after.root, changed: [] }, files };
}

const bytesOf = (file: MetadataDraft): Uint8Array => toUtf8(`${JSON.stringify(file, undefined, 1)}\n`);

async function metaOf(file: MetadataDraft): Promise<JsonObject> {
  const bytes = bytesOf(file);
  return { version: file.signed.version, length: bytes.length, hashes: { ...(await hashesOf(bytes)) } };
}

/** Whether less than a third of 30 days is left. */
const isEnding = ({ signed }: MetadataDraft, now: Date): boolean =>
  Date.parse(signed.expires) - now.getTime() < 10 * 86_400_000;

/** Reads all of it as a client would. */
async function checkThresholds({ root, lastRoot, targets, snapshot, timestamp, delegated }: Repository): Promise<void> {
  const threshold = createThreshold();
  const { signed, ...file } = await readRoot(bytesOf(root));
  const by = (role: TopLevelRole, from = signed) => ({
    keys: from.keys,
    role: from.roles[role],
    by: `root ${from.version}`,
  });
  await threshold({ signed, ...file }, by("root"));
  if (lastRoot !== undefined)
    await threshold({ signed, ...file }, by("root", (await readRoot(bytesOf(lastRoot))).signed));
  const top = await readTargets(bytesOf(targets));
  await threshold(top, by("targets"));
  for (const [role, one] of [
    ["snapshot", snapshot],
    ["timestamp", timestamp],
  ] as const) {
    const payload = olpcJson(one.signed);
    const signatures = one.signatures.map(({ keyid, sig }) => ({ keyid, signature: Uint8Array.from(hexOf(sig)) }));
    await threshold(
      { role, signed: { version: 1, expires: new Date() }, payload, signatures, bytes: payload },
      by(role),
    );
  }
  const names = Object.keys(delegated);
  const read = new Map(
    await Promise.all(names.map(async (name) => [name, await readTargets(bytesOf(delegated[name]!), name)] as const)),
  );
  for (const {
    signed: { delegations },
    role: from,
  } of [top, ...read.values()]) {
    for (const role of delegations?.roles ?? []) {
      const one = read.get(role.name);
      if (one === undefined)
        throw updateError("model-signing/update-mismatch", role.name, "a file of metadata", "none");
      await threshold(one, { keys: delegations!.keys, role, by: from });
    }
  }
}

const hexOf = (sig: string): number[] => (sig.match(/../g) ?? []).map((digits) => Number.parseInt(digits, 16));

/**
 * The names under which a target's bytes are published: one for each of its hashes, or its own path where snapshots are not
 * consistent.
 *
 * @param repository - the repository
 * @param path - of the target
 * @param role - that speaks for it; default "targets"
 * @returns paths below the place of targets
 * @throws RangeError when there is no such target
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { addTarget, createRepository, targetFileNames } from "@parapet/model-signing/updates";
 * const { publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const repository = await addTarget(await createRepository({ keys: [publicKey] }), "a/b.sig", new Uint8Array(9));
 * console.log(targetFileNames(repository, "a/b.sig").map((name) => name.length).join()); // => 72
 * ```
 */
export function targetFileNames(repository: Repository, path: string, role = "targets"): readonly string[] {
  const file = (draftOf(repository, role).signed.targets as Table)[path] as { readonly hashes: Hashes } | undefined;
  if (file === undefined) throw new RangeError(expected("path", `a target of ${role}`, path));
  if (repository.root.signed.consistent_snapshot !== true) return [path];
  const at = path.lastIndexOf("/") + 1;
  return Object.values(file.hashes).map((hash) => `${path.slice(0, at)}${hash}.${path.slice(at)}`);
}
