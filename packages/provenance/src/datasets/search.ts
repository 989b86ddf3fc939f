import { createPacer } from "@parapet/core";
import { type HashFunction, portableHash } from "../merkle/tree.ts";
import { commitmentOf } from "./commitment.ts";
import type { Dataset } from "./dataset.ts";
import { isErased } from "./erase.ts";
import { at, compareBytes } from "./levels.ts";
import { type DatasetRecord, recordBytes } from "./record.ts";

/** Where a record is. */
export interface SearchResult {
  /** Indices of the records that are the same, ascending. */
  readonly indices: readonly number[];
  /** Records that could not be compared, as their salts were erased: none of `indices` is among them. */
  readonly erased: number;
}

/**
 * Looks for a record in a dataset without having the records: it tries all salts, which takes a hash of the record for each of
 * them. It finds the record exactly as it was committed to, to the last bit; not what is like it.
 *
 * @param dataset - with its salts
 * @param record - as `recordBytes` takes it
 * @param options - `hash`: SHA-256, default in JavaScript; `signal`: stops the call
 * @returns where it is, and of how many records nothing can be said
 * @throws TypeError as `recordBytes`
 *
 * @example
 * ```ts
 * import { createDataset, searchRecord } from "@parapet/provenance";
 * const dataset = await createDataset([{ age: 30 }, { age: 40 }, { age: 30 }], { name: "ages" });
 * console.log((await searchRecord(dataset, { age: 30 })).indices.join()); // => 0,2
 * ```
 */
export async function searchRecord(
  dataset: Dataset,
  record: DatasetRecord,
  options: { readonly hash?: HashFunction; readonly signal?: AbortSignal } = {},
): Promise<SearchResult> {
  const { hash = portableHash, signal } = options;
  const canonical = recordBytes(record);
  const pace = createPacer(signal);
  const indices: number[] = [];
  let erased = 0;
  for (let i = 0; i < dataset.manifest.records; i++) {
    if (i % 64 === 0) await pace();
    if (isErased(dataset, i)) erased++;
    else if (compareBytes(commitmentOf(at(dataset.salts, i), canonical, hash), at(dataset.commitments, i)) === 0)
      indices.push(i);
  }
  return { indices, erased };
}
