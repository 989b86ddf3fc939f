import { leafHash, nodeHash } from "./tree.ts";

/** The two hashes of a tree, written where they belong: so millions of them make no garbage. */
export interface TreeHasher {
  /** Writes SHA-256(0x00 || entry) to `to` at `at`; the entry lies in `from`, from `start` to before `end`. */
  readonly leaf: (from: Uint8Array, start: number, end: number, to: Uint8Array, at: number) => void;
  /** Writes SHA-256(0x01 || left || right) to `to` at `at`; the two lie side by side in `from` at `start`. They may overlap. */
  readonly node: (from: Uint8Array, start: number, to: Uint8Array, at: number) => void;
}

/** By JavaScript alone, anywhere. Node has a faster one. */
export const portableHasher: TreeHasher = {
  leaf: (from, start, end, to, at) => to.set(leafHash(from.subarray(start, end)), at),
  node: (from, start, to, at) =>
    to.set(nodeHash(from.subarray(start, start + 32), from.subarray(start + 32, start + 64)), at),
};

const scratch = () => new Uint8Array(64);

/** The hash over two. */
export function joined(left: Uint8Array, right: Uint8Array, hasher: TreeHasher): Uint8Array {
  const pair = scratch();
  pair.set(left);
  pair.set(right, 32);
  hasher.node(pair, 0, pair, 0);
  return pair.slice(0, 32);
}

/** The root over hashes that lie one after another; how many is a power of two. */
export function rootOver(hashes: Uint8Array, hasher: TreeHasher): Uint8Array {
  if (hashes.length === 32) return hashes.slice();
  // The first row goes into fresh memory, further ones over it.
  let from = hashes;
  const rows = new Uint8Array(hashes.length / 2);
  for (let length = rows.length; length >= 32; length /= 2) {
    for (let at = 0; at < length; at += 32) hasher.node(from, 2 * at, rows, at);
    from = rows;
  }
  return rows.slice(0, 32);
}
