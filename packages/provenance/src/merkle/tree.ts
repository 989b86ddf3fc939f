import { sha256 } from "@noble/hashes/sha2.js";
import { equalBytes } from "@parapet/attestation";
import { problem } from "../problem.ts";

/** A hash function that answers at once; SHA-256 everywhere here. Node's own is the faster one: see `./node`. */
export type HashFunction = (data: Uint8Array) => Uint8Array;

/** SHA-256 in JavaScript, for proofs, which need few hashes. */
export const portableHash: HashFunction = (data) => sha256(data);

const LEAF = Uint8Array.of(0);

/** SHA-256(0x00 || entry). */
export function leafHash(entry: Uint8Array, hash: HashFunction = portableHash): Uint8Array {
  const bytes = new Uint8Array(1 + entry.length);
  bytes.set(LEAF);
  bytes.set(entry, 1);
  return hash(bytes);
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array, hash: HashFunction = portableHash): Uint8Array {
  const bytes = new Uint8Array(1 + left.length + right.length);
  bytes[0] = 1;
  bytes.set(left, 1);
  bytes.set(right, 1 + left.length);
  return hash(bytes);
}

/** The largest power of two below `size`. */
export function splitOf(size: number): number {
  let half = 1;
  while (half * 2 < size) half *= 2;
  return half;
}

/** The subtrees whose hashes an inclusion proof consists of, from the leaf to the root. */
export function inclusionRanges(index: number, size: number): readonly (readonly [start: number, end: number])[] {
  const ranges: [number, number][] = [];
  let [start, end] = [0, size];
  while (end - start > 1) {
    const middle = start + splitOf(end - start);
    ranges.push(index < middle ? [middle, end] : [start, middle]);
    if (index < middle) end = middle;
    else start = middle;
  }
  return ranges.reverse();
}

/** The subtrees whose hashes a consistency proof consists of: RFC 6962, section 2.1.2. */
export function consistencyRanges(first: number, second: number): readonly (readonly [start: number, end: number])[] {
  if (first === 0 || first === second) return [];
  const ranges: [number, number][] = [];
  let [start, end, whole] = [0, second, true];
  let rest = first;
  // SUBPROOF(m, D[n], b)
  while (rest !== end - start) {
    const half = splitOf(end - start);
    if (rest <= half) {
      ranges.push([start + half, end]);
      end = start + half;
    } else {
      ranges.push([start, start + half]);
      start += half;
      rest -= half;
      whole = false;
    }
  }
  if (!whole) ranges.push([start, end]);
  return ranges.reverse();
}

const refuse = (what: string, why: string) => problem("provenance/proof", `${what} expected to hold, got ${why}`);

/** Sizes up to 2^64 come as bigint. */
type Size = number | bigint;

function checkHash(hash: Uint8Array, what: string): void {
  if (!(hash instanceof Uint8Array) || hash.length !== 32) throw refuse(what, "a hash that is not 32 bytes long");
}

/**
 * Proves that a leaf is in a tree, or throws.
 *
 * Source: RFC 9162, section 2.1.3.2.
 */
export function verifyInclusion(
  proof: { readonly index: Size; readonly size: Size; readonly hashes: readonly Uint8Array[] },
  leaf: Uint8Array,
  root: Uint8Array,
  hash: HashFunction = portableHash,
): void {
  const what = "inclusion proof";
  let [node, last] = [sizeOf(proof.index, what), sizeOf(proof.size, what) - 1n];
  if (node > last) throw refuse(what, `the index ${node} in a tree of ${last + 1n}`);
  for (const one of [leaf, root, ...proof.hashes]) checkHash(one, what);
  let result = leaf;
  for (const sibling of proof.hashes) {
    if (last === 0n) throw refuse(what, "more hashes than it takes");
    if (node % 2n === 1n || node === last) {
      result = nodeHash(sibling, result, hash);
      while (node % 2n === 0n && node !== 0n) [node, last] = [node >> 1n, last >> 1n];
    } else result = nodeHash(result, sibling, hash);
    [node, last] = [node >> 1n, last >> 1n];
  }
  if (last !== 0n) throw refuse(what, "fewer hashes than it takes");
  if (!equalBytes(result, root)) throw refuse(what, "another root");
}

/**
 * Proves that one tree is the beginning of another, or throws. An empty first tree proves nothing and is refused, as there is no
 * root that it could be held against.
 *
 * Source: RFC 9162, section 2.1.4.2.
 */
export function verifyConsistency(
  proof: { readonly first: Size; readonly second: Size; readonly hashes: readonly Uint8Array[] },
  firstRoot: Uint8Array,
  secondRoot: Uint8Array,
  hash: HashFunction = portableHash,
): void {
  const what = "consistency proof";
  const [first, second] = [sizeOf(proof.first, what), sizeOf(proof.second, what)];
  for (const one of [firstRoot, secondRoot, ...proof.hashes]) checkHash(one, what);
  if (first === 0n || first > second) throw refuse(what, `sizes ${first} and ${second}`);
  if (first === second) {
    if (proof.hashes.length > 0) throw refuse(what, "hashes where none are needed");
    if (!equalBytes(firstRoot, secondRoot)) throw refuse(what, "two roots of one size");
    return;
  }
  const isPower = (first & (first - 1n)) === 0n;
  const path = isPower ? [firstRoot, ...proof.hashes] : [...proof.hashes];
  if (path.length === 0) throw refuse(what, "fewer hashes than it takes");
  let [node, last] = [first - 1n, second - 1n];
  while (node % 2n === 1n) [node, last] = [node >> 1n, last >> 1n];
  let [before, after] = [path[0]!, path[0]!];
  for (const one of path.slice(1)) {
    if (last === 0n) throw refuse(what, "more hashes than it takes");
    if (node % 2n === 1n || node === last) {
      before = nodeHash(one, before, hash);
      after = nodeHash(one, after, hash);
      while (node % 2n === 0n && node !== 0n) [node, last] = [node >> 1n, last >> 1n];
    } else after = nodeHash(after, one, hash);
    [node, last] = [node >> 1n, last >> 1n];
  }
  if (last !== 0n) throw refuse(what, "fewer hashes than it takes");
  if (!equalBytes(before, firstRoot)) throw refuse(what, "another first root");
  if (!equalBytes(after, secondRoot)) throw refuse(what, "another second root");
}

function sizeOf(size: Size, what: string): bigint {
  if (typeof size === "number" && !Number.isSafeInteger(size)) throw refuse(what, `a size of ${size}`);
  const value = BigInt(size);
  if (value < 0n || value >= 2n ** 64n) throw refuse(what, `a size of ${value}`);
  return value;
}
