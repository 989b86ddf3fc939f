import { toHex } from "@parapet/attestation";
import { type HashFunction, portableHash } from "../merkle/tree.ts";
import { problem } from "../problem.ts";
import { WIDTH } from "./commitment.ts";
import { merkleLevels, sortedOrder } from "./levels.ts";
import type { DatasetManifest } from "./manifest.ts";

/** Both roots of commitments. */
export function rootsOf(commitments: Uint8Array, hash: HashFunction): Pick<DatasetManifest, "root" | "sortedRoot"> {
  const root = merkleLevels(commitments, undefined, hash).at(-1)!;
  const sortedRoot = merkleLevels(commitments, sortedOrder(commitments), hash).at(-1)!;
  return { root: toHex(root), sortedRoot: toHex(sortedRoot) };
}

/**
 * Proves that commitments are those of a manifest: as many, with its roots, sorted where it says so. Whoever has them can do
 * this; they tell nothing about the records. It shows, too, that proofs of absence by this manifest mean something.
 *
 * @param manifest - from a trusted place
 * @param commitments - 32 bytes a record
 * @param hash - SHA-256; default: in JavaScript
 * @throws ParapetError `provenance/changed` when they are not
 *
 * @example
 * ```ts
 * import { createDataset, verifyCommitments } from "@parapet/provenance";
 * const { manifest, commitments } = await createDataset([{ a: 1 }, { a: 2 }], { name: "numbers" });
 * verifyCommitments(manifest, commitments);
 * try {
 *   verifyCommitments(manifest, commitments.slice(32));
 * } catch (error) {
 *   console.log((error as { code: string }).code); // => provenance/changed
 * }
 * ```
 */
export function verifyCommitments(
  manifest: DatasetManifest,
  commitments: Uint8Array,
  hash: HashFunction = portableHash,
): void {
  const changed = (message: string) => problem("provenance/changed", message);
  if (commitments.length !== manifest.records * WIDTH) {
    throw changed(`commitments expected ${manifest.records * WIDTH} bytes, got ${commitments.length}`);
  }
  const { root, sortedRoot } = rootsOf(commitments, hash);
  if (root !== manifest.root) throw changed(`commitments expected the root ${manifest.root}, got ${root}`);
  if (sortedRoot !== manifest.sortedRoot) {
    throw changed(`manifest expected the sorted root ${sortedRoot} of its commitments, got ${manifest.sortedRoot}`);
  }
}
