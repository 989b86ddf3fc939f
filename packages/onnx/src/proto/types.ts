import type { ElementType, Graph, Model, ValueInfo } from "../graph.ts";
import { unsupported } from "../problem.ts";

/** How much a file may ask for. */
export interface Limits {
  /** Bytes of the file: protobuf itself ends at 2^31 - 1. */
  readonly bytes: number;
  /** Graphs inside graphs. */
  readonly depth: number;
  /** Nodes, attributes, tensors, inputs and outputs together: they take more memory than their bytes in the file. */
  readonly objects: number;
  /** Elements of one tensor. */
  readonly elements: number;
}

export const DEFAULT_LIMITS: Limits = { bytes: 2 ** 31 - 1, depth: 64, objects: 1_000_000, elements: 2 ** 31 };

/** A value that the IR's types may not describe: a sequence, a map, or (inside subgraphs) one whose type is left out. */
export interface ReadValueInfo extends ValueInfo {
  /** Its type as the file states it, a `TypeProto`, empty where there is none; `dtype` then means nothing. */
  readonly type?: Uint8Array;
}

/** A model as read. Its graph holds tensors only; what else it takes and gives is listed beside it. */
export interface ReadModel extends Model {
  readonly graph: Graph;
  /** Inputs of the graph that are no tensors. */
  readonly otherInputs: readonly ReadValueInfo[];
  /** Outputs of the graph that are no tensors, such as the sequence of maps that scikit-learn's ZipMap gives. */
  readonly otherOutputs: readonly ReadValueInfo[];
  /** Types of values in between, as far as the file states them: onnxruntime fuses more nodes where it has them. */
  readonly values: readonly ReadValueInfo[];
}

/** The dtypes that are carried, at their numbers in ONNX; one more than the last is the first that is not. */
const CARRIED: readonly (ElementType | undefined)[] = [
  undefined,
  "float32",
  "uint8",
  "int8",
  "uint16",
  "int16",
  "int32",
  "int64",
  "string",
  "bool",
  "float16",
  "float64",
  "uint32",
  "uint64",
];
const OTHERS = (
  "complex64 complex128 bfloat16 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz uint4 int4 float4e2m1 " +
  "float8e8m0 uint2 int2 float6e2m3 float6e3m2"
).split(" ");

/** The dtype with ONNX's number `code`. */
export function dtypeOf(code: number, what: string): ElementType {
  const dtype = CARRIED[code];
  if (dtype === undefined)
    throw unsupported(what, "a dtype that is carried (float32, int64, ...)", OTHERS[code - CARRIED.length] ?? code);
  return dtype;
}

/** Whether the dtype with ONNX's number `code` is carried. */
export function isCarried(code: number): boolean {
  return CARRIED[code] !== undefined;
}

/** ONNX's number of a dtype. */
export function codeOf(dtype: ElementType): number {
  return CARRIED.indexOf(dtype);
}

/** The typed array of each dtype but strings. */
export const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  float16: Uint16Array,
} as const;
