/** The element types that are carried; names as in onnxruntime, with `bigint` data for the 64-bit ones. */
export interface TensorData {
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  int8: Int8Array;
  uint16: Uint16Array;
  int16: Int16Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
  float16: Uint16Array;
  string: readonly string[];
}

/** A dtype of ONNX that is carried. */
export type ElementType = keyof TensorData;

/** A constant: dense, row-major. */
export interface Tensor<T extends ElementType = ElementType> {
  readonly dtype: T;
  readonly shape: readonly number[];
  readonly data: TensorData[T];
}

/** An attribute, tagged as ONNX tags it: 1 the integer and 1 the float are different things. */
export type Attribute =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "tensor"; readonly value: Tensor }
  | { readonly kind: "ints"; readonly value: readonly number[] }
  | { readonly kind: "floats"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly string[] }
  | { readonly kind: "graph"; readonly value: Graph };

/** One operation. An optional input that is left out is the empty name, as in ONNX. */
export interface Node {
  readonly name: string;
  readonly op: string;
  /** "" is ONNX's own domain. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A length of an axis as a file states it: a number, a name such as "batch", or unknown. */
export type DeclaredDim = number | string | undefined;

/** What a graph takes or gives. */
export interface ValueInfo {
  readonly name: string;
  readonly dtype: ElementType;
  /** Undefined where not even the rank is stated. */
  readonly shape: readonly DeclaredDim[] | undefined;
}

/** A graph, immutable; nodes in an order in which they can run. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  readonly nodes: readonly Node[];
}

/** A file. */
export interface Model {
  readonly irVersion: number;
  /** Version of each operator set, "" for ONNX's own. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly producer: string;
  /** Texts that travel with the file, by key. */
  readonly metadata?: ReadonlyMap<string, string> | undefined;
  readonly graph: Graph;
}

/** The integer attribute `name` of a node, or its default. */
export function int(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === "int" ? attribute.value : fallback;
}

/** The float attribute `name` of a node, or its default. */
export function float(node: Node, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === "float" ? attribute.value : fallback;
}

/** The string attribute `name` of a node, or its default. */
export function string(node: Node, name: string, fallback: string): string {
  const attribute = node.attributes[name];
  return attribute?.kind === "string" ? attribute.value : fallback;
}

/** The list of integers `name` of a node, or undefined. */
export function ints(node: Node, name: string): readonly number[] | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === "ints" ? attribute.value : undefined;
}

/** Attributes from plain values: whole numbers in `ints` are integers, everything is said explicitly. */
export const attribute = {
  int: (value: number): Attribute => ({ kind: "int", value }),
  float: (value: number): Attribute => ({ kind: "float", value }),
  string: (value: string): Attribute => ({ kind: "string", value }),
  ints: (value: readonly number[]): Attribute => ({ kind: "ints", value }),
  floats: (value: readonly number[]): Attribute => ({ kind: "floats", value }),
  tensor: (value: Tensor): Attribute => ({ kind: "tensor", value }),
};
