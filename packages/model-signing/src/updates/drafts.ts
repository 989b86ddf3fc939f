import type { Json, PublicKey } from "@parapet/attestation";
import { checkNumber, expected } from "@parapet/core";
import type { JsonObject } from "./fields.ts";
import { keyidOf, keyToJson } from "./keys.ts";
import { type TopLevelRole, topLevelRoles } from "./metadata.ts";

/** A file of metadata that is being written: what is to be signed, and who has. Plain JSON. */
export interface MetadataDraft {
  readonly signed: JsonObject & { readonly version: number; readonly expires: string };
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
}

/** A repository as its publisher has it: plain JSON, which can go from signer to signer. */
export interface Repository {
  readonly root: MetadataDraft;
  readonly targets: MetadataDraft;
  readonly snapshot: MetadataDraft;
  readonly timestamp: MetadataDraft;
  /** Roles that targets, or one of these, lets speak. */
  readonly delegated: Readonly<Record<string, MetadataDraft>>;
  /** The root that was published last: its keys, too, must sign the next one. */
  readonly lastRoot?: MetadataDraft;
  /** Roles that were changed since then. */
  readonly changed: readonly string[];
}

/** The keys of one role. */
export interface RoleOptions {
  readonly keys: readonly PublicKey[];
  /** How many of them must sign; default 1. */
  readonly threshold?: number;
}

/** Options of `createRepository`. */
export interface RepositoryOptions extends RoleOptions {
  /** Roles with keys of their own; `keys` and `threshold` are those of the others. */
  readonly roles?: Readonly<Partial<Record<TopLevelRole, RoleOptions>>>;
  /** Versioned names for all files, so that one release never overwrites another's; default true. */
  readonly consistentSnapshot?: boolean;
}

/**
 * A new repository: four roles, no targets, nothing signed. Give root and targets keys that lie offline, held by several
 * people; snapshot and timestamp one that a machine may use.
 *
 * @param options - public keys
 * @returns the repository; give it to `addTarget` and `releaseRepository`
 * @throws TypeError or RangeError for keys that updates are not signed with, or a threshold above their number
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { createRepository } from "@parapet/model-signing/updates";
 * const [offline, online] = [await generateKeyPair("ecdsa-p384-sha384"), await generateKeyPair("ecdsa-p256-sha256")];
 * const machine = { keys: [online.publicKey] };
 * const repository = await createRepository({ keys: [offline.publicKey], roles: { snapshot: machine, timestamp: machine } });
 * console.log(repository.root.signed.version, repository.changed.join()); // => 1 root,targets
 * ```
 *
 * Source: The Update Framework specification 1.0, sections 4 and 6.
 */
export async function createRepository(options: RepositoryOptions): Promise<Repository> {
  const { roles = {}, consistentSnapshot = true } = options;
  let root = draft("root", { consistent_snapshot: consistentSnapshot, keys: {}, roles: {} });
  for (const role of topLevelRoles) root = await withRole(root, role, roles[role] ?? options);
  return {
    root,
    targets: draft("targets", { targets: {} }),
    snapshot: draft("snapshot", { meta: {} }, 0),
    timestamp: draft("timestamp", { meta: {} }, 0),
    delegated: {},
    changed: ["root", "targets"],
  };
}

const NEVER = "1970-01-01T00:00:00Z";

/** A role that nobody signed. */
export const draft = (type: string, body: JsonObject, version = 1): MetadataDraft => ({
  signed: { _type: type, spec_version: "1.0.34", version, expires: NEVER, ...body },
  signatures: [],
});

/** An object of JSON whose names are data. */
export type Table = Readonly<Record<string, Json>>;
/** Keys and thresholds by role. */
export type RoleTable = Readonly<Record<string, { readonly keyids: readonly string[]; readonly threshold: number }>>;

/** Keys as metadata has them. */
export async function keysOf({ keys, threshold = 1 }: RoleOptions) {
  const table: Record<string, Json> = {};
  for (const key of keys) {
    const json = keyToJson(key);
    table[await keyidOf(json)] = json;
  }
  const keyids = Object.keys(table);
  if (keyids.length === 0) throw new RangeError(expected("keys", "at least one", keys.length));
  checkNumber("threshold", threshold, { min: 1, max: keyids.length, integer: true });
  return { table, said: { keyids, threshold } };
}

/** A root with other keys for a role; keys that no role names any more go. */
export async function withRole(root: MetadataDraft, role: TopLevelRole, options: RoleOptions): Promise<MetadataDraft> {
  const { table, said } = await keysOf(options);
  const roles: RoleTable = { ...(root.signed.roles as RoleTable), [role]: said };
  const used = new Set(Object.values(roles).flatMap(({ keyids }) => keyids));
  const all: Table = { ...(root.signed.keys as Table), ...table };
  const keys = Object.fromEntries(Object.entries(all).filter(([keyid]) => used.has(keyid)));
  return { ...root, signed: { ...root.signed, keys, roles: roles as unknown as Json } };
}

/** The draft of a role, one version above the published one. */
export function changedRole(
  repository: Repository,
  role: string,
  edit: (signed: MetadataDraft["signed"]) => JsonObject,
): Repository {
  const before = draftOf(repository, role);
  const again = repository.changed.includes(role);
  const version = before.signed.version + (again ? 0 : 1);
  const signed = { ...before.signed, ...edit(before.signed), version } as MetadataDraft["signed"];
  const changed = again ? repository.changed : [...repository.changed, role];
  return { ...put(repository, role, { signed, signatures: [] }), changed };
}

/** Whether it is one of the four. */
export const isTop = (role: string): role is TopLevelRole => (topLevelRoles as readonly string[]).includes(role);

/** The draft of a role, or a caller's mistake. */
export function draftOf(repository: Repository, role: string): MetadataDraft {
  const found = isTop(role)
    ? repository[role]
    : Object.hasOwn(repository.delegated, role)
      ? repository.delegated[role]
      : undefined;
  if (found === undefined) throw new RangeError(expected("role", "a role of the repository", role));
  return found;
}

/** The repository with another draft of a role. */
export const put = (repository: Repository, role: string, file: MetadataDraft): Repository =>
  isTop(role)
    ? { ...repository, [role]: file }
    : { ...repository, delegated: { ...repository.delegated, [role]: file } };
