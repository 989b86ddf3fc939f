/// <reference path="./seedrandom-alea.d.ts" />
import alea from "seedrandom/lib/alea.js";
import { expected } from "./errors.ts";

/**
 * Reproducible randomness for experiments: attacks, initial weights, shuffles. Never for secrets or privacy noise,
 * which take a `SecureRng`; the two types do not mix.
 */
export interface Rng {
  /** A number in [0, 1) with 53 random bits. */
  next(): number;
  /** A standard normal number. */
  normal(): number;
  /** A whole number in [0, n), every one equally likely. */
  integer(n: number): number;
  /**
   * An independent stream that depends on this stream's seed and the label only, not on what was drawn before:
   * adding a restart or reordering a loop never shifts another stream.
   */
  derive(label: string | number): Rng;
}

/** The platform's cryptographic source, for keys, nonces and privacy noise. It has no seed and cannot be replayed. */
export interface SecureRng {
  /** `n` random bytes. */
  bytes(n: number): Uint8Array;
}

/**
 * A reproducible random stream. There is no default seed, and 0 is a seed like any other.
 *
 * @param seed - a finite number or a string
 * @returns the stream
 * @throws TypeError when the seed is missing, NaN or infinite
 *
 * @example
 * ```ts
 * import { createRng } from "@parapet/core";
 * const rng = createRng(0);
 * console.log(rng.derive("start").next() === createRng(0).derive("start").next()); // => true
 * ```
 *
 * Source: Alea by J. Baagøe (2010), as implemented by npm `seedrandom`; normal numbers by the polar method
 * (G. Marsaglia and T. Bray, 1964, SIAM Review 6). Differences from the source: none known.
 */
export function createRng(seed: number | string): Rng {
  if (typeof seed !== "string" && !(typeof seed === "number" && Number.isFinite(seed))) {
    throw new TypeError(expected("seed", "a finite number or a string", seed));
  }
  // The kind of the seed belongs to the path: the seeds 1 and "1" are different streams.
  return stream(`${typeof seed}:${seed}`);
}

function stream(path: string): Rng {
  const generator = alea(path);
  let spare: number | undefined;
  return {
    next: () => generator.double(),
    normal() {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return value;
      }
      for (;;) {
        const u = 2 * generator.double() - 1;
        const v = 2 * generator.double() - 1;
        const s = u * u + v * v;
        if (s > 0 && s < 1) {
          const scale = Math.sqrt((-2 * Math.log(s)) / s);
          spare = v * scale;
          return u * scale;
        }
      }
    },
    integer(n) {
      if (!(Number.isSafeInteger(n) && n > 0)) throw new RangeError(expected("n", "a whole number > 0", n));
      return Math.floor(generator.double() * n);
    },
    // The length makes paths unambiguous: "a" then "b/c" is not "a/b" then "c".
    derive: (label) => stream(`${path}/${String(label).length}:${label}`),
  };
}

/**
 * The platform's cryptographic random source.
 *
 * @returns the source
 * @throws TypeError when the platform has none (no Web Crypto)
 *
 * @example
 * ```ts
 * import { createSecureRng } from "@parapet/core";
 * console.log(createSecureRng().bytes(32).length); // => 32
 * ```
 */
export function createSecureRng(): SecureRng {
  const { crypto } = globalThis;
  if (typeof crypto?.getRandomValues !== "function") {
    throw new TypeError(expected("globalThis.crypto", "Web Crypto with getRandomValues", crypto));
  }
  return {
    bytes(n) {
      if (!(Number.isSafeInteger(n) && n >= 0)) throw new RangeError(expected("n", "a whole number >= 0", n));
      const bytes = new Uint8Array(n);
      // getRandomValues refuses more than 65,536 bytes a call.
      for (let at = 0; at < n; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
      return bytes;
    },
  };
}

/**
 * One random key for each example: a hash of the row's bytes and its class. Two calls with the same examples in another
 * order, or in batches of another size, give each example the same key; that is what makes an attack's result
 * independent of both.
 *
 * @param x - shape [n, ...], any dtype
 * @param classes - shape [n]; the class that belongs to each row
 * @returns n keys
 * @throws TypeError when there are not n classes
 *
 * @example
 * ```ts
 * import { exampleKeys, ndArray } from "@parapet/core";
 * const keys = exampleKeys(ndArray([0.5, 0.25], [2, 1]), Int32Array.of(3, 3));
 * const swapped = exampleKeys(ndArray([0.25, 0.5], [2, 1]), Int32Array.of(3, 3));
 * console.log(keys[0] === swapped[1]); // => true
 * ```
 *
 * Source: the mixing steps of MurmurHash3, 32 bits (A. Appleby, 2011). Differences from the source: words are read in
 * the platform's byte order.
 */
export function exampleKeys(
  x: { readonly shape: readonly number[]; readonly data: Float32Array | Int32Array | Uint8Array },
  classes: Int32Array,
): Uint32Array {
  const n = x.shape[0] ?? 0;
  if (classes.length !== n) throw new TypeError(expected("classes", `${n} classes, one a row`, classes.length));
  const width = n === 0 ? 0 : x.data.length / n;
  const words =
    x.data instanceof Uint8Array ? x.data : new Uint32Array(x.data.buffer, x.data.byteOffset, x.data.length);
  const keys = new Uint32Array(n);
  for (let row = 0; row < n; row++) {
    let hash = mix(0x9747b28c, classes[row]!);
    for (let i = row * width; i < (row + 1) * width; i++) hash = mix(hash, words[i]!);
    hash ^= width + 1;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    keys[row] = hash ^ (hash >>> 16);
  }
  return keys;
}

function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const mixed = hash ^ k;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}
