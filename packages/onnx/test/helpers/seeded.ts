import { readFileSync } from "node:fs";
import type { NdArray } from "@parapet/core";
import type { Tensor } from "../../src/graph.ts";
import { readModel } from "../../src/proto/read.ts";
import { writeModel } from "../../src/proto/write.ts";

// Networks of full size, whose weights come from a seed: vectors/README.md says how, vectors/large_models.py does the same.

/** What lies beside a skeleton. */
export interface Large {
  readonly input: { readonly name: string; readonly shape: readonly number[]; readonly rows: readonly number[] };
  readonly weights: readonly {
    readonly initializer: string;
    readonly parameter: string;
    readonly form: "same" | "transposed";
    readonly shape: readonly number[];
    readonly offset: number;
    readonly scale: number;
    /** Entries of the gradient `at` some places. */
    readonly gradient?: {
      readonly norm: number;
      readonly largest: number;
      readonly at: readonly number[];
      readonly values: readonly number[];
    };
  }[];
}

const folder = new URL("../vectors/large/", import.meta.url);
const sizeOf = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);

/** `NAME.json` of `vectors/large`. */
export function largeReference<T extends Large>(name: string): T {
  return JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8")) as T;
}

/** A network of `vectors/large` as an ONNX file with its weights: the same bytes every time. */
export function seededModel(name: string): Uint8Array {
  const { values, ...skeleton } = readModel(readFileSync(new URL(`${name}.onnx`, folder)));
  const { graph } = skeleton;
  const initializers = new Map<string, Tensor>(graph.initializers);
  for (const weight of largeReference(name).weights) {
    initializers.set(weight.initializer, { dtype: "float32", shape: weight.shape, data: numbersOf(name, weight) });
  }
  const inputs = graph.inputs.filter((input) => !initializers.has(input.name));
  return writeModel({ ...skeleton, graph: { ...graph, inputs, initializers } }, { values });
}

function numbersOf(name: string, { parameter, form, shape, offset, scale }: Large["weights"][number]): Float32Array {
  const at = uniform(`${name}/${parameter}`);
  const factor = Math.fround(scale);
  const size = sizeOf(shape);
  const data = new Float32Array(size);
  // The numbers are in PyTorch's order; `columns` is the length of its rows.
  const [columns, rows] = form === "transposed" ? [shape[0]!, shape[1]!] : [size, 1];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      data[column * rows + row] = offset + factor * at(row * columns + column);
    }
  }
  return data;
}

/**
 * Images for a network, one for each number in `rows`: 4 x 4 squares and noise in [0, 1]. `size` is another height and
 * width than the reference has, for a file that leaves them open.
 */
export function seededImages(name: string, rows: readonly number[], size?: number): NdArray {
  const [channels, height] = largeReference(name).input.shape as [number, number];
  const side = size ?? height;
  const entries = channels * side * side;
  const data = new Float32Array(rows.length * entries);
  rows.forEach((row, index) => {
    const noise = uniform(`${name}/noise/${row}`);
    const squares = uniform(`${name}/squares/${row}`);
    for (let i = 0; i < entries; i++) {
      const x = Math.floor(((i % side) * 4) / side);
      const y = Math.floor(((Math.floor(i / side) % side) * 4) / side);
      const square = squares(Math.floor(i / (side * side)) * 16 + y * 4 + x);
      data[index * entries + i] = 0.5 + 0.375 * square + 0.125 * noise(i);
    }
  });
  return { dtype: "float32", shape: [rows.length, channels, side, side], data };
}

/** A text for the text classifier: identifiers of words, and a mask that leaves out its end. */
export function seededText(
  name: string,
  row: number,
): { readonly ids: Tensor<"int64">; readonly mask: Tensor<"int64"> } {
  const length = largeReference(name).input.shape[0]!;
  const word = hashes(`${name}/words/${row}`);
  const half = length / 2;
  const used = half + (hashes(`${name}/length/${row}`)(0) % half);
  const tensor = (at: (i: number) => number): Tensor<"int64"> => ({
    dtype: "int64",
    shape: [1, length],
    data: BigInt64Array.from({ length }, (_, i) => BigInt(at(i))),
  });
  return { ids: tensor((i) => word(i) % 8192), mask: tensor((i) => (i < used ? 1 : 0)) };
}

/** Multiples of 2^-23 in [-1, 1). */
function uniform(label: string): (i: number) => number {
  const at = hashes(label);
  return (i) => (at(i) >>> 8) / 2 ** 23 - 1;
}

/** FNV-1a of the label, mixed with the index of each entry. */
function hashes(label: string): (i: number) => number {
  let stream = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(label)) stream = Math.imul(stream ^ byte, 0x01000193);
  return (i) => mix(mix(i) ^ stream);
}

/** The last steps of MurmurHash3, 32 bits. */
function mix(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
