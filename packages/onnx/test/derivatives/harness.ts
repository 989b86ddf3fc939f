import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-node";
import { createBuilder } from "../../src/builder.ts";
import type { DerivativeContext, Derivatives, Dim, ValueType } from "../../src/derivative.ts";
import { type Attribute, attribute, type ElementType, type Graph, type Node, type Tensor } from "../../src/graph.ts";
import { writeModel } from "../../src/proto/write.ts";

/** A case of test/vectors/derivatives: one operator, its outputs, and the gradients of sum(cotangent * output). */
export interface Case {
  readonly name: string;
  readonly op: string;
  readonly opset: number;
  readonly attributes: Readonly<Record<string, number | string | readonly number[]>>;
  readonly attributeTypes?: Readonly<Record<string, "int" | "float" | "string" | "ints" | "floats">>;
  readonly inputs: readonly (CaseInput | null)[];
  readonly outputs: readonly CaseTensor[];
  readonly cotangents: readonly (readonly number[] | null)[];
  readonly gradients: readonly (readonly number[] | null)[];
}

export interface CaseTensor {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

export interface CaseInput extends CaseTensor {
  readonly differentiable: boolean;
  readonly constant: boolean;
}

type Feeds = Record<string, Tensor>;

/** The cases of a family. */
export function readCases(family: string): readonly Case[] {
  const path = new URL(`../vectors/derivatives/${family}.json`, import.meta.url);
  return (JSON.parse(readFileSync(path, "utf8")) as { cases: Case[] }).cases;
}

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int8: Int8Array,
} as const;

export function tensor(dtype: ElementType, shape: readonly number[], values: readonly number[]): Tensor {
  // The largest int64, an end beyond every end, is not a number of JSON's.
  const whole = (v: number): bigint => (v >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(v));
  if (dtype === "int64") return { dtype, shape, data: BigInt64Array.from(values, whole) };
  const array = ARRAYS[dtype as keyof typeof ARRAYS];
  return { dtype, shape, data: array.from(values) } as Tensor;
}

function attributesOf(one: Pick<Case, "attributes" | "attributeTypes">): Record<string, Attribute> {
  return Object.fromEntries(
    Object.entries(one.attributes).map(([name, value]): [string, Attribute] => {
      const type = one.attributeTypes?.[name];
      if (typeof value === "string") return [name, attribute.string(value)];
      if (typeof value !== "number") {
        return [name, type === "floats" ? attribute.floats(value) : attribute.ints(value)];
      }
      return [name, type === "float" || !Number.isInteger(value) ? attribute.float(value) : attribute.int(value)];
    }),
  );
}

/** Runs nodes on onnxruntime: `constants` are initializers, `feeds` the inputs. */
export async function run(
  nodes: readonly Node[],
  constants: ReadonlyMap<string, Tensor>,
  feeds: Feeds,
  outputs: readonly string[],
  opset: number,
): Promise<Feeds> {
  const used = new Set([...nodes.flatMap(({ inputs }) => inputs), ...outputs]);
  const graph: Graph = {
    name: "case",
    inputs: Object.entries(feeds)
      .filter(([name]) => used.has(name))
      .map(([name, { dtype, shape }]) => ({ name, dtype, shape: shape.map(() => undefined) })),
    outputs: outputs.map((name) => ({ name, dtype: "float32", shape: undefined })),
    initializers: new Map([...constants].filter(([name]) => used.has(name))),
    nodes,
  };
  // An output is taken as it comes: only the name counts where onnxruntime infers the type.
  const typed = { ...graph, outputs: await outputTypes(graph, opset) };
  const session = await ort.InferenceSession.create(encode(typed, opset), { logSeverityLevel: 4 });
  try {
    const given = graph.inputs.map(({ name }) => {
      const { dtype, shape, data } = feeds[name]!;
      return [name, new ort.Tensor(dtype as "float32", data as Float32Array, shape)] as const;
    });
    const results = await session.run(Object.fromEntries(given));
    return Object.fromEntries(
      outputs.map((name) => {
        const { type, dims, data } = results[name]!;
        return [name, { dtype: type, shape: dims, data } as Tensor];
      }),
    );
  } finally {
    await session.release();
  }
}

const encode = (graph: Graph, opset: number): Uint8Array =>
  writeModel({
    irVersion: opset <= 18 ? 8 : opset <= 20 ? 9 : 10,
    opsets: new Map([["", opset]]),
    producer: "parapet test",
    graph,
  });

/** onnxruntime refuses an output declared with the wrong type and tells the right one. */
async function outputTypes(graph: Graph, opset: number): Promise<Graph["outputs"]> {
  const types = new Map<string, ElementType>();
  for (;;) {
    const outputs = graph.outputs.map(({ name }) => ({
      name,
      dtype: types.get(name) ?? ("float32" as const),
      shape: undefined,
    }));
    try {
      const session = await ort.InferenceSession.create(encode({ ...graph, outputs }, opset), {
        logSeverityLevel: 4,
        graphOptimizationLevel: "disabled",
      });
      await session.release();
      return outputs;
    } catch (error) {
      const told = /output arg \((.+?)\) of node .*expected type \(tensor\((\w+)\)\)/s.exec((error as Error).message);
      if (told === null || types.has(told[1]!)) throw error;
      const names: Record<string, ElementType> = { float: "float32", double: "float64" };
      types.set(told[1]!, names[told[2]!] ?? (told[2] as ElementType));
    }
  }
}

/** One operator with its values: what a derivative is tried on. */
export interface Probe {
  readonly node: Node;
  readonly opset: number;
  readonly values: ReadonlyMap<string, Tensor>;
  readonly constants: ReadonlyMap<string, Tensor>;
  readonly types: ReadonlyMap<string, ValueType>;
  readonly differentiable: readonly boolean[];
}

/**
 * Runs the operator alone.
 *
 * @param batch - take every first axis of an input that is not constant as a batch, found by running twice
 */
export async function probe(one: Omit<Case, "cotangents" | "gradients">, batch = false): Promise<Probe> {
  const inputs = one.inputs.map((input, i) => (input === null ? "" : `x${i}`));
  const outputs = one.outputs.map((_, i) => `y${i}`);
  const node: Node = { name: one.name, op: one.op, domain: "", inputs, outputs, attributes: attributesOf(one) };
  const values = new Map<string, Tensor>();
  const constants = new Map<string, Tensor>();
  const longer = new Map<string, Tensor>();
  one.inputs.forEach((input, i) => {
    if (input === null) return;
    const { dtype, shape, values: given } = input;
    const value = tensor(dtype, shape, given);
    values.set(inputs[i]!, value);
    if (input.constant) constants.set(inputs[i]!, value);
    else if (shape.length === 0) longer.set(inputs[i]!, value);
    else {
      const row = given.slice(0, given.length / shape[0]!);
      longer.set(inputs[i]!, tensor(dtype, [shape[0]! + 1, ...shape.slice(1)], [...given, ...row]));
    }
  });
  const forward = (from: ReadonlyMap<string, Tensor>): Promise<Feeds> => {
    const feeds = Object.fromEntries([...from].filter(([name]) => !constants.has(name)));
    return run([node], constants, feeds, outputs, one.opset);
  };
  for (const [name, value] of Object.entries(await forward(values))) values.set(name, value);
  const types = new Map<string, ValueType>();
  for (const [name, { dtype, shape }] of values) types.set(name, { dtype, shape });
  if (batch) {
    for (const [name, value] of Object.entries(await forward(longer))) longer.set(name, value);
    const n = longestBatch(longer, constants) - 1;
    for (const [name, { dtype, shape }] of longer) {
      if (constants.has(name)) continue;
      const before = types.get(name)!.shape as readonly number[];
      const dims = shape.map((dim, i): Dim => {
        const scale = dim - before[i]!;
        return scale === 0 ? dim : { scale, offset: before[i]! - scale * n };
      });
      types.set(name, { dtype, shape: dims });
    }
  }
  const differentiable = one.inputs.map((input) => input?.differentiable ?? false);
  return { node, opset: one.opset, values, constants, types, differentiable };
}

function longestBatch(values: ReadonlyMap<string, Tensor>, constants: ReadonlyMap<string, Tensor>): number {
  return Math.max(...[...values].filter(([name]) => !constants.has(name)).map(([, { shape }]) => shape[0] ?? 0));
}

/** Nodes that compute the gradients of one operator. */
export interface Gradients {
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<string, Tensor>;
  readonly outputs: readonly (string | undefined)[];
}

/** Writes a derivative; cotangent j is called `dy{j}`. */
export function derive(p: Probe, derivatives: Derivatives, cotangents: readonly boolean[]): Gradients {
  const b = createBuilder([...p.values.keys(), ...p.node.outputs.map((_, j) => `dy${j}`)]);
  const context: DerivativeContext = {
    node: p.node,
    b,
    opset: Math.max(18, p.opset),
    type(name) {
      const type = p.types.get(name);
      if (type === undefined) throw new Error(`type of ${name} asked for`);
      return type;
    },
    constant: (name) => p.constants.get(name),
    needs: (i) => p.differentiable[i] === true,
  };
  const derivative = derivatives[p.node.op];
  if (derivative === undefined) throw new Error(`no derivative of ${p.node.op}`);
  const outputs = derivative(
    context,
    cotangents.map((there, j) => (there ? `dy${j}` : undefined)),
  );
  return { nodes: b.nodes, constants: b.initializers, outputs };
}

/** The gradients that a derivative gives, run on onnxruntime; undefined where it says zero. */
export async function gradients(
  p: Probe,
  derivatives: Derivatives,
  cotangents: readonly (readonly number[] | null)[],
): Promise<readonly (Tensor | undefined)[]> {
  const g = derive(
    p,
    derivatives,
    cotangents.map((dy) => dy !== null),
  );
  const feeds: Feeds = Object.fromEntries([...p.values].filter(([name]) => !p.constants.has(name)));
  cotangents.forEach((dy, j) => {
    if (dy === null) return;
    const { dtype, shape } = p.values.get(p.node.outputs[j]!)!;
    feeds[`dy${j}`] = tensor(dtype, shape, dy);
  });
  const wanted = g.outputs.filter((name, i) => name !== undefined && p.differentiable[i]) as string[];
  const names = [...new Set(wanted)];
  // A value that is handed through is not an output of any node.
  const passed = names.map((name) => ({ ...identity, inputs: [name], outputs: [`${name}/out`], name: `${name}/out` }));
  const results =
    names.length === 0
      ? {}
      : await run(
          [...g.nodes, ...passed],
          new Map([...p.constants, ...g.constants]),
          feeds,
          names.map((name) => `${name}/out`),
          Math.max(18, p.opset),
        );
  return g.outputs.map((name, i) => (name === undefined || !p.differentiable[i] ? undefined : results[`${name}/out`]));
}

const identity: Node = { name: "", op: "Identity", domain: "", inputs: [], outputs: [], attributes: {} };

/** The largest difference, as a share of the largest entry expected. */
function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [worst, largest] = [0, 1e-3];
  for (let i = 0; i < expected.length; i++) {
    const off = Math.abs(actual[i]! - expected[i]!);
    // NaN is never within a tolerance.
    worst = off > worst || Number.isNaN(off) ? (Number.isNaN(off) ? Number.POSITIVE_INFINITY : off) : worst;
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return worst / largest;
}

/** What is wrong with a derivative's gradients for a case: empty where they agree, in shape too. */
export async function disagreements(
  one: Case,
  derivatives: Derivatives,
  { batch = false, tolerance = 1e-4 } = {},
): Promise<readonly string[]> {
  const p = await probe(one, batch);
  const found = await gradients(p, derivatives, one.cotangents);
  return one.inputs.flatMap((input, i): string[] => {
    const expected = one.gradients[i];
    if (input === null || !input.differentiable || expected == null) return [];
    const actual = found[i];
    if (actual === undefined) return expected.every((v) => v === 0) ? [] : [`input ${i}: no gradient`];
    if (String(actual.shape) !== String(input.shape)) return [`input ${i}: shape [${actual.shape}]`];
    const error = relativeError(actual.data as Float32Array, expected);
    return error <= tolerance
      ? []
      : [`input ${i}: off by ${error}: ${Array.from(actual.data as Float32Array).slice(0, 8)}`];
  });
}

/** Whether a case stays valid with one row more in every input that is not constant. */
export async function hasBatch(one: Case): Promise<boolean> {
  const moving = one.inputs.filter((input) => input !== null && !input.constant);
  const n = moving[0]?.shape[0];
  if (n === undefined || !moving.every((input) => input!.shape[0] === n)) return false;
  try {
    const p = await probe(one, true);
    return typeof p.types.get("y0")!.shape[0] === "object";
  } catch {
    return false;
  }
}
