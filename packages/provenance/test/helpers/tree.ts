import { consistencyRanges, inclusionRanges, nodeHash, portableHash, splitOf } from "../../src/merkle/tree.ts";

// Trees and proofs by the words of RFC 6962, section 2.1, from all leaves at once: what the log and the datasets, which never have
// them all, are held against. Go's sumdb says that these are right (merkle/tree.test.ts).

function subtree(leaves: readonly Uint8Array[], start: number, end: number): Uint8Array {
  if (end - start === 1) return leaves[start]!;
  const middle = start + splitOf(end - start);
  return nodeHash(subtree(leaves, start, middle), subtree(leaves, middle, end));
}

export const merkleRoot = (leaves: readonly Uint8Array[]): Uint8Array =>
  leaves.length === 0 ? portableHash(new Uint8Array()) : subtree(leaves, 0, leaves.length);

export const inclusionProof = (leaves: readonly Uint8Array[], index: number): readonly Uint8Array[] =>
  inclusionRanges(index, leaves.length).map(([start, end]) => subtree(leaves, start, end));

export const consistencyProof = (leaves: readonly Uint8Array[], first: number): readonly Uint8Array[] =>
  consistencyRanges(first, leaves.length).map(([start, end]) => subtree(leaves, start, end));
