import { createHash } from "node:crypto";
import { blake3 } from "@noble/hashes/blake3.js";
import type { Hasher, HashName } from "../hashing.ts";

const native =
  (name: string): Hasher =>
  async (pieces) => {
    const hash = createHash(name);
    for await (const piece of pieces) hash.update(piece);
    return Uint8Array.from(hash.digest());
  };

/** The hashes of model signatures, of files of any size: BLAKE3 by npm `@noble/hashes`, the others by Node. */
export const nodeHashers: Readonly<Record<HashName, Hasher>> = {
  sha256: native("sha256"),
  blake2b: native("blake2b512"),
  async blake3(pieces) {
    const hash = blake3.create({});
    for await (const piece of pieces) hash.update(piece);
    return hash.digest();
  },
};
