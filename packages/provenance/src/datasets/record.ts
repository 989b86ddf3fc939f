import { canonicalJson, compareUtf8, concatBytes, type Json, toUtf8 } from "@parapet/attestation";
import { type AnyNdArray, asNdArray, type DType, expected } from "@parapet/core";

/** What a field of a record holds. A list or an object is of JSON; what is `undefined` is not there. */
export type FieldValue = Json | Uint8Array | AnyNdArray | undefined;

/** A row of a table: values by the names of their fields. */
export type FieldsRecord = Readonly<Record<string, FieldValue>>;

/** One record of a dataset: bytes, one example of an array without its batch axis, or named fields. */
export type DatasetRecord = Uint8Array | AnyNdArray | FieldsRecord;

/** Most bytes that a name, or a value of a field, may take. */
const MOST = 2 ** 32 - 1;

const DTYPES: Readonly<Record<DType, number>> = { float32: 1, int32: 2, bool: 3 };

/** Tells an array from a row that has fields of these names: exactly three of them, and `data` a typed array. */
export function isArray(value: unknown): value is AnyNdArray {
  if (typeof value !== "object" || value === null) return false;
  const { dtype, shape, data } = value as Partial<AnyNdArray>;
  const isData = data instanceof Float32Array || data instanceof Int32Array || data instanceof Uint8Array;
  return typeof dtype === "string" && Array.isArray(shape) && isData && Object.keys(value).length === 3;
}

/** An object as a literal writes it, not an instance of a class, whose state could not be seen. */
function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Refuses what is not plainly of JSON: a caller's mistake. */
export function checkJson(name: string, value: unknown, depth: number): void {
  const isScalar = value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
  if (isScalar) return;
  if (depth > 64) throw new TypeError(expected(name, "at most 64 lists and objects inside each other", "more"));
  // Holes of a list are seen as undefined here.
  if (Array.isArray(value)) for (const one of value) checkJson(name, one, depth + 1);
  else if (isPlain(value)) for (const one of Object.values(value)) checkJson(name, one, depth + 1);
  else
    throw new TypeError(expected(name, "text, a finite number, a boolean, null, or lists and objects of them", value));
}

function arrayBytes(array: AnyNdArray): Uint8Array {
  const { dtype, shape, data } = asNdArray(array);
  if (shape.length > 255 || shape.some((length) => length > MOST)) {
    throw new TypeError(expected("shape", "at most 255 axes of less than 2^32", shape));
  }
  const width = dtype === "bool" ? 1 : 4;
  const start = 2 + 4 * shape.length;
  const bytes = new Uint8Array(start + width * data.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = DTYPES[dtype];
  bytes[1] = shape.length;
  for (const [axis, length] of shape.entries()) view.setUint32(2 + 4 * axis, length, true);
  if (data instanceof Float32Array) {
    for (let i = 0, at = start; i < data.length; i++, at += 4) {
      const value = data[i]!;
      // A NaN has many bit patterns, and which one is written is the engine's choice.
      if (Number.isNaN(value)) view.setUint32(at, 0x7fc00000, true);
      else view.setFloat32(at, value, true);
    }
  } else if (data instanceof Int32Array) {
    for (let i = 0, at = start; i < data.length; i++, at += 4) view.setInt32(at, data[i]!, true);
  } else bytes.set(data, start);
  return bytes;
}

function fieldBytes(name: string, value: Exclude<FieldValue, undefined>): readonly [kind: number, bytes: Uint8Array] {
  if (value instanceof Uint8Array) return [0, value];
  if (isArray(value)) return [1, arrayBytes(value)];
  if (typeof value === "number" && !Number.isFinite(value)) return [3, toUtf8(String(value))];
  checkJson(name, value, 0);
  return [2, canonicalJson(value as Json)];
}

function fieldsBytes(record: FieldsRecord): Uint8Array {
  const names = Object.keys(record)
    .filter((name) => record[name] !== undefined)
    .sort(compareUtf8);
  const parts: Uint8Array[] = [];
  const header = (...numbers: readonly number[]) => {
    const view = new DataView(new ArrayBuffer(4 * numbers.length));
    for (const [i, number] of numbers.entries()) view.setUint32(4 * i, number, true);
    parts.push(new Uint8Array(view.buffer));
  };
  header(names.length);
  for (const name of names) {
    const label = toUtf8(name);
    const [kind, bytes] = fieldBytes(name, record[name] as Exclude<FieldValue, undefined>);
    if (bytes.length > MOST) throw new RangeError(expected(name, `at most ${MOST} bytes`, bytes.length));
    header(label.length);
    parts.push(label, Uint8Array.of(kind));
    header(bytes.length);
    parts.push(bytes);
  }
  return concatBytes(...parts);
}

/**
 * The canonical bytes of a record: the same record gives the same bytes, and no two records do.
 *
 * All numbers are little-endian. A record is a byte for its kind, and then:
 *
 * | kind | record | bytes |
 * | --- | --- | --- |
 * | 0 | bytes | the bytes |
 * | 1 | array | the array |
 * | 2 | fields | their number (4 bytes), then each field in the order of the UTF-8 bytes of the names |
 *
 * An array is its dtype (1 byte: 1 float32, 2 int32, 3 bool), the number of its axes (1 byte), their lengths (4 bytes each),
 * and its elements, row-major: 4 bytes each as IEEE 754 or two's complement, a bool 1 byte. Every NaN is `00 00 c0 7f`; -0 and 0
 * differ.
 *
 * A field is the length of its name (4 bytes), the name in UTF-8, the kind of its value (1 byte), the length of the value
 * (4 bytes), and the value: 0 bytes; 1 an array as above; 2 JSON by RFC 8785, which tells 1 from "1" (but -0 is 0); 3 a number
 * that is not finite, as "NaN", "Infinity" or "-Infinity". A field that is `undefined` is not there; `null` is a value.
 *
 * @param record - bytes; an array without the batch axis; or a plain object of fields, whose values are text, numbers, booleans,
 *   null, lists and objects of those with finite numbers, bytes, or arrays
 * @returns fresh memory
 * @throws TypeError when a value has no canonical form, such as a date, a bigint or an instance of a class
 * @throws AttestationError `attestation/malformed` for text with half of a surrogate pair
 *
 * @example
 * ```ts
 * import { toHex } from "@parapet/attestation";
 * import { recordBytes } from "@parapet/provenance";
 * console.log(toHex(recordBytes({ a: 1 }))); // => 02010000000100000061020100000031
 * ```
 */
export function recordBytes(record: DatasetRecord): Uint8Array {
  if (record instanceof Uint8Array) return concatBytes(Uint8Array.of(0), record);
  if (isArray(record)) return concatBytes(Uint8Array.of(1), arrayBytes(record));
  if (isPlain(record)) return concatBytes(Uint8Array.of(2), fieldsBytes(record));
  throw new TypeError(expected("record", "bytes, an array, or a plain object of fields", record));
}
