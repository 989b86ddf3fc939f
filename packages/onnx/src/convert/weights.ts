import { expected } from "@parapet/core";
import { brief, malformed, unsupported } from "../problem.ts";
import type { LayersModelArtifacts, LayersWeightSpec } from "./artifacts.ts";

/** One weight of the artifacts, not decoded yet. */
export interface StoredWeight {
  readonly spec: LayersWeightSpec;
  /** Its bytes as they lie in `weightData`. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The weights of the artifacts. */
export interface Weights {
  /** All of them but the state of an optimizer, in order. */
  readonly stored: readonly StoredWeight[];
  /** The weight that tfjs gives to a layer's variable, such as `"conv2d/kernel"`. */
  find(variable: string): StoredWeight | undefined;
}

const bytesPerValue: Readonly<Record<string, number>> = {
  float32: 4,
  int32: 4,
  bool: 1,
  complex64: 8,
  uint8: 1,
  uint16: 2,
  float16: 2,
};

/** Cuts `weightData` into weights; every byte must belong to one. */
export function readWeights({ weightSpecs = [], weightData = [] }: LayersModelArtifacts): Weights {
  if (!Array.isArray(weightSpecs)) throw new TypeError(expected("weightSpecs", "a list", weightSpecs));
  const bytes = join(weightData as unknown);
  const stored: StoredWeight[] = [];
  const names = new Map<string, StoredWeight>();
  let offset = 0;
  for (const spec of weightSpecs as readonly LayersWeightSpec[]) {
    const length = byteLength(spec);
    if (offset + length > bytes.length) {
      throw malformed("weightData", `${offset + length} or more bytes (at weight "${brief(spec.name)}")`, bytes.length);
    }
    const weight = { spec, bytes: bytes.subarray(offset, offset + length) };
    offset += length;
    if (spec.group === "optimizer") continue;
    if (names.has(spec.name)) throw malformed("weightSpecs", "no name twice", brief(spec.name));
    names.set(spec.name, weight);
    stored.push(weight);
  }
  if (offset !== bytes.length) throw malformed("weightData", `${offset} bytes`, bytes.length);
  // As tfjs does: Keras may write layer/cell/weight where the variable is called layer/weight.
  const shortened = new Map(
    stored.map((weight) => {
      const parts = weight.spec.name.split("/");
      return [[...parts.slice(0, -2), parts.at(-1)].join("/"), weight];
    }),
  );
  return { stored, find: (variable) => names.get(variable) ?? shortened.get(variable) };
}

/** The values of a weight, dequantized; a fresh array. */
export function decodeWeight({ spec, bytes }: StoredWeight): Float32Array {
  const { dtype, quantization } = spec;
  if (dtype !== "float32") throw unsupported(`dtype of the weight "${brief(spec.name)}"`, "float32", dtype);
  const copy = bytes.slice().buffer;
  if (quantization === undefined) return new Float32Array(copy);
  if (quantization.dtype === "float16") return Float32Array.from(new Uint16Array(copy), halfToNumber);
  const { scale, min } = quantization;
  if (typeof scale !== "number" || typeof min !== "number") {
    throw malformed(`quantization of the weight "${brief(spec.name)}"`, "a scale and a min", quantization);
  }
  const quantized = quantization.dtype === "uint8" ? new Uint8Array(copy) : new Uint16Array(copy);
  return Float32Array.from(quantized, (value) => value * scale + min);
}

function byteLength(spec: LayersWeightSpec): number {
  if (typeof spec !== "object" || spec === null || typeof spec.name !== "string") {
    throw malformed("weightSpecs", "entries with a name", spec);
  }
  const name = brief(spec.name);
  if (!Array.isArray(spec.shape) || !spec.shape.every((length) => Number.isSafeInteger(length) && length >= 0)) {
    throw malformed(`shape of the weight "${name}"`, "whole numbers >= 0", spec.shape);
  }
  const { quantization } = spec;
  if (quantization !== undefined && !["uint8", "uint16", "float16"].includes(quantization?.dtype)) {
    throw unsupported(`quantization of the weight "${name}"`, "uint8, uint16 or float16", quantization?.dtype);
  }
  const dtype = quantization?.dtype ?? spec.dtype;
  if (typeof dtype !== "string" || !Object.hasOwn(bytesPerValue, dtype)) {
    throw unsupported(`dtype of the weight "${name}"`, Object.keys(bytesPerValue).slice(0, 4).join(", "), dtype);
  }
  return spec.shape.reduce((product, length) => product * length, bytesPerValue[dtype]!);
}

function join(data: unknown): Uint8Array<ArrayBuffer> {
  const parts: readonly unknown[] = Array.isArray(data) ? data : [data];
  for (const part of parts) {
    if (!isBuffer(part)) throw new TypeError(expected("weightData", "an ArrayBuffer or a list of them", part));
  }
  const buffers = parts as readonly ArrayBuffer[];
  if (buffers.length === 1) return new Uint8Array(buffers[0]!);
  const bytes = new Uint8Array(buffers.reduce((total, { byteLength }) => total + byteLength, 0));
  let offset = 0;
  for (const buffer of buffers) {
    bytes.set(new Uint8Array(buffer), offset);
    offset += buffer.byteLength;
  }
  return bytes;
}

/** Also true of a buffer from another realm, such as a frame's or a test environment's. */
function isBuffer(value: unknown): boolean {
  return Object.prototype.toString.call(value) === "[object ArrayBuffer]";
}

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
