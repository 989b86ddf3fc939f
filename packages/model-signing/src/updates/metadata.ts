import { type AttestationError, fromHex, type Json, olpcJson, parseJson } from "@parapet/attestation";
import { shown } from "../problem.ts";
import { type Delegations, type RoleKeys, readDelegations, readRoleKeys } from "./delegations.ts";
import { updateError } from "./errors.ts";
import {
  asDigits,
  asFlag,
  asList,
  asObject,
  asText,
  asTime,
  asWhole,
  field,
  type JsonObject,
  malformed,
} from "./fields.ts";
import { type Hashes, readHashes } from "./hashes.ts";
import { readKeys, type UpdateKey } from "./keys.ts";

/** The four roles that the root names. */
export const topLevelRoles = ["root", "timestamp", "snapshot", "targets"] as const;
export type TopLevelRole = (typeof topLevelRoles)[number];

/** What every kind of metadata says. */
export interface Signed {
  readonly version: number;
  readonly expires: Date;
}

/** Whose keys count, for every role. */
export interface Root extends Signed {
  readonly type: "root";
  readonly consistentSnapshot: boolean;
  readonly keys: ReadonlyMap<string, UpdateKey>;
  readonly roles: Readonly<Record<TopLevelRole, RoleKeys>>;
}

/** A file of metadata as another one names it. */
export interface MetaFile {
  readonly version: number;
  readonly length?: number;
  readonly hashes?: Hashes;
}

/** Which snapshot is the newest. */
export interface Timestamp extends Signed {
  readonly type: "timestamp";
  readonly snapshot: MetaFile;
}

/** Which files of metadata belong together, by the name of the role. */
export interface Snapshot extends Signed {
  readonly type: "snapshot";
  readonly meta: ReadonlyMap<string, MetaFile>;
}

/** A file that is to be had. */
export interface TargetFile {
  readonly length: number;
  readonly hashes: Hashes;
  /** What the publisher says of it: an object. */
  readonly custom?: Json;
}

/** The files that a role speaks for, and whom it lets speak. */
export interface Targets extends Signed {
  readonly type: "targets";
  readonly targets: ReadonlyMap<string, TargetFile>;
  readonly delegations?: Delegations;
}

/** A file of metadata: what it says, and who signed it. Nothing is proven yet. */
export interface Metadata<T extends Signed = Signed> {
  /** The name of its role. */
  readonly role: string;
  readonly signed: T;
  /** The bytes that are signed. */
  readonly payload: Uint8Array;
  readonly signatures: readonly { readonly keyid: string; readonly signature: Uint8Array }[];
  /** The file as it came. */
  readonly bytes: Uint8Array;
}

/** How a role is called in messages. */
export const named = (role: string): string =>
  (topLevelRoles as readonly string[]).includes(role) ? role : `role ${shown(role)}`;

async function read<T extends Signed>(
  bytes: Uint8Array,
  role: string,
  type: string,
  body: (signed: JsonObject, about: Signed, where: string) => T | Promise<T>,
): Promise<Metadata<T>> {
  const where = named(role);
  try {
    const file = asObject(parseJson(bytes), where);
    const signed = asObject(field(file, "signed"), `${where} signed`);
    if (field(signed, "_type") !== type) throw malformed(`${where} _type`, shown(type), field(signed, "_type"));
    const specification = asText(field(signed, "spec_version"), `${where} spec_version`);
    if (!/^1\.0(\.(0|[1-9]\d{0,5}))?$/.test(specification)) {
      throw updateError("model-signing/update-unsupported", `${where} spec_version`, "1.0", shown(specification));
    }
    const version = asWhole(field(signed, "version"), `${where} version`, 1);
    const expires = asTime(field(signed, "expires"), `${where} expires`);
    const seen = new Set<string>();
    const signatures = asList(field(file, "signatures"), `${where} signatures`).map((json) => {
      const one = asObject(json, `${where} signature`);
      const keyid = asDigits(field(one, "keyid"), `${where} signature's keyid`, 64, 64);
      if (seen.has(keyid)) throw malformed(`${where} signatures`, "each key once", keyid);
      seen.add(keyid);
      // Those who have not signed yet stand there with an empty one.
      return { keyid, signature: fromHex(asDigits(field(one, "sig"), `${where} signature`, 0, 16384)) };
    });
    return {
      role,
      signed: await body(signed, { version, expires }, where),
      payload: olpcJson(signed),
      signatures,
      bytes,
    };
  } catch (cause) {
    const { code, message } = cause as AttestationError;
    if (!String(code).startsWith("attestation/")) throw cause;
    throw updateError("model-signing/update-malformed", where, "metadata", message, { cause });
  }
}

/** Reads root metadata (section 4.3 of the specification). */
export function readRoot(bytes: Uint8Array): Promise<Metadata<Root>> {
  return read(bytes, "root", "root", async (signed, about, where) => {
    const keys = await readKeys(field(signed, "keys"), `${where} keys`);
    const roles = asObject(field(signed, "roles"), `${where} roles`);
    const strange = Object.keys(roles).find((name) => !["mirrors", ...topLevelRoles].includes(name));
    if (strange !== undefined)
      throw malformed(`${where} roles`, `only ${topLevelRoles.join(", ")} and mirrors`, strange);
    const roleOf = (name: TopLevelRole) => readRoleKeys(field(roles, name), keys, `${where} roles ${name}`);
    const consistent = field(signed, "consistent_snapshot");
    return {
      type: "root",
      ...about,
      consistentSnapshot: consistent !== undefined && asFlag(consistent, `${where} consistent_snapshot`),
      keys,
      roles: {
        root: roleOf("root"),
        timestamp: roleOf("timestamp"),
        snapshot: roleOf("snapshot"),
        targets: roleOf("targets"),
      },
    };
  });
}

function readMetaFile(value: Json, where: string): MetaFile {
  const meta = asObject(value, where);
  const [length, hashes] = [field(meta, "length"), field(meta, "hashes")];
  return {
    version: asWhole(field(meta, "version"), `${where} version`, 1),
    ...(length === undefined ? {} : { length: asWhole(length, `${where} length`, 1) }),
    ...(hashes === undefined ? {} : { hashes: readHashes(hashes, `${where} hashes`) }),
  };
}

/** Reads timestamp metadata (section 4.6). */
export function readTimestamp(bytes: Uint8Array): Promise<Metadata<Timestamp>> {
  return read(bytes, "timestamp", "timestamp", (signed, about, where) => {
    const meta = asObject(field(signed, "meta"), `${where} meta`);
    const [[name, file] = ["nothing", null], ...others] = Object.entries(meta);
    if (name !== "snapshot.json" || others.length > 0) throw malformed(`${where} meta`, '"snapshot.json" alone', name);
    return { type: "timestamp", ...about, snapshot: readMetaFile(file, `${where} meta snapshot.json`) };
  });
}

/** Reads snapshot metadata (section 4.4). */
export function readSnapshot(bytes: Uint8Array): Promise<Metadata<Snapshot>> {
  return read(bytes, "snapshot", "snapshot", (signed, about, where) => {
    const meta = new Map<string, MetaFile>();
    for (const [name, file] of Object.entries(asObject(field(signed, "meta"), `${where} meta`))) {
      const place = `${where} meta ${shown(name)}`;
      if (!name.endsWith(".json") || name === ".json") throw malformed(place, 'a name that ends with ".json"', name);
      meta.set(name.slice(0, -5), readMetaFile(file, place));
    }
    if (!meta.has("targets")) throw malformed(`${where} meta`, '"targets.json"', undefined);
    return { type: "snapshot", ...about, meta };
  });
}

/** Reads targets metadata (section 4.5), of the top-level role or a delegated one. */
export function readTargets(bytes: Uint8Array, role = "targets"): Promise<Metadata<Targets>> {
  return read(bytes, role, "targets", async (signed, about, where) => {
    const targets = new Map<string, TargetFile>();
    for (const [path, json] of Object.entries(asObject(field(signed, "targets"), `${where} targets`))) {
      const place = `${where} target ${shown(path)}`;
      const file = asObject(json, place);
      const custom = field(file, "custom");
      targets.set(path, {
        length: asWhole(field(file, "length"), `${place} length`, 0),
        hashes: readHashes(field(file, "hashes"), `${place} hashes`),
        ...(custom === undefined ? {} : { custom: asObject(custom, `${place} custom`) }),
      });
    }
    const delegations = field(signed, "delegations");
    return {
      type: "targets",
      ...about,
      targets,
      ...(delegations === undefined ? {} : { delegations: await readDelegations(delegations, `${where} delegations`) }),
    };
  });
}
