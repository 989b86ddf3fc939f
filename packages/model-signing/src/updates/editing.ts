import { type Json, olpcJson } from "@parapet/attestation";
import { expected } from "@parapet/core";
import {
  changedRole,
  draft,
  isTop,
  keysOf,
  put,
  type Repository,
  type RoleOptions,
  type RoleTable,
  type Table,
  withRole,
} from "./drafts.ts";
import type { JsonObject } from "./fields.ts";
import { hashesOf } from "./hashes.ts";
import { type TopLevelRole, topLevelRoles } from "./metadata.ts";

/** Options of `addTarget`. */
export interface TargetOptions {
  /** What is said of it, such as `releaseToJson` gives. */
  readonly custom?: JsonObject;
  /** The role that speaks for it; default "targets". */
  readonly role?: string;
}

/**
 * Adds a target, or puts another one in its place.
 *
 * @param repository - the repository
 * @param path - where clients ask for it, such as "digits/model.sig"
 * @param bytes - its bytes; they are not kept: publish them beside the metadata, as `targetFileNames` says
 * @param options - custom fields, role
 * @returns the repository with the change
 * @throws RangeError for a path that leads out, or an unknown role
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { addTarget, createRepository } from "@parapet/model-signing/updates";
 * const { publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const repository = await addTarget(await createRepository({ keys: [publicKey] }), "digits.sig", new Uint8Array(9));
 * console.log(Object.keys(repository.targets.signed.targets!).join()); // => digits.sig
 * ```
 */
export async function addTarget(
  repository: Repository,
  path: string,
  bytes: Uint8Array,
  options: TargetOptions = {},
): Promise<Repository> {
  const { custom, role = "targets" } = options;
  checkPath(path);
  const hashes: JsonObject = { ...(await hashesOf(bytes)) };
  const file: JsonObject = { length: bytes.length, hashes, ...(custom === undefined ? {} : { custom }) };
  olpcJson(file); // what cannot be signed is refused here
  return changedRole(repository, role, ({ targets }) => ({ targets: { ...(targets as Table), [path]: file } }));
}

/**
 * Takes a target away. Clients that have it keep it: to have them stop using a model, release it as revoked.
 *
 * @param repository - the repository
 * @param path - of the target
 * @param role - that speaks for it; default "targets"
 * @returns the repository with the change
 * @throws RangeError when there is none
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { addTarget, createRepository, removeTarget } from "@parapet/model-signing/updates";
 * const { publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const repository = await addTarget(await createRepository({ keys: [publicKey] }), "digits.sig", new Uint8Array(9));
 * console.log(Object.keys(removeTarget(repository, "digits.sig").targets.signed.targets!).length); // => 0
 * ```
 */
export function removeTarget(repository: Repository, path: string, role = "targets"): Repository {
  return changedRole(repository, role, ({ targets }) => {
    const { [path]: gone, ...others } = targets as Table;
    if (gone === undefined) throw new RangeError(expected("path", `a target of ${role}`, path));
    return { targets: others };
  });
}

/** Options of `addDelegation`. */
export interface DelegationOptions extends RoleOptions {
  /** Patterns of the paths that the role may speak for: `*` any characters but "/", `?` one of them. */
  readonly paths: readonly string[];
  /** No later role is asked about these paths; default false. */
  readonly terminating?: boolean;
  /** Who lets it speak; default "targets". */
  readonly from?: string;
}

/**
 * Lets another role speak for some paths, such as a team for its models; or changes its keys or paths.
 *
 * @param repository - the repository
 * @param name - of the role: letters, digits, ".", "-", "_"
 * @param options - its keys and paths
 * @returns the repository with the change
 * @throws RangeError or TypeError
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { addDelegation, createRepository } from "@parapet/model-signing/updates";
 * const [main, team] = [await generateKeyPair("ecdsa-p256-sha256"), await generateKeyPair("ecdsa-p256-sha256")];
 * const empty = await createRepository({ keys: [main.publicKey] });
 * const repository = await addDelegation(empty, "vision", { keys: [team.publicKey], paths: ["vision/*"] });
 * console.log(repository.changed.join()); // => root,targets,vision
 * ```
 */
export async function addDelegation(
  repository: Repository,
  name: string,
  options: DelegationOptions,
): Promise<Repository> {
  const { paths, terminating = false, from = "targets" } = options;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) || [...topLevelRoles, "mirrors"].includes(name)) {
    throw new RangeError(expected("name", 'letters, digits, ".", "-" and "_", none of the top-level roles', name));
  }
  if (paths.length === 0) throw new RangeError(expected("paths", "at least one", paths.length));
  const { table, said } = await keysOf(options);
  const role: JsonObject = { name, ...said, paths: [...paths], terminating };
  const after = changedRole(repository, from, ({ delegations }) => {
    const before = (delegations ?? { keys: {}, roles: [] }) as {
      keys: Table;
      roles: readonly (JsonObject & RoleTable[string])[];
    };
    const at = before.roles.findIndex((one) => (one as JsonObject).name === name);
    const roles: JsonObject[] = [...before.roles];
    roles.splice(at < 0 ? roles.length : at, at < 0 ? 0 : 1, role);
    const used = new Set(roles.flatMap(({ keyids }) => keyids as string[]));
    const keys = Object.entries<Json>({ ...before.keys, ...table }).filter(([keyid]) => used.has(keyid));
    return { delegations: { keys: Object.fromEntries(keys), roles } };
  });
  if (Object.hasOwn(after.delegated, name)) return changedRole(after, name, () => ({})); // to be signed by the new keys
  return { ...put(after, name, draft("targets", { targets: {} })), changed: [...after.changed, name] };
}

/**
 * Gives a role other keys: after a loss, a theft, or as a habit. Everything it signed is signed again by the next release; a
 * new root needs the old keys of root, too.
 *
 * @param repository - the repository
 * @param role - one of the four
 * @param options - its new keys
 * @returns the repository with the change
 * @throws TypeError or RangeError as `createRepository`
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { createRepository, rotateKeys } from "@parapet/model-signing/updates";
 * const [old, fresh] = [await generateKeyPair("ecdsa-p256-sha256"), await generateKeyPair("ecdsa-p256-sha256")];
 * const repository = await createRepository({ keys: [old.publicKey] });
 * console.log(Object.keys((await rotateKeys(repository, "timestamp", { keys: [fresh.publicKey] })).root.signed.keys!).length); // => 2
 * ```
 *
 * Source: The Update Framework specification 1.0, section 6.1.
 */
export async function rotateKeys(
  repository: Repository,
  role: TopLevelRole,
  options: RoleOptions,
): Promise<Repository> {
  if (!isTop(role)) throw new RangeError(expected("role", topLevelRoles.join(", "), role));
  const { signed } = await withRole(repository.root, role, options);
  const after = changedRole(repository, "root", () => signed);
  return role === "targets" ? changedRole(after, "targets", () => ({})) : after;
}

/**
 * Has a role signed again by the next release though nothing changed in it: before the time comes until which it holds.
 *
 * @param repository - the repository
 * @param role - root, targets or a delegated one; snapshot and timestamp are signed as often as is needed
 * @returns the repository with the change
 * @throws RangeError for another role
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { createRepository, releaseRepository, renewRole } from "@parapet/model-signing/updates";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const { repository } = await releaseRepository(await createRepository({ keys: [publicKey] }), { signers: [signer] });
 * console.log(renewRole(repository, "root").root.signed.version); // => 2
 * ```
 */
export function renewRole(repository: Repository, role: string): Repository {
  if (role === "snapshot" || role === "timestamp") throw new RangeError(expected("role", "root or targets", role));
  return changedRole(repository, role, () => ({}));
}

function checkPath(path: string): void {
  const parts = typeof path === "string" && path.length <= 4096 && !/\p{Cs}/u.test(path) ? path.split("/") : [""];
  if (parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new RangeError(expected("path", 'a relative path without ".", ".." or an empty part', path));
  }
}
