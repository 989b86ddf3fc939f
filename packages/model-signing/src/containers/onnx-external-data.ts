import { checkNumber } from "@parapet/core";
import { checkNames } from "../names.ts";
import { problem, shown } from "../problem.ts";
import { malformed, tooLarge, unsupported } from "./errors.ts";
import { type FieldBudget, Scan } from "./onnx-wire.ts";

/** Bits of one element, by the number of its type in ONNX; texts (8) cannot lie in another file. */
const bits: Readonly<Record<number, number>> = {
  ...{ 1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16 },
  ...{ 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2 },
};

/** A tensor that lies in another file. */
export interface ExternalTensor {
  readonly name: string;
  /** The file, relative to the folder of the ONNX file. */
  readonly location: string;
  /** Where it begins. */
  readonly offset: number;
  /** Its bytes. */
  readonly length: number;
}

/** What an ONNX file has in other files. */
export interface OnnxExternalData {
  readonly tensors: readonly ExternalTensor[];
  /** Every file that is read, and how many bytes it has at least. */
  readonly files: readonly { readonly location: string; readonly bytes: number }[];
}

/** Options of `onnxExternalData`. */
export interface ExternalDataOptions {
  /** Bytes of each file that lies beside the ONNX file, where they are known: every tensor must lie in one. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Default 2 GiB, beyond which protobuf has no messages. */
  readonly maxBytes?: number;
  /** How many fields are passed over, default 2^24. */
  readonly maxFields?: number;
}

/** Graphs inside of graphs. */
const DEPTH = 32;

/**
 * Says which other files an ONNX file reads, wherever it says so: in the weights of its graph, of the graphs inside, of
 * functions, of training, and in attributes of nodes. A file must lie below the folder of the ONNX file, and each tensor must
 * have the length that its shape and type say. Nothing of the weights is copied.
 *
 * @param bytes - the ONNX file
 * @param options - sizes of the files beside it
 * @returns the tensors and their files; both are empty when everything is in the file itself
 * @throws ParapetError `model-signing/name` for a location that leads elsewhere, or into the memory of the runtime;
 *   `/missing` for one without a size in `sizes`; `model-signing/container-malformed`, `/container-unsupported` or
 *   `/container-too-large`
 *
 * @example
 * ```ts
 * import { onnxExternalData } from "@parapet/model-signing/containers";
 * const text = (field: number, value: string) => [8 * field + 2, value.length, ...new TextEncoder().encode(value)];
 * const message = (field: number, bytes: readonly number[]) => [8 * field + 2, bytes.length, ...bytes];
 * const location = message(13, [...text(1, "location"), ...text(2, "weights.data")]);
 * const tensor = [8, 2, 16, 1, ...text(8, "w"), ...location, 112, 1]; // two floats, somewhere else
 * const file = Uint8Array.from([8, 10, ...message(7, message(5, tensor))]);
 * const { files } = onnxExternalData(file, { sizes: { "weights.data": 8 } });
 * console.log(files[0]!.location, files[0]!.bytes); // => weights.data 8
 * ```
 *
 * Source: onnx.proto of ONNX 1.18, and "External Data" in its documentation.
 */
export function onnxExternalData(bytes: Uint8Array, options: ExternalDataOptions = {}): OnnxExternalData {
  const { sizes } = options;
  const maxBytes = checkNumber("maxBytes", options.maxBytes ?? 2 ** 31, { min: 0, integer: true });
  const maxFields = checkNumber("maxFields", options.maxFields ?? 2 ** 24, { min: 1, integer: true });
  if (bytes.length > maxBytes) throw tooLarge("file", `at most ${maxBytes} bytes`, bytes.length);
  const tensors = scanModel(bytes, { left: maxFields });
  const files = new Map<string, number>();
  for (const { location, offset, length } of tensors)
    files.set(location, Math.max(files.get(location) ?? 0, offset + length));
  checkNames([...files.keys()]);
  if (sizes !== undefined) {
    for (const [location, end] of files) {
      const size = Object.hasOwn(sizes, location) ? sizes[location] : undefined;
      if (size === undefined)
        throw problem(
          "model-signing/missing",
          `${shown(location)} expected to be there, as the ONNX file names it; got nothing`,
        );
      if (size < end) throw malformed(`file ${shown(location)}`, `at least ${end} bytes, by its tensors,`, `${size}`);
    }
  }
  return { tensors, files: Array.from(files, ([location, end]) => ({ location, bytes: end })) };
}

/** Fields of a tensor that hold its elements. */
const DATA: ReadonlySet<number> = /* @__PURE__ */ new Set([4, 5, 6, 7, 9, 10, 11]);

type Found = ExternalTensor[];

function scanModel(bytes: Uint8Array, budget: FieldBudget): Found {
  const found: Found = [];
  const scan = new Scan(bytes, budget);
  let graphs = 0;
  while (scan.next()) {
    // Readers of protobuf join messages that stand twice where one belongs; here it stands once.
    if (scan.field === 7 && ++graphs > 1) throw malformed("file", "one graph", "two");
    if (scan.field === 7) scanGraph(scan.message(), found, 0);
    else if (scan.field === 20) scanTraining(scan.message(), found);
    else if (scan.field === 25) scanFunction(scan.message(), found);
  }
  if (graphs === 0) throw malformed("file", "an ONNX file, which has a graph,", "none");
  return found;
}

function scanTraining(scan: Scan, found: Found): void {
  while (scan.next()) if (scan.field <= 2) scanGraph(scan.message(), found, 0);
}

function scanFunction(scan: Scan, found: Found): void {
  while (scan.next()) {
    if (scan.field === 7) scanNode(scan.message(), found, 0);
    else if (scan.field === 11) scanAttribute(scan.message(), found, 0);
  }
}

function scanGraph(scan: Scan, found: Found, depth: number): void {
  if (depth > DEPTH) throw tooLarge("graph", `at most ${DEPTH} levels`, "more");
  while (scan.next()) {
    if (scan.field === 1) scanNode(scan.message(), found, depth);
    else if (scan.field === 5) scanTensor(scan.message(), found);
    else if (scan.field === 15) scanSparse(scan.message(), found);
  }
}

function scanNode(scan: Scan, found: Found, depth: number): void {
  while (scan.next()) {
    // onnxruntime takes a program of a device from it, or from the file that it names in an attribute.
    if (scan.field === 4 && scan.length < 32 && scan.text() === "EPContext")
      throw unsupported("node EPContext", "operators that the file describes", "a compiled program, or a file's name");
    if (scan.field === 5) scanAttribute(scan.message(), found, depth);
  }
}

function scanAttribute(scan: Scan, found: Found, depth: number): void {
  while (scan.next()) {
    if (scan.field === 5 || scan.field === 10) scanTensor(scan.message(), found);
    else if (scan.field === 6 || scan.field === 11) scanGraph(scan.message(), found, depth + 1);
    else if (scan.field === 22 || scan.field === 23) scanSparse(scan.message(), found);
  }
}

function scanSparse(scan: Scan, found: Found): void {
  while (scan.next()) if (scan.field <= 2) scanTensor(scan.message(), found);
}

function scanTensor(scan: Scan, found: Found): void {
  const pairs = new Map<string, string>();
  const shape: bigint[] = [];
  let name = "";
  let type = 0;
  let places = 0;
  let external = false;
  let holds = false;
  while (scan.next()) {
    const { field } = scan;
    if (field === 1) shape.push(...scan.integers(64));
    else if (field === 2) type = Number(BigInt.asIntN(32, scan.integer()));
    else if (field === 8) name = scan.text();
    else if (DATA.has(field)) holds = true;
    else if (field === 13) readPair(scan.message(), pairs);
    else if (field === 14) {
      external = scan.integer() === 1n;
      places++;
    }
    if (shape.length > 64) throw tooLarge(`tensor ${shown(name)}`, "at most 64 axes", "more");
  }
  if (!external && pairs.size === 0) return;
  const where = `tensor ${shown(name)}`;
  if (!external || places > 1) throw malformed(where, "to lie either in the file or in another", "both");
  if (holds) throw malformed(where, "its data in another file, as it says,", "data in this one");
  found.push(readTensor(where, name, type, shape, pairs));
}

function readPair(scan: Scan, pairs: Map<string, string>): void {
  let key = "";
  let value = "";
  while (scan.next()) {
    if (scan.field === 1) key = scan.text();
    else if (scan.field === 2) value = scan.text();
  }
  if (pairs.has(key)) throw malformed("external data", `${shown(key)} once`, "it twice");
  pairs.set(key, value);
}

function readTensor(
  where: string,
  name: string,
  type: number,
  shape: readonly bigint[],
  pairs: ReadonlyMap<string, string>,
): ExternalTensor {
  for (const key of pairs.keys())
    if (!/^(location|offset|length|checksum)$/.test(key))
      throw unsupported(where, "a location, an offset, a length and a checksum", shown(key));
  const location = pairs.get("location");
  if (location === undefined) throw malformed(where, "the location of its data", "none");
  if (/_ORT_MEM_ADDR_|[*?%#]|^[a-z][a-z0-9+.-]*:/i.test(location))
    throw problem(
      "model-signing/name",
      `file name ${shown(location)} expected a plain path: onnxruntime takes some others for places in its memory, and pages for addresses`,
    );
  const size = bits[type];
  if (size === undefined) throw unsupported(where, "a type of numbers that ONNX has", `type ${type}`);
  let total = BigInt(size);
  for (const length of shape) {
    if (length < 0n) throw malformed(where, "lengths >= 0", `${length}`);
    total *= length;
    if (total > 2n ** 53n) throw tooLarge(where, "fewer elements", "more");
  }
  const bytes = Number((total + 7n) / 8n);
  const offset = numberOf(where, pairs.get("offset") ?? "0");
  const length = numberOf(where, pairs.get("length") ?? String(bytes));
  if (length !== bytes) throw malformed(where, `${bytes} bytes, by its shape and type,`, `${length}`);
  if (!Number.isSafeInteger(offset + length)) throw tooLarge(where, "a place in a file", offset);
  return { name, location, offset, length };
}

function numberOf(where: string, text: string): number {
  const value = Number(text);
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text) || !Number.isSafeInteger(value))
    throw malformed(where, "whole numbers as offset and length", shown(text));
  return value;
}
