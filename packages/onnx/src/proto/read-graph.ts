import type { Attribute, DeclaredDim, ElementType, Graph, Node, Tensor } from "../graph.ts";
import { brief, malformed, tooLarge, unsupported } from "../problem.ts";
import { readTensor } from "./read-tensor.ts";
import { dtypeOf, isCarried, type Limits, type ReadValueInfo } from "./types.ts";
import { Reader } from "./wire.ts";

/** What goes through a reading: the limits and what has been used of them. */
export interface Budget {
  readonly limits: Limits;
  objects: number;
}

/**
 * Reads a `GraphProto`, `depth` graphs deep. What its nodes use is not checked yet. Types of values in between are
 * added to `values`.
 */
export function readGraph(reader: Reader, budget: Budget, depth: number, values?: ReadValueInfo[]): Graph {
  if (depth > budget.limits.depth)
    throw tooLarge("graph", `at most ${budget.limits.depth} graphs inside graphs`, depth);
  let name = "";
  const inputs: ReadValueInfo[] = [];
  const outputs: ReadValueInfo[] = [];
  const initializers = new Map<string, Tensor>();
  const nodes: Node[] = [];
  while (reader.next()) {
    if (reader.field === 1) nodes.push(readNode(reader.message(), nodes.length, budget, depth));
    else if (reader.field === 2) name = reader.string();
    else if (reader.field === 5) {
      count(budget);
      const read = readTensor(reader.message(), `initializer ${initializers.size}`, budget.limits);
      if (read.name === "") throw malformed(`initializer ${initializers.size}`, "a name", "none");
      if (initializers.has(read.name))
        throw malformed(`initializer ${brief(read.name)}`, "to be there once", "it twice");
      initializers.set(read.name, read.tensor);
    } else if (reader.field === 11) inputs.push(readValueInfo(reader.message(), "input", budget));
    else if (reader.field === 12) outputs.push(readValueInfo(reader.message(), "output", budget));
    else if (reader.field === 13 && values !== undefined) values.push(readValueInfo(reader.message(), "value", budget));
    else if (reader.field === 15) throw unsupported(`graph ${brief(name)}`, "dense initializers", "a sparse one");
    else reader.skip();
  }
  // Before version 4 of the format, every initializer was listed as an input, too.
  return { name, inputs: inputs.filter((input) => !initializers.has(input.name)), outputs, initializers, nodes };
}

function count(budget: Budget): void {
  if (++budget.objects > budget.limits.objects)
    throw tooLarge("file", `at most ${budget.limits.objects} nodes, attributes and tensors`, "more");
}

function readValueInfo(reader: Reader, role: string, budget: Budget): ReadValueInfo {
  count(budget);
  let name = "";
  let type: Uint8Array | undefined;
  while (reader.next()) {
    if (reader.field === 1) name = reader.string();
    else if (reader.field === 2) type = only(type, reader.bytes(), `type of ${role} ${brief(name)}`);
    else reader.skip();
  }
  if (name === "") throw malformed(`graph's ${role}`, "a name", "none");
  const what = `${role} ${brief(name)}`;
  const tensor = type === undefined ? undefined : readTensorType(new Reader(type), what, budget.limits, role);
  if (tensor !== undefined) return { name, ...tensor };
  return { name, dtype: "float32", shape: undefined, type: type?.slice() ?? new Uint8Array(0) };
}

/** Reads a `TypeProto`; undefined where it is not a tensor's, or leaves the dtype open. */
function readTensorType(
  reader: Reader,
  what: string,
  limits: Limits,
  role: string,
): { dtype: ElementType; shape: readonly DeclaredDim[] | undefined } | undefined {
  let tensor: Reader | undefined;
  let other = false;
  while (reader.next()) {
    if (reader.field === 1) tensor = only(tensor, reader.message(), `tensor type of ${what}`);
    else {
      other ||= [4, 5, 7, 8, 9].includes(reader.field);
      reader.skip();
    }
  }
  if (tensor === undefined || other) return undefined;
  let code = 0;
  let shape: DeclaredDim[] | undefined;
  while (tensor.next()) {
    if (tensor.field === 1) code = tensor.int32();
    else if (tensor.field === 2) shape = only(shape, readShape(tensor.message(), what, limits), `shape of ${what}`);
    else tensor.skip();
  }
  // What nobody has to hold may be of any dtype.
  return code === 0 || (role === "value" && !isCarried(code)) ? undefined : { dtype: dtypeOf(code, what), shape };
}

function readShape(reader: Reader, what: string, limits: Limits): DeclaredDim[] {
  const shape: DeclaredDim[] = [];
  while (reader.next()) {
    if (reader.field !== 1) {
      reader.skip();
      continue;
    }
    const dim = reader.message();
    let length: DeclaredDim;
    while (dim.next()) {
      if (dim.field === 1) {
        const value = dim.integer();
        if (value > limits.elements) throw tooLarge(what, `axes of at most ${limits.elements} elements`, String(value));
        // Some exporters write -1 for a length they do not know.
        length = value < 0 ? undefined : Number(value);
      } else if (dim.field === 2) length = dim.string() || undefined;
      else dim.skip();
    }
    shape.push(length);
  }
  return shape;
}

function readNode(reader: Reader, index: number, budget: Budget, depth: number): Node {
  count(budget);
  const inputs: string[] = [];
  const outputs: string[] = [];
  const found: Reader[] = [];
  let name = "";
  let op = "";
  let domain = "";
  while (reader.next()) {
    if (reader.field === 1) inputs.push(reader.string());
    else if (reader.field === 2) outputs.push(reader.string());
    else if (reader.field === 3) name = reader.string();
    else if (reader.field === 4) op = reader.string();
    else if (reader.field === 7) domain = reader.string();
    else if (reader.field === 5) {
      count(budget);
      found.push(reader.message());
    } else reader.skip();
  }
  const what = describe({ name: name || outputs[0] || String(index), op });
  if (op === "") throw malformed(what, "an operator", "none");
  if (domain === "ai.onnx") domain = "";
  const attributes = new Map<string, Attribute>();
  for (const each of found) {
    const { key, attribute } = readAttribute(each, what, op === "Constant" && domain === "", budget, depth);
    if (attributes.has(key)) throw malformed(what, `one attribute ${brief(key)}`, "two");
    attributes.set(key, attribute);
  }
  // Defines own properties, whatever they are called.
  return { name, op, domain, inputs, outputs, attributes: Object.fromEntries(attributes) };
}

/** A node as messages name it. */
export function describe({ name, op }: Pick<Node, "name" | "op">): string {
  return `node ${brief(name)} (${brief(op)})`;
}

/** The kinds of attributes, at their numbers in ONNX. */
const KINDS =
  ",float,int,string,tensor,graph,floats,ints,strings,tensors,graphs,sparse tensor,sparse tensors,type,types".split(
    ",",
  );
/** The kind that each field of `AttributeProto` means. */
const FIELD_KINDS: Readonly<Record<number, string>> = {
  2: "float",
  3: "int",
  4: "string",
  5: "tensor",
  6: "graph",
  7: "floats",
  8: "ints",
  9: "strings",
  10: "tensors",
  11: "graphs",
  14: "type",
  15: "types",
  22: "sparse tensor",
  23: "sparse tensors",
};

function readAttribute(reader: Reader, node: string, isConstant: boolean, budget: Budget, depth: number) {
  let key = "";
  let code = 0;
  let scalar: number | bigint = 0;
  let text = "";
  let tensor: Reader | undefined;
  let graph: Reader | undefined;
  const numbers: (number | bigint)[] = [];
  const texts: string[] = [];
  const present = new Set<string>();
  while (reader.next()) {
    const { field } = reader;
    if (FIELD_KINDS[field] !== undefined) present.add(FIELD_KINDS[field]);
    if (field === 1) key = reader.string();
    else if (field === 2) scalar = reader.float();
    else if (field === 3) scalar = reader.integer();
    else if (field === 4) text = reader.string();
    else if (field === 5) tensor = only(tensor, reader.message(), `${node}, its tensor`);
    else if (field === 6) graph = only(graph, reader.message(), `${node}, its graph`);
    else if (field === 7) reader.floats((value) => numbers.push(value));
    else if (field === 8) reader.integers((value) => numbers.push(value));
    else if (field === 9) texts.push(reader.string());
    else if (field === 20) code = reader.int32();
    else if (field === 21) throw unsupported(node, "attributes with a value", "a reference to a function's attribute");
    else reader.skip();
  }
  const what = `${node}, attribute ${brief(key)}`;
  if (key === "") throw malformed(node, "attributes with a name", "one without");
  // Files of the first version of the format leave the type out.
  const kind = code === 0 && present.size === 1 ? [...present][0] : KINDS[code];
  if (kind === "" || kind === undefined) throw malformed(what, "one value of a known kind", [...present]);
  if (present.size > (present.has(kind) ? 1 : 0)) throw malformed(what, `a value of kind ${kind}`, [...present]);
  const exact = (value: number | bigint): number => {
    if (typeof value === "number") return value;
    throw unsupported(what, "integers up to 2^53", String(value));
  };
  const attribute = ((): Attribute => {
    switch (kind) {
      case "float":
        return { kind, value: Number(scalar) };
      case "int":
        if (isConstant && typeof scalar === "bigint") return wide([scalar], []);
        return { kind, value: exact(scalar) };
      case "string":
        return { kind, value: text };
      case "floats":
        return { kind, value: numbers as number[] };
      case "ints":
        if (isConstant && numbers.some((value) => typeof value === "bigint")) return wide(numbers, [numbers.length]);
        return { kind, value: numbers.map(exact) };
      case "strings":
        return { kind, value: texts };
      case "tensor":
        if (tensor === undefined) throw malformed(what, "a tensor", "none");
        return { kind, value: readTensor(tensor, what, budget.limits).tensor };
      case "graph":
        if (graph === undefined) throw malformed(what, "a graph", "none");
        return { kind, value: readGraph(graph, budget, depth + 1) };
      default:
        throw unsupported(what, "a number, text, a tensor, a graph, or a list of the first two", kind);
    }
  })();
  // A constant beyond 2^53 (the end of a slice, as PyTorch writes it) means the same as a tensor.
  return attribute.kind === "tensor" && kind !== "tensor" ? { key: "value", attribute } : { key, attribute };
}

function wide(values: readonly (number | bigint)[], shape: readonly number[]): Attribute {
  return {
    kind: "tensor",
    value: { dtype: "int64", shape, data: BigInt64Array.from(values, (value) => BigInt(value)) },
  };
}

/** Protobuf merges a message that is there twice; readers that disagree on how are a way to smuggle one past a check. */
export function only<T>(before: T | undefined, value: T, what: string): T {
  if (before !== undefined) throw malformed(what, "to be there once", "it twice");
  return value;
}
