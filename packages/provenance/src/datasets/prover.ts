import { type HashFunction, portableHash } from "../merkle/tree.ts";
import { type AbsenceProof, absenceFrom, type Sorted, sortedTree } from "./absence.ts";
import type { Dataset } from "./dataset.ts";
import { type Levels, merkleLevels } from "./levels.ts";
import { type MembershipProof, membershipFrom } from "./membership.ts";
import { manifestId } from "./read-manifest.ts";

/** Makes many proofs of one dataset. */
export interface Prover {
  /** As `proveMembership`. */
  membership(index: number): MembershipProof;
  /** As `proveAbsence`. */
  absence(commitment: Uint8Array): AbsenceProof;
}

/**
 * Makes the trees of a dataset once, so that each proof costs no hash at all.
 *
 * @param dataset - with its salts; one that is erased later is not shown any more
 * @param hash - SHA-256; default: in JavaScript
 * @returns makes proofs; it holds 64 bytes a record and tree
 *
 * @example
 * ```ts
 * import { createDataset, createProver, verifyMembership } from "@parapet/provenance";
 * const rows = Array.from({ length: 100 }, (_, i) => ({ i }));
 * const dataset = await createDataset(rows, { name: "numbers" });
 * const prover = createProver(dataset);
 * const proven = rows.map((row, i) => verifyMembership(prover.membership(i), row, dataset.manifest));
 * console.log(proven.length); // => 100
 * ```
 */
export function createProver(dataset: Dataset, hash: HashFunction = portableHash): Prover {
  const { manifest, commitments } = dataset;
  const id = manifestId(manifest, hash);
  let levels: Levels | undefined;
  let sorted: Sorted | undefined;
  return {
    membership(index) {
      levels ??= merkleLevels(commitments, undefined, hash);
      return membershipFrom(dataset, id, levels, index);
    },
    absence(commitment) {
      sorted ??= sortedTree(commitments, hash);
      return absenceFrom(commitments, id, sorted, commitment);
    },
  };
}
