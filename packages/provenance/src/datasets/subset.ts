import { checkNumber } from "@parapet/core";
import { type HashFunction, portableHash } from "../merkle/tree.ts";
import { checkManifest } from "./check-manifest.ts";
import { WIDTH } from "./commitment.ts";
import { type Dataset, type DescribeOptions, described, mistaken } from "./dataset.ts";
import { indexStreamDigest } from "./index-stream.ts";
import { at } from "./levels.ts";
import type { DatasetManifest } from "./manifest.ts";
import { manifestId } from "./read-manifest.ts";
import { checkJson } from "./record.ts";
import { rootsOf } from "./roots.ts";

/**
 * Some records of a dataset as a dataset of their own: a split, a filter, a sample. It needs no records: their commitments and
 * salts are carried over, so that a record has the same commitment in both, and who has both sees which records they share.
 *
 * Fields, licence, consent, creators and citation are those of the whole where the options say nothing else; statistics are left
 * out, as they are known of the whole only. `notes.subsetOf` is the identity of the whole, `notes.indices` the
 * `indexStreamDigest` of the indices.
 *
 * @param dataset - the whole
 * @param indices - of the records, in the order in which the subset has them; one may come more than once
 * @param options - what the manifest is to say: a name at least
 * @param hash - SHA-256; default: in JavaScript
 * @returns a dataset with memory of its own: what is erased in the whole later must be erased here as well
 * @throws RangeError when there is no such record
 * @throws TypeError for options that no manifest can hold
 *
 * @example
 * ```ts
 * import { createDataset, proveMembership, subset, verifyMembership } from "@parapet/provenance";
 * const all = await createDataset([{ a: 1 }, { a: 2 }, { a: 3 }], { name: "all" });
 * const test = subset(all, [2, 0], { name: "test" });
 * console.log(verifyMembership(proveMembership(test, 0), { a: 3 }, test.manifest).records); // => 2
 * ```
 */
export function subset(
  dataset: Dataset,
  indices: ArrayLike<number>,
  options: DescribeOptions,
  hash: HashFunction = portableHash,
): Dataset {
  const { manifest: whole } = dataset;
  const commitments = new Uint8Array(indices.length * WIDTH);
  const salts = new Uint8Array(indices.length * WIDTH);
  for (let i = 0; i < indices.length; i++) {
    const index = checkNumber(`indices[${i}]`, indices[i], { min: 0, below: whole.records, integer: true });
    commitments.set(at(dataset.commitments, index), i * WIDTH);
    salts.set(at(dataset.salts, index), i * WIDTH);
  }
  const { licence, consent, creators, citation, fields } = whole;
  const kept = Object.entries({ licence, consent, creators, citation }).filter(([, value]) => value !== undefined);
  const secret = whole.notes?.saltSecret;
  const notes = {
    ...options.notes,
    ...(secret === undefined ? {} : { saltSecret: secret }),
    subsetOf: manifestId(whole, hash),
    indices: indexStreamDigest(indices),
  };
  checkJson("notes", notes, 0);
  const manifest: DatasetManifest = {
    schema: "urn:parapet:evidence:dataset:v1",
    ...Object.fromEntries(kept),
    ...described({ ...options, notes }),
    records: indices.length,
    ...rootsOf(commitments, hash),
    fields,
  };
  return { manifest: checkManifest(manifest, mistaken), commitments, salts };
}
