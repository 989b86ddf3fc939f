import { checkNumber } from "@parapet/core";
import type { Dataset } from "./dataset.ts";
import { at } from "./levels.ts";

/**
 * Whether the salt of a record was erased.
 *
 * @param dataset - with its salts
 * @param index - of the record, from 0
 * @returns true when nothing can be proven of it any more
 * @throws RangeError when there is no such record
 *
 * @example
 * ```ts
 * import { createDataset, isErased } from "@parapet/provenance";
 * console.log(isErased(await createDataset([{ a: 1 }], { name: "one" }), 0)); // => false
 * ```
 */
export function isErased(dataset: Dataset, index: number): boolean {
  checkNumber("index", index, { min: 0, below: dataset.manifest.records, integer: true });
  return at(dataset.salts, index).every((byte) => byte === 0);
}

/**
 * Erases a record: its salt is overwritten with zeros, in the dataset that is given, as a copy without it would leave the salt
 * where it was. Then no proof of its membership can be made, and nobody can link its commitment to it, not by trying all records
 * that there could be. Root, identity and all other proofs stay as they are.
 *
 * What remains: the commitment, which is a random number now; that there was a record at this place; the statistics of the
 * manifest, to which it contributed; proofs of it that were handed out, each of which holds the salt; copies, such as `subset`
 * made and backups; and models that were trained on it. The record itself is the caller's to delete. With derived salts
 * (`secret` of `createDataset`) erasing does nothing against whoever has the secret, until that is destroyed as well.
 *
 * @param dataset - its `salts` are changed
 * @param index - of the record, from 0; twice is no mistake
 * @throws RangeError when there is no such record
 *
 * @example
 * ```ts
 * import { createDataset, eraseRecord, isErased, proveMembership } from "@parapet/provenance";
 * const dataset = await createDataset([{ name: "Ada" }, { name: "Max" }], { name: "people" });
 * eraseRecord(dataset, 0);
 * console.log(isErased(dataset, 0), isErased(dataset, 1)); // => true false
 * try {
 *   proveMembership(dataset, 0);
 * } catch (error) {
 *   console.log((error as { code: string }).code); // => provenance/missing
 * }
 * ```
 */
export function eraseRecord(dataset: Dataset, index: number): void {
  checkNumber("index", index, { min: 0, below: dataset.manifest.records, integer: true });
  at(dataset.salts, index).fill(0);
}
