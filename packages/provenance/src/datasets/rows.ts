import { type AnyNdArray, asNdArray, expected, type NdarrayView } from "@parapet/core";
import { type FieldsRecord, type FieldValue, isArray } from "./record.ts";

/** A column of a batch: an array whose first axis is the batch, or a list of one value a record. */
export type Columns = Readonly<
  Record<string, AnyNdArray | NdarrayView | Int32Array | readonly Exclude<FieldValue, undefined>[]>
>;

/**
 * The records of a batch: row i has of each column its value i. Arrays are not copied; a column of one number a record, such as
 * labels, becomes numbers.
 *
 * @param columns - by name; all of the same length. An array of shape [n] gives numbers, [n, ...] arrays of shape [...]
 * @returns the rows, one after the other
 * @throws TypeError when the lengths differ, or a column is none
 *
 * @example
 * ```ts
 * import { ndArray } from "@parapet/core";
 * import { rowsOf } from "@parapet/provenance";
 * const rows = [...rowsOf({ image: ndArray([1, 2, 3, 4], [2, 2]), label: Int32Array.of(7, 9) })];
 * console.log(rows.length, rows[1]!.label); // => 2 9
 * ```
 */
export function* rowsOf(columns: Columns): Generator<FieldsRecord> {
  const readers = Object.entries(columns).map(([name, column]) => [name, ...columnOf(name, column)] as const);
  const length = readers[0]?.[1] ?? 0;
  for (const [name, other] of readers) {
    if (other !== length) throw new TypeError(expected(name, `${length} values, one a record`, other));
  }
  for (let i = 0; i < length; i++) yield Object.fromEntries(readers.map(([name, , read]) => [name, read(i)]));
}

function columnOf(name: string, column: Columns[string]): readonly [length: number, read: (i: number) => FieldValue] {
  if (Array.isArray(column)) return [column.length, (i) => column[i]];
  if (column instanceof Int32Array) return [column.length, (i) => column[i]];
  if (!isArray(column) && !(typeof column === "object" && column !== null && "stride" in column)) {
    throw new TypeError(expected(name, "an NdArray, an Int32Array or a list", column));
  }
  const { dtype, shape, data } = asNdArray(column as AnyNdArray);
  const [length, ...rest] = shape;
  if (length === undefined) throw new TypeError(expected(name, "an array with a batch axis", shape));
  if (rest.length === 0) return [length, (i) => data[i]];
  const width = length === 0 ? 0 : data.length / length;
  return [length, (i) => ({ dtype, shape: rest, data: data.subarray(i * width, (i + 1) * width) }) as AnyNdArray];
}
