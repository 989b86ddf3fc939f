import { type Json, toHex } from "@parapet/attestation";
import { shown } from "../problem.ts";
import { updateError } from "./errors.ts";
import { asDigits, asObject, malformed } from "./fields.ts";

/** Digests in hexadecimal digits, by the name of the hash function. */
export type Hashes = Readonly<Record<string, string>>;

const known: Readonly<Record<string, readonly [name: string, digits: number]>> = {
  sha256: ["SHA-256", 64],
  sha384: ["SHA-384", 96],
  sha512: ["SHA-512", 128],
};

/** Reads the digests of a file. Unknown functions may stand there, as they may be known to others. */
export function readHashes(value: Json | undefined, where: string): Hashes {
  const entries = Object.entries(asObject(value, where));
  if (entries.length === 0) throw malformed(where, "at least one", undefined);
  const read = entries.map(([name, digest]): [string, string] => {
    const digits = Object.hasOwn(known, name) ? known[name]![1] : undefined;
    return [name, asDigits(digest, `${where} ${shown(name)}`, digits ?? 2, digits ?? 256)];
  });
  return Object.fromEntries(read);
}

/** Digests of bytes by the functions that are named, or by SHA-256. */
export async function hashesOf(bytes: Uint8Array, names: readonly string[] = ["sha256"]): Promise<Hashes> {
  const digests = names.map(async (name): Promise<[string, string]> => {
    const digest = await globalThis.crypto.subtle.digest(known[name]![0], bytes as Uint8Array<ArrayBuffer>);
    return [name, toHex(new Uint8Array(digest))];
  });
  return Object.fromEntries(await Promise.all(digests));
}

/** Holds bytes against every digest of a known function; one at least must be known. */
export async function checkHashes(bytes: Uint8Array, hashes: Hashes, where: string): Promise<void> {
  const names = Object.keys(hashes).filter((name) => Object.hasOwn(known, name));
  if (names.length === 0) {
    const got = Object.keys(hashes).slice(0, 5).map(shown).join(", ");
    throw updateError("model-signing/update-unsupported", where, `a hash of ${Object.keys(known).join(", ")}`, got);
  }
  const found = await hashesOf(bytes, names);
  const wrong = names.find((name) => found[name] !== hashes[name]);
  if (wrong === undefined) return;
  const [expected, got] = [hashes[wrong]!, found[wrong]!].map((digest) => `${digest.slice(0, 16)}...`);
  throw updateError("model-signing/update-mismatch", where, `${wrong} ${expected}`, got!);
}
