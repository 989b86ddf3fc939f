import { sha256 } from "@noble/hashes/sha2.js";
import { toHex } from "@parapet/attestation";
import { expected } from "@parapet/core";

/** Digests indices as they come. */
export interface IndexStream {
  /** Takes more indices, whole numbers from 0 to 2^32 - 1. */
  update(indices: ArrayLike<number>): void;
  /** How many there were. */
  count(): number;
  /** SHA-256 of all so far, 64 hexadecimal digits; more may come afterwards. */
  digest(): string;
}

/**
 * Starts a digest of the records that a step saw, in the order in which it saw them: what `RecordsSeen` of a run holds.
 *
 * @returns the stream; it holds no indices
 *
 * @example
 * ```ts
 * import { createIndexStream, indexStreamDigest } from "@parapet/provenance";
 * const stream = createIndexStream();
 * for (const batch of [[3, 1], [2]]) stream.update(batch);
 * console.log(stream.count(), stream.digest() === indexStreamDigest([3, 1, 2])); // => 3 true
 * ```
 */
export function createIndexStream(): IndexStream {
  const hash = sha256.create();
  let count = 0;
  return {
    update(indices) {
      const view = new DataView(new ArrayBuffer(4 * indices.length));
      for (let i = 0; i < indices.length; i++) {
        const index = indices[i]!;
        if (!(Number.isInteger(index) && index >= 0 && index < 2 ** 32)) {
          throw new RangeError(expected(`indices[${i}]`, "a whole number from 0 to 4294967295", index));
        }
        view.setUint32(4 * i, index, true);
      }
      hash.update(new Uint8Array(view.buffer));
      count += indices.length;
    },
    count: () => count,
    digest: () => toHex(hash.clone().digest()),
  };
}

/**
 * The digest of the records that a step saw: SHA-256 of the indices in their order, each as 4 bytes, little-endian.
 *
 * @param indices - whole numbers from 0 to 2^32 - 1
 * @returns 64 hexadecimal digits
 * @throws RangeError for anything else
 *
 * @example
 * ```ts
 * import { indexStreamDigest } from "@parapet/provenance";
 * console.log(indexStreamDigest([]).slice(0, 8)); // => e3b0c442
 * ```
 */
export function indexStreamDigest(indices: ArrayLike<number>): string {
  const stream = createIndexStream();
  stream.update(indices);
  return stream.digest();
}
