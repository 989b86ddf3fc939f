import { type HashFunction, inclusionRanges, leafHash, nodeHash } from "../merkle/tree.ts";
import { WIDTH } from "./commitment.ts";

/** All hashes of a tree: its leaves' first, its root last; each level one behind the other, 32 bytes each. */
export type Levels = readonly Uint8Array[];

/** The 32 bytes at an index. */
export const at = (bytes: Uint8Array, index: number): Uint8Array => bytes.subarray(index * WIDTH, (index + 1) * WIDTH);

/**
 * The tree of RFC 6962 over entries of 32 bytes, level by level. A node without a sibling goes up as it is, which is the same as
 * splitting at the largest power of two.
 */
export function merkleLevels(entries: Uint8Array, order: Uint32Array | undefined, hash: HashFunction): Levels {
  const count = entries.length / WIDTH;
  if (count === 0) return [hash(new Uint8Array())];
  const leaves = new Uint8Array(entries.length);
  for (let i = 0; i < count; i++) leaves.set(leafHash(at(entries, order?.[i] ?? i), hash), i * WIDTH);
  const levels = [leaves];
  for (let below = leaves; below.length > WIDTH; ) {
    const nodes = below.length / WIDTH;
    const level = new Uint8Array(Math.ceil(nodes / 2) * WIDTH);
    for (let i = 0; i < nodes; i += 2) {
      const node = i + 1 < nodes ? nodeHash(at(below, i), at(below, i + 1), hash) : at(below, i);
      level.set(node, (i / 2) * WIDTH);
    }
    levels.push(level);
    below = level;
  }
  return levels;
}

/** The hashes of an inclusion proof, from the leaf to the root: copies. */
export function proofFrom(levels: Levels, index: number): readonly Uint8Array[] {
  const size = levels[0]!.length / WIDTH;
  return inclusionRanges(index, size).map(([start, end]) => {
    let level = 0;
    while (2 ** level < end - start) level++;
    return at(levels[level]!, start / 2 ** level).slice();
  });
}

/** The order of entries by their bytes, equal ones by their indices. */
export function sortedOrder(entries: Uint8Array): Uint32Array {
  const count = entries.length / WIDTH;
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  // The first 6 bytes as one number decide almost always.
  const keys = Float64Array.from(
    { length: count },
    (_, i) => view.getUint16(i * WIDTH) * 2 ** 32 + view.getUint32(i * WIDTH + 2),
  );
  const compare = (a: number, b: number): number =>
    keys[a]! - keys[b]! || compareBytes(at(entries, a), at(entries, b)) || a - b;
  return Uint32Array.from({ length: count }, (_, i) => i).sort(compare);
}

/** Below 0, 0 or above 0, for bytes of one length. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}
