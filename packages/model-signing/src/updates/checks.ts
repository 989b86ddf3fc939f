import { expected } from "@parapet/core";
import { isUpdateError, updateError } from "./errors.ts";
import { quoted } from "./fetcher.ts";
import { checkHashes } from "./hashes.ts";
import { type Metadata, type MetaFile, named, type Root } from "./metadata.ts";

/** A file that the repository should have. */
export const missing = (where: string) =>
  updateError("model-signing/update-unavailable", where, "to be in the repository", "nothing");

/** Where a role's metadata is kept. */
export const fileOf = (role: string): string => `${quoted(role)}.json`;

/** Whether a key was taken from the timestamp or the snapshot role. */
export const lostKeys = (before: Root, after: Root): boolean =>
  (["timestamp", "snapshot"] as const).some((role) =>
    before.roles[role].keyids.some((keyid) => !after.roles[role].keyids.includes(keyid)),
  );

/** 5.3.10, 5.4.4, 5.5.6, 5.6.5: metadata that ends now is over. */
export function checkExpiry({ role, signed: { version, expires } }: Metadata, started: Date): void {
  if (expires.getTime() > started.getTime()) return;
  const got = `one that expired at ${expires.toISOString()}`;
  throw updateError(
    "model-signing/update-expired",
    `${named(role)} ${version}`,
    `to be valid at ${started.toISOString()}`,
    got,
  );
}

/** 5.4.3, 5.5.5: no version goes back. */
export function notBelow(where: string, version: number, least: number): void {
  if (version >= least) return;
  throw updateError("model-signing/update-rollback", where, `version ${least} or later`, `version ${version}`);
}

/** 5.5.4, 5.6.4: the version that was named, and no other. */
export function sameVersion(where: string, version: number, wanted: number): void {
  if (version === wanted) return;
  throw updateError("model-signing/update-mismatch", where, `version ${wanted}`, `version ${version}`);
}

/** 5.5.2, 5.6.2, 5.7.3: length and hashes, where they are named. */
export async function checkFile(
  bytes: Uint8Array,
  { length, hashes }: Omit<MetaFile, "version">,
  where: string,
): Promise<void> {
  if (length !== undefined && bytes.length !== length) {
    throw updateError("model-signing/update-mismatch", where, `${length} bytes`, `${bytes.length}`);
  }
  if (hashes !== undefined) await checkHashes(bytes, hashes, where);
}

/** Whether a file that is here already is the one that another file names. */
export async function isMeant(
  { bytes, signed }: { readonly bytes: Uint8Array; readonly signed: { readonly version: number } },
  meta: MetaFile,
): Promise<boolean> {
  if (signed.version !== meta.version) return false;
  try {
    await checkFile(bytes, meta, "");
    return true;
  } catch (error) {
    if (isUpdateError(error)) return false;
    throw error;
  }
}

/** The parts of a target's path, which must stay below the place of targets. */
export function partsOf(path: string): string[] {
  const parts = typeof path === "string" ? path.split("/") : [];
  const bad = parts.length === 0 || path.length > 4096 || /\p{Cs}/u.test(path);
  if (bad || parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new RangeError(expected("path", 'a relative path without ".", ".." or an empty part', path));
  }
  return parts;
}
