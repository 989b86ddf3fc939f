import { type Json, parseJson } from "@parapet/attestation";
import { checkNumber } from "@parapet/core";
import { kindOf, shown } from "../problem.ts";
import { type ByteSource, sourceOf, typed } from "./byte-source.ts";
import { malformed, objectOf, tooLarge, unsupported } from "./errors.ts";

/** Bits of one element. Those with fewer than eight are packed: a tensor of them fills whole bytes, or is refused. */
const bits = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** Types of elements that a file of safetensors can have. */
export type SafetensorsType = keyof typeof bits;

/** Where one tensor lies. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: SafetensorsType;
  readonly shape: readonly number[];
  /** Its first byte, from the beginning of the file. */
  readonly start: number;
  /** The byte behind its last one. */
  readonly end: number;
}

/** What the header of a file of safetensors says. */
export interface Safetensors {
  /** In the order in which they lie in the file, without a gap. */
  readonly tensors: readonly SafetensorsEntry[];
  /** Text by name, which nothing vouches for. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What `readSafetensors` reads at most. */
export interface SafetensorsLimits {
  /** Bytes of the header, default 100,000,000 as in the reference. */
  readonly maxHeaderBytes?: number;
  /** Default 2^18. */
  readonly maxTensors?: number;
}

/** Axes that a shape has at most, as in NumPy. */
const AXES = 64;
/** Texts that the metadata have at most. */
const TEXTS = 1 << 16;
/** 1 for what stands outside of strings. */
const PUNCTUATION = /* @__PURE__ */ Uint8Array.from({ length: 256 }, (_, code) =>
  "{}[]:, \t\n\r0123456789".includes(String.fromCharCode(code)) ? 1 : 0,
);
const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];

/**
 * Reads the header of a file of safetensors, so that no other reader can see another file in it: a name stands once, the
 * tensors fill the file from the header to its end without hole or overlap, and each is as long as its shape and type say.
 *
 * Stricter than the reference, which takes names that stand twice, blanks before the header, unknown fields, entries that
 * are lists, metadata that is null, and tensors named `__proto__`.
 *
 * @param source - the file: bytes, or something that can be read in parts, of which the header alone is read
 * @param limits - how long the header may be
 * @returns what lies where
 * @throws ParapetError `model-signing/container-malformed`, `/container-too-large`, or `/container-unsupported` for a type of
 *   elements that is not known
 *
 * @example
 * ```ts
 * import { readSafetensors } from "@parapet/model-signing/containers";
 * const header = '{"weight":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}';
 * const file = Uint8Array.of(header.length, 0, 0, 0, 0, 0, 0, 0, ...new TextEncoder().encode(header), 7, 9);
 * const { name, start, end } = (await readSafetensors(file)).tensors[0]!;
 * console.log(name, file.subarray(start, end).join()); // => weight 7,9
 * ```
 *
 * Source: safetensors, "Format" in its README; the reference's limits are those of version 0.8.0.
 */
export async function readSafetensors(
  source: ByteSource | Uint8Array,
  limits: SafetensorsLimits = {},
): Promise<Safetensors> {
  const maxHeaderBytes = checkNumber("maxHeaderBytes", limits.maxHeaderBytes ?? 100_000_000, { min: 2, integer: true });
  const maxTensors = checkNumber("maxTensors", limits.maxTensors ?? 1 << 18, { min: 0, integer: true });
  const { size, read } = sourceOf(source);
  if (size < 8) throw malformed("file", "8 bytes that say how long its header is", `${size} bytes`);
  const first = await read(0, 8);
  const length = new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(size - 8)) throw malformed("header", `at most the ${size - 8} bytes that follow`, `${length}`);
  if (length > BigInt(maxHeaderBytes)) throw tooLarge("header", `at most ${maxHeaderBytes} bytes`, `${length}`);
  const begin = 8 + Number(length);
  const bytes = await read(8, begin);
  if (bytes[0] !== OPEN_OBJECT) throw malformed("header", 'a "{" at its beginning', "something else");
  let end = bytes.length;
  while (bytes[end - 1] === 0x20) end--; // padding
  if (bytes[end - 1] !== CLOSE_OBJECT) throw malformed("header", 'a "}" at its end, and then blanks', "something else");
  scan(bytes, end, maxTensors);
  const header = typed("header", () => parseJson(bytes.subarray(0, end), { maxBytes: end, maxDepth: 3 }));

  const tensors: SafetensorsEntry[] = [];
  let metadata: Readonly<Record<string, string>> = {};
  for (const [name, value] of Object.entries(objectOf("header", header))) {
    if (name === "__metadata__") metadata = readMetadata(value);
    else tensors.push(readEntry(name, value, begin));
  }
  // Empty tensors before the one that begins where they lie.
  tensors.sort((a, b) => a.start - b.start || a.end - b.end);
  let at = begin;
  for (const { name, start, end } of tensors) {
    if (start !== at) {
      const what = start < at ? "bytes of another tensor" : `a hole of ${start - at} bytes`;
      throw malformed(`tensor ${shown(name)}`, `its data at ${at - begin}`, `${start - begin}: ${what}`);
    }
    at = end;
  }
  if (at !== size) throw malformed("file", `its end after ${at} bytes, where its tensors end`, `${size}`);
  return { tensors, metadata };
}

/** Outside of its strings a header has nothing but punctuation, digits and blanks; and it is counted before it is read. */
function scan(bytes: Uint8Array, end: number, maxTensors: number): void {
  let objects = -1; // the header itself
  let members = 0;
  let items = -1; // not in a list
  for (let at = 0; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      for (at++; at < end && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++;
      continue;
    }
    if (PUNCTUATION[byte] !== 1)
      throw malformed("header", "objects, texts and whole numbers", `another character at ${at}`);
    if (byte === OPEN_OBJECT) objects++;
    else if (byte === OPEN_LIST) items = 0;
    else if (byte === CLOSE_LIST) items = -1;
    else if (byte === COMMA && items < 0) members++;
    else if (byte === COMMA && ++items >= AXES) throw tooLarge("shape", `at most ${AXES} axes`, "more");
    // One more object is the metadata; an entry has three members.
    if (objects > maxTensors + 1 || members > 4 * maxTensors + TEXTS)
      throw tooLarge("header", `at most ${maxTensors} tensors, and ${TEXTS} texts of metadata`, "more");
  }
}

function readMetadata(value: Json): Readonly<Record<string, string>> {
  const metadata = objectOf("metadata", value);
  for (const [name, text] of Object.entries(metadata)) {
    if (typeof text !== "string") throw malformed(`metadata ${shown(name)}`, "a text", kindOf(text));
    refusePrototype(name);
  }
  return metadata as Readonly<Record<string, string>>;
}

function readEntry(name: string, value: Json, begin: number): SafetensorsEntry {
  const where = `tensor ${shown(name)}`;
  refusePrototype(name);
  const { dtype, shape, data_offsets: offsets, ...others } = objectOf(where, value);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw malformed(where, '"dtype", "shape" and "data_offsets"', shown(unknown));
  if (typeof dtype !== "string") throw malformed(where, "a dtype", kindOf(dtype));
  if (!Object.hasOwn(bits, dtype))
    throw unsupported(where, `one of the types ${Object.keys(bits).join(", ")}`, shown(dtype));
  const [from, to, ...more] = numbersOf(`${where}, data_offsets,`, offsets);
  if (from === undefined || to === undefined || more.length > 0)
    throw malformed(where, "two data_offsets", `${(offsets as readonly Json[]).length}`);
  if (to < from) throw malformed(where, `data that ends at ${from} or later`, `${to}`);
  const lengths = numbersOf(`${where}, shape,`, shape);
  let size: number = bits[dtype as SafetensorsType];
  for (const length of lengths) {
    size *= length;
    if (!Number.isSafeInteger(size)) throw malformed(where, "a shape of less than 2^53 bits", `[${lengths.join()}]`);
  }
  if (size !== 8 * (to - from))
    throw malformed(where, `${size} bits, by its shape and type,`, `${to - from} bytes of data`);
  return { name, dtype: dtype as SafetensorsType, shape: lengths, start: begin + from, end: begin + to };
}

/** Whoever makes an object of these names would make another object than he thinks. */
function refusePrototype(name: string): void {
  if (name === "__proto__") throw malformed("header", "names that an object can have", shown(name));
}

function numbersOf(where: string, value: Json | undefined): readonly number[] {
  if (!Array.isArray(value)) throw malformed(where, "a list", kindOf(value));
  for (const item of value as readonly Json[])
    if (typeof item !== "number") throw malformed(where, "whole numbers", kindOf(item));
  return value as readonly number[];
}
