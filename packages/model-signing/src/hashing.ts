import { concatBytes, sha256, toHex } from "@parapet/attestation";
import { problem } from "./problem.ts";

/** Hashes of OpenSSF model signatures: SHA-256, BLAKE2b with 512 bits, BLAKE3 with 256. */
export type HashName = "sha256" | "blake2b" | "blake3";

/** Hashes bytes that come in pieces. */
export type Hasher = (pieces: AsyncIterable<Uint8Array>) => Promise<Uint8Array>;

/** Bytes of each hash. */
export const hashLength: Readonly<Record<HashName, number>> = { sha256: 32, blake2b: 64, blake3: 32 };

/** SHA-256 by WebCrypto, which has no streams: a file is held in memory while it is hashed. */
const whole: Hasher = async (pieces) => {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(Uint8Array.from(piece));
  return sha256(all.length === 1 ? all[0]! : concatBytes(...all));
};

/** The hasher with a name, of those that the caller gave or the platform has. */
export function hasherOf(name: HashName, given: Partial<Record<HashName, Hasher>> = {}): Hasher {
  const hasher = given[name] ?? (name === "sha256" ? whole : undefined);
  if (hasher === undefined) {
    throw problem(
      "model-signing/unsupported",
      `this model is hashed by ${name}, which is not there: give it as "hashers", or use @parapet/model-signing/node`,
    );
  }
  return hasher;
}

/** The digest under which a model is known: SHA-256 over the digests of its files, in the order of the manifest. */
export async function rootDigest(digests: readonly Uint8Array[]): Promise<string> {
  return toHex(await sha256(concatBytes(...digests)));
}
