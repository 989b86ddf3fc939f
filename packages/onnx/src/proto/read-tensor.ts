import type { ElementType, Tensor, TensorData } from "../graph.ts";
import { brief, malformed, tooLarge, unsupported } from "../problem.ts";
import { ARRAYS, dtypeOf, type Limits } from "./types.ts";
import type { Reader } from "./wire.ts";

type NumberType = Exclude<ElementType, "string">;

/** The field that holds the elements of a dtype where `raw_data` does not. */
const FIELDS: Readonly<Record<ElementType, number>> = {
  float32: 4,
  float64: 10,
  int64: 7,
  uint32: 11,
  uint64: 11,
  string: 6,
  int32: 5,
  uint8: 5,
  int8: 5,
  uint16: 5,
  int16: 5,
  bool: 5,
  float16: 5,
};
const DATA = [4, 5, 6, 7, 10, 11];

/** Reads a `TensorProto`. Elements are counted against the bytes that are there before anything is allocated. */
export function readTensor(reader: Reader, where: string, limits: Limits): { name: string; tensor: Tensor } {
  const again = reader.copy();
  const dims: (number | bigint)[] = [];
  let name = "";
  let code = 0;
  let raw: Uint8Array | undefined;
  let external: string | undefined;
  let segment = false;
  const present = new Set<number>();
  while (reader.next()) {
    if (reader.field === 1) reader.integers((dim) => dims.push(dim));
    else if (reader.field === 2) code = reader.int32();
    else if (reader.field === 8) name = reader.string();
    else if (reader.field === 9) raw = reader.bytes();
    else if (reader.field === 13) external = readLocation(reader.message()) ?? external ?? "";
    else if (reader.field === 14) external = reader.int32() === 0 ? external : (external ?? "");
    else {
      segment ||= reader.field === 3;
      if (DATA.includes(reader.field)) present.add(reader.field);
      reader.skip();
    }
  }
  const what = name === "" ? where : `tensor ${brief(name)}`;
  if (external !== undefined)
    throw unsupported(what, "its elements in the file itself", `a reference to the file ${brief(external)}`);
  if (segment) throw unsupported(what, "all elements in one place", "a segment");
  const dtype = dtypeOf(code, what);
  const field = FIELDS[dtype];
  if (raw === undefined || raw.length === 0) present.delete(field);
  if (present.size > 0) throw malformed(what, `${dtype} elements in field ${field} or 9`, [...present]);
  const { shape, count } = checkShape(dims, what, limits);
  if (dtype === "string") return { name, tensor: { dtype, shape, data: readStrings(again, count, what) } };
  return { name, tensor: { dtype, shape, data: readNumbers(again, dtype, count, raw, what) } };
}

function checkShape(dims: readonly (number | bigint)[], what: string, limits: Limits) {
  let count = 1;
  const shape = dims.map((dim) => {
    if (dim < 0) throw malformed(what, "lengths of axes >= 0", String(dim));
    if (dim > limits.elements) throw tooLarge(what, `axes of at most ${limits.elements} elements`, String(dim));
    return Number(dim);
  });
  // Zero first: [2^31, 2^31, 0] is empty, not too large.
  if (shape.includes(0)) count = 0;
  else for (const dim of shape) count *= dim;
  if (count > limits.elements) throw tooLarge(what, `at most ${limits.elements} elements`, shape);
  return { shape, count };
}

function readNumbers(
  reader: Reader,
  dtype: NumberType,
  count: number,
  raw: Uint8Array | undefined,
  what: string,
): TensorData[NumberType] {
  const { BYTES_PER_ELEMENT: size } = ARRAYS[dtype];
  const wrong = (got: unknown) => malformed(what, `${count} elements of ${dtype}, as its shape says`, got);
  if (raw !== undefined && raw.length > 0) {
    if (raw.length !== count * size) throw wrong(`${raw.length} bytes`);
    // Little-endian in the file, and on every machine that onnxruntime runs on.
    const data = new ARRAYS[dtype](raw.slice().buffer);
    if (dtype === "bool" && raw.some((byte) => byte > 1)) throw malformed(what, "booleans of 0 or 1", "others");
    return data;
  }
  // A varint has one byte at least.
  if (count > reader.left) throw wrong(`${reader.left} bytes in all`);
  const data = new ARRAYS[dtype](count);
  const elements = data as { [index: number]: number | bigint };
  let index = 0;
  const put = (value: number | bigint) => {
    if (index < count) elements[index] = value;
    index++;
  };
  const put32 = (value: number) => {
    put(value);
    if (index <= count && elements[index - 1] !== value)
      throw malformed(what, `elements that ${dtype} can hold`, value);
    if (dtype === "bool" && value > 1) throw malformed(what, "booleans of 0 or 1", value);
  };
  while (reader.next()) {
    if (reader.field !== FIELDS[dtype]) reader.skip();
    else if (dtype === "float32") reader.floats(put);
    else if (dtype === "float64") reader.doubles(put);
    else if (dtype === "int64" || dtype === "uint64") reader.int64s(put);
    else if (dtype === "uint32") reader.integers((value) => put32(Number(value)));
    else reader.int32s(put32);
  }
  if (index !== count) throw wrong(index);
  return data;
}

function readStrings(reader: Reader, count: number, what: string): readonly string[] {
  const data: string[] = [];
  while (reader.next()) {
    if (reader.field === 6) data.push(reader.string());
    else if (reader.field === 9) throw malformed(what, "strings in field 6", "raw bytes");
    else reader.skip();
  }
  if (data.length !== count) throw malformed(what, `${count} strings, as its shape says`, data.length);
  return data;
}

/** The name of the file that an entry of `external_data` gives, for the message only. */
function readLocation(reader: Reader): string | undefined {
  let key = "";
  let value = "";
  while (reader.next()) {
    if (reader.field === 1) key = reader.string();
    else if (reader.field === 2) value = reader.string();
    else reader.skip();
  }
  return key === "location" ? value : undefined;
}
