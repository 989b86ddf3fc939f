import type { Attribute, Node, Tensor } from "./graph.ts";

/**
 * Writes nodes and constants onto a graph, with names that are not taken. What derivatives are written with:
 * `const y = b.add("Mul", [dy, x])`.
 */
export interface Builder {
  /** Adds a node with one output; returns the output's name. `""` leaves an optional input out. */
  add(op: string, inputs: readonly string[], attributes?: Readonly<Record<string, Attribute>>): string;
  /** Adds a node with several outputs; returns their names. */
  addMany(
    op: string,
    inputs: readonly string[],
    outputs: number,
    attributes?: Readonly<Record<string, Attribute>>,
    domain?: string,
  ): readonly string[];
  /** Adds a node as it is, outputs' names included. */
  copy(node: Node): void;
  /** A constant; the same one is written once. */
  constant(tensor: Tensor): string;
  /** A float32 scalar. */
  scalar(value: number): string;
  /** A vector of int64, for shapes, axes and the like. */
  int64(values: readonly number[]): string;
  /** How many channels lie side by side where convolutions are written blocked; 0 where they are not. */
  readonly block: number;
  /** What has been added, in order. */
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, Tensor>;
}

/** A builder whose names avoid `taken`. */
export function createBuilder(taken: Iterable<string>, block = 0): Builder {
  const names = new Set(taken);
  const nodes: Node[] = [];
  const initializers = new Map<string, Tensor>();
  const known = new Map<string, string>();
  let counter = 0;
  const fresh = (hint: string): string => {
    for (;;) {
      const name = `${hint}_${counter++}`;
      if (!names.has(name)) {
        names.add(name);
        return name;
      }
    }
  };
  const addMany: Builder["addMany"] = (op, inputs, count, attributes = {}, domain = "") => {
    const outputs = Array.from({ length: count }, () => fresh(op));
    nodes.push({ name: outputs[0]!, op, domain, inputs, outputs, attributes });
    return outputs;
  };
  const constant = (tensor: Tensor): string => {
    const small = tensor.dtype !== "string" && tensor.data.length <= 16;
    const key = small
      ? `${tensor.dtype}[${tensor.shape}]${Array.from(tensor.data as ArrayLike<number>, show)}`
      : undefined;
    const before = key === undefined ? undefined : known.get(key);
    if (before !== undefined) return before;
    const name = fresh("constant");
    initializers.set(name, tensor);
    if (key !== undefined) known.set(key, name);
    return name;
  };
  return {
    nodes,
    initializers,
    block,
    addMany,
    copy: (node) => void nodes.push(node),
    add: (op, inputs, attributes) => addMany(op, inputs, 1, attributes)[0]!,
    constant,
    scalar: (value) => constant({ dtype: "float32", shape: [], data: Float32Array.of(value) }),
    int64: (values) =>
      constant({ dtype: "int64", shape: [values.length], data: BigInt64Array.from(values, (value) => BigInt(value)) }),
  };
}

function show(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}
