import { type Json, sha256, toHex, toUtf8 } from "@parapet/attestation";
import { asDigits, asFlag, asList, asObject, asText, asWhole, field, malformed } from "./fields.ts";
import { readKeys, type UpdateKey } from "./keys.ts";

/** Whose signatures a role needs, and how many. */
export interface RoleKeys {
  readonly keyids: readonly string[];
  readonly threshold: number;
}

/** A role that may speak for some paths. */
export interface DelegatedRole extends RoleKeys {
  readonly name: string;
  /** No later role is asked about a path of this one. */
  readonly terminating: boolean;
  /** Patterns of paths, or beginnings of the SHA-256 of paths. */
  readonly covers: { readonly paths: readonly string[] } | { readonly prefixes: readonly string[] };
}

/** Equal shares of all paths by their hash, one role for each (TAP 15). */
export interface SuccinctRoles extends RoleKeys {
  readonly bits: number;
  readonly prefix: string;
}

/** Whom a role lets speak for paths of its own. */
export interface Delegations {
  readonly keys: ReadonlyMap<string, UpdateKey>;
  readonly roles: readonly DelegatedRole[];
  readonly succinct?: SuccinctRoles;
}

/** Roles that no other role can be called. */
const taken = ["root", "timestamp", "snapshot", "targets", "mirrors"];

/** Reads which keys a role has. A threshold above their number can never be met, and is no reason to refuse the root. */
export function readRoleKeys(value: Json | undefined, keys: ReadonlyMap<string, UpdateKey>, where: string): RoleKeys {
  const role = asObject(value, where);
  const keyids = asList(field(role, "keyids"), `${where} keyids`).map((one) => asDigits(one, `${where} keyid`, 64, 64));
  if (new Set(keyids).size !== keyids.length) throw malformed(`${where} keyids`, "each key once", "one twice");
  const unknown = keyids.find((keyid) => !keys.has(keyid));
  if (unknown !== undefined) throw malformed(`${where} keyids`, "keys that are described", unknown);
  return { keyids, threshold: asWhole(field(role, "threshold"), `${where} threshold`, 1) };
}

const texts = (value: Json | undefined, where: string) => asList(value, where).map((one) => asText(one, where));

function checkRoleName(name: string, where: string): string {
  if (name === "" || name.length > 256 || taken.includes(name)) {
    throw malformed(where, `a name of 1 to 256 characters that is none of ${taken.join(", ")}`, name);
  }
  return name;
}

/** Reads delegations: roles in their order, or equal shares. */
export async function readDelegations(value: Json, where: string): Promise<Delegations> {
  const object = asObject(value, where);
  const keys = await readKeys(field(object, "keys"), `${where} keys`);
  const [list, equal] = [field(object, "roles"), field(object, "succinct_roles")];
  if ((list === undefined) === (equal === undefined)) throw malformed(where, '"roles" or "succinct_roles"', list);
  if (equal !== undefined) return { keys, roles: [], succinct: readSuccinct(equal, keys, `${where} succinct_roles`) };
  const names = new Set<string>();
  const roles = asList(list, `${where} roles`).map((json): DelegatedRole => {
    const role = asObject(json, `${where} role`);
    const name = checkRoleName(asText(field(role, "name"), `${where} role name`), `${where} role name`);
    if (names.has(name)) throw malformed(`${where} roles`, "each name once", name);
    names.add(name);
    const place = `${where} role ${JSON.stringify(name.slice(0, 100))}`;
    const [paths, prefixes] = [field(role, "paths"), field(role, "path_hash_prefixes")];
    if ((paths === undefined) === (prefixes === undefined)) {
      throw malformed(place, 'either "paths" or "path_hash_prefixes"', paths === undefined ? undefined : "both");
    }
    const terminating = field(role, "terminating");
    return {
      name,
      ...readRoleKeys(role, keys, place),
      terminating: terminating !== undefined && asFlag(terminating, `${place} terminating`),
      covers:
        paths === undefined
          ? { prefixes: texts(prefixes, `${place} prefix`).map((one) => asDigits(one, `${place} prefix`, 1, 64)) }
          : { paths: texts(paths, `${place} paths`) },
    };
  });
  return { keys, roles };
}

function readSuccinct(value: Json, keys: ReadonlyMap<string, UpdateKey>, where: string): SuccinctRoles {
  const object = asObject(value, where);
  const prefix = checkRoleName(asText(field(object, "name_prefix"), `${where} name_prefix`), `${where} name_prefix`);
  const bits = asWhole(field(object, "bit_length"), `${where} bit_length`, 1, 32);
  return { ...readRoleKeys(object, keys, where), bits, prefix };
}

/** The roles that may speak for a path, in the order in which they are asked. */
export async function rolesFor({ roles, succinct }: Delegations, path: string): Promise<readonly DelegatedRole[]> {
  const digest = toHex(await sha256(toUtf8(path)));
  if (succinct !== undefined) {
    const { bits, prefix, keyids, threshold } = succinct;
    const bin = Math.floor(Number.parseInt(digest.slice(0, 8), 16) / 2 ** (32 - bits));
    const name = `${prefix}-${bin.toString(16).padStart(Math.ceil(bits / 4), "0")}`;
    return [{ name, keyids, threshold, terminating: true, covers: { paths: [path] } }];
  }
  return roles.filter(({ covers }) =>
    "paths" in covers
      ? covers.paths.some((pattern) => matchesPath(pattern, path))
      : covers.prefixes.some((prefix) => digest.startsWith(prefix)),
  );
}

/** Whether a pattern means a path: `*` stands for any characters but "/", `?` for one of them, all others for themselves. */
export function matchesPath(pattern: string, path: string): boolean {
  const [wanted, parts] = [pattern.split("/"), path.split("/")];
  return wanted.length === parts.length && wanted.every((one, i) => matchesPart(one, parts[i]!));
}

/** Goes back to the last star only, so the time is at most the product of the lengths. */
function matchesPart(pattern: string, part: string): boolean {
  const [wanted, found] = [Array.from(pattern), Array.from(part)];
  let [at, star, resume] = [0, -1, 0];
  for (let i = 0; i < found.length; ) {
    if (wanted[at] === "*") {
      star = at++;
      resume = i;
    } else if (at < wanted.length && (wanted[at] === "?" || wanted[at] === found[i])) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++resume;
    } else return false;
  }
  while (wanted[at] === "*") at++;
  return at === wanted.length;
}
