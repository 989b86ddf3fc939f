import { readFileSync } from "node:fs";
import * as runtime from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { createBuilder } from "../src/builder.ts";
import { derivatives, undifferentiated } from "../src/derivatives/index.ts";
import { differentiate } from "../src/differentiate.ts";
import type { ElementType, Graph, Model, Node, Tensor, ValueInfo } from "../src/graph.ts";
import { type Probe, probe } from "../src/probe.ts";
import { readModel } from "../src/proto/read.ts";
import { ARRAYS } from "../src/proto/types.ts";
import { writeModel } from "../src/proto/write.ts";
import { type RuntimeTensor, startProgram, toRuntime, untyped, value } from "../src/runtime.ts";
import { upgraded } from "../src/upgrade.ts";
import { floats, type Source, source } from "./derivatives/differences.ts";

// ONNX's own node cases: vectors/README.md says which, and how they were packed.

interface Blob {
  readonly name: string;
  readonly dtype: Exclude<ElementType, "string">;
  readonly shape: readonly number[];
  readonly data: readonly [offset: number, bytes: number];
}
interface Case {
  readonly name: string;
  readonly operators: readonly string[];
  readonly opset: Readonly<Record<string, number>>;
  readonly onnxruntime: "agrees" | "declines" | "differs";
  readonly model: readonly [offset: number, bytes: number];
  readonly sets: readonly { readonly inputs: readonly Blob[]; readonly outputs: readonly Blob[] }[];
}
type Tensors = ReadonlyMap<string, Tensor>;
type Floats = Tensor<"float32">;
type Answers = Readonly<Record<string, RuntimeTensor>>;

const folder = new URL("./vectors/backend/", import.meta.url);
const all = (JSON.parse(readFileSync(new URL("index.json", folder), "utf8")) as { cases: Case[] }).cases;
const blobs = new Uint8Array(readFileSync(new URL("cases.bin", folder)));
const agreed = all.filter(({ onnxruntime }) => onnxruntime === "agrees");
const recent = agreed.filter(({ opset }) => opset[""]! >= 13);

/** Cases by operator; the bodies of ONNX's functions, which have several, are one group. */
function grouped(cases: readonly Case[]): [string, readonly Case[]][] {
  const groups = new Map<string, Case[]>();
  for (const one of cases) {
    const group = one.operators.length === 1 ? one.operators[0]! : "functions written out";
    groups.set(group, [...(groups.get(group) ?? []), one]);
  }
  return [...groups];
}

const bytesAt = ([offset, length]: readonly [number, number]): Uint8Array => blobs.slice(offset, offset + length);

/** The values of some blobs. Scalars were packed with the shape [1]: what the file declares tells which they are. */
function tensorsOf(from: readonly Blob[], declared: readonly ValueInfo[]): Map<string, Tensor> {
  const scalars = new Set(declared.filter(({ shape }) => shape?.length === 0).map(({ name }) => name));
  return new Map(
    from.map(({ name, dtype, shape, data }) => {
      const values = new ARRAYS[dtype](bytesAt(data).buffer as ArrayBuffer);
      return [name, { dtype, shape: scalars.has(name) ? [] : shape, data: values } as Tensor];
    }),
  );
}

/** Names of cases by what became of them. */
class Outcomes {
  readonly #names = new Map<string, string[]>();

  add(outcome: string, name: string): void {
    this.#names.set(outcome, [...this.of(outcome), name]);
  }

  of(outcome: string): string[] {
    return this.#names.get(outcome) ?? [];
  }

  toString(): string {
    return Array.from(this.#names, ([outcome, names]) => `${names.length} ${outcome}`).join(", ");
  }
}

/** Why the onnxruntime at hand does not run a case that another version ran. Any other error is one. */
function declined(error: unknown): string {
  const { message } = error as Error;
  if (message.includes("*guarantees* support for models")) return "of an opset that this onnxruntime does not know";
  if (message.includes("Could not find an implementation")) return "without a kernel in this onnxruntime";
  throw error;
}

const quiet = { logSeverityLevel: 4, intraOpNumThreads: 1 } as const;

const fed = (tensors: Tensors): Record<string, RuntimeTensor> =>
  Object.fromEntries(Array.from(tensors, ([name, tensor]) => [name, toRuntime(runtime, tensor)]));

describe("read, written as opset 18 and run", () => {
  const outcomes = new Outcomes();

  test.each(grouped(recent))("%s", { timeout: 120_000 }, async (_, cases) => {
    for (const { name, model, sets } of cases) {
      const bytes = bytesAt(model);
      const read = readModel(bytes);
      for (const { inputs, outputs } of sets) {
        const feeds = tensorsOf(inputs, read.graph.inputs);
        let before: Answers;
        try {
          before = await answers(bytes, feeds);
        } catch (error) {
          outcomes.add(declined(error), name);
          continue;
        }
        const after = await answers(writeModel(upgraded(read)), feeds);
        expect(differences(after, tensorsOf(outputs, read.graph.outputs)), name).toEqual([]);
        // The file as it came gives the same, bit by bit.
        for (const [output, { data }] of Object.entries(before)) expect(after[output]!.data, name).toEqual(data);
        outcomes.add("run", name);
      }
    }
  });

  test("older opsets are read, and refused by name", () => {
    for (const { name, model, opset } of all.filter(({ opset }) => opset[""]! < 13)) {
      const read = readModel(bytesAt(model));
      expect(read.opsets.get(""), name).toBe(opset[""]);
      expect(() => upgraded(read), name).toThrow(expect.objectContaining({ code: "onnx/unsupported" }));
    }
  });

  test("most of them are", () => {
    const older = agreed.length - recent.length;
    const apart = all.length - agreed.length;
    console.log(
      `${all.length} cases: ${outcomes}, ${older} below opset 13, ${apart} where onnxruntime differs from ONNX`,
    );
    expect(outcomes.of("run").length).toBeGreaterThan(890);
  });
});

async function answers(bytes: Uint8Array, feeds: Tensors): Promise<Answers> {
  const session = await runtime.InferenceSession.create(bytes, quiet);
  try {
    return (await session.run(fed(feeds) as Record<string, runtime.Tensor>)) as Answers;
  } finally {
    await session.release();
  }
}

/** What is wrong with answers: empty where they are as expected. */
function differences(found: Answers, expected: Tensors): string[] {
  return Array.from(expected).flatMap(([name, { dtype, shape, data }]) => {
    const { type, dims, data: actual } = found[name]!;
    if (type !== dtype || String(dims) !== String(shape)) return [`${name}: ${type} [${dims}]`];
    const given = numbers(type, actual);
    const wrong = numbers(dtype, data).findIndex((v, i) => {
      if (!Number.isFinite(v)) return !Object.is(given[i], v);
      return !(Math.abs(given[i]! - v) <= 1e-6 + 1e-3 * Math.abs(v));
    });
    return wrong < 0 ? [] : [`${name}: entry ${wrong} is ${given[wrong]}`];
  });
}

/** The entries as numbers; float16 comes as its bits. */
function numbers(dtype: string, data: unknown): number[] {
  const values = Array.from(data as ArrayLike<number | bigint>, Number);
  if (dtype !== "float16") return values;
  return values.map((bits) => {
    const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, (bits & 1023) / 1024];
    if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
  });
}

const step = 1 / 256;

// A second source of shapes and attributes beside vectors/derivatives: the float32 inputs are open, all others fixed, and
// <gradient, u> is compared with the central difference of sum(dy * y) along u, for random dy and u.
describe("gradients are central differences", () => {
  const outcomes = new Outcomes();

  test.each(grouped(recent))("%s", { timeout: 120_000 }, async (_, cases) => {
    for (const one of cases) outcomes.add(await gradientOf(one), one.name);
  });

  test("of most", () => {
    console.log(`gradients: ${outcomes}`);
    expect(outcomes.of("equal, with an open batch, too").length).toBeGreaterThan(400);
    expect(outcomes.of("equal").length).toBeGreaterThan(140);
    expect(outcomes.of("equal, but refused with an open batch").length).toBeLessThan(20);
    expect(outcomes.of("at a kink").length).toBeLessThan(5);
    expect(outcomes.of("refused by name").length).toBeLessThan(45);
  });
});

/** What came of comparing a case's gradient; a difference is an error. */
async function gradientOf(one: Case): Promise<string> {
  const random = source(all.indexOf(one));
  const model = upgraded(readModel(bytesAt(one.model)));
  const xs = new Map<string, Floats>();
  const initializers = new Map(model.graph.initializers);
  for (const [name, tensor] of tensorsOf(one.sets[0]!.inputs, model.graph.inputs)) {
    if (tensor.dtype !== "float32" || tensor.data.length === 0 || isSetting(model.graph, name))
      initializers.set(name, tensor);
    else xs.set(name, anew(tensor as Floats, random));
  }
  const ys = model.graph.outputs.filter(({ dtype }) => dtype === "float32").map(({ name }) => name);
  if (xs.size === 0 || ys.length === 0) return "without float32 inputs or outputs";
  const inputs = Array.from(xs.keys(), (name) => value(name));
  const whole: Model = { ...model, graph: { ...model.graph, inputs, initializers } };

  let found: Probe;
  try {
    found = await probe(runtime, whole, () => fed(xs), "", [1]);
  } catch (error) {
    return declined((error as Error).cause ?? new Error(`${one.name}: ${(error as Error).message}`));
  }
  const dys = new Map(ys.map((y) => [y, units(found.types.get(y)!.shape as number[], random)]));
  const us = new Map(Array.from(xs, ([name, { shape }]) => [name, units(shape, random)]));
  const { slope, bend, rounding } = await slopes(whole, xs, dys, us);
  const open = await openBatch(whole, xs);
  for (const known of open === undefined ? [found] : [found, open]) {
    let dxs: ReadonlyMap<string, Floats>;
    try {
      dxs = await gradients(whole, known, xs, dys);
    } catch (error) {
      expect(error, one.name).toMatchObject({ code: "onnx/no-derivative" });
      return known === open ? "equal, but refused with an open batch" : "refused by name";
    }
    const terms = Array.from(dxs).flatMap(([name, dx]) => {
      expect(dx.shape, `${one.name}: gradient of ${name}`).toEqual(xs.get(name)!.shape);
      return Array.from(dx.data, (v, i) => v * us.get(name)!.data[i]!);
    });
    const exact = terms.reduce((sum, v) => sum + v, 0);
    const scale = Math.max(Math.abs(slope), Math.hypot(...terms));
    if (bend > 1e-2 * scale + 4 * rounding) return "at a kink";
    expect(Math.abs(exact - slope), one.name).toBeLessThanOrEqual(1e-3 * scale + bend + rounding);
  }
  return open === undefined ? "equal" : "equal, with an open batch, too";
}

/** Whether an input chooses what is computed, so that nothing is differentiated by it. */
const isSetting = (graph: Graph, name: string): boolean =>
  graph.nodes.some(({ op, inputs }) => (op === "Resize" || op === "Dropout") && inputs.indexOf(name) > 0);

function floatTensor(shape: readonly number[], entry: (i: number) => number): Floats {
  const length = shape.reduce((a, d) => a * d, 1);
  return { dtype: "float32", shape, data: Float32Array.from({ length }, (_, i) => entry(i)) };
}

const units = (shape: readonly number[], random: Source): Floats => floatTensor(shape, () => random.unit());

/** Distinct entries where the case has its own (positive, or of both signs): no ties, and few kinks. */
function anew(tensor: Floats, random: Source): Floats {
  const finite = tensor.data.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (tensor.data.length === 1 || low === high) return tensor;
  // From a whole number to one: then the usual kinks are between two entries.
  const far = Math.ceil(Math.max(2, -low, high));
  const { values } = floats(random, tensor.shape, { low: low < 0 ? -far : Math.max(low, 0.25), high: far });
  return floatTensor(tensor.shape, (i) => values[i]!);
}

/** Types with the batch left open, where another row in all inputs is fine. */
async function openBatch(model: Model, xs: ReadonlyMap<string, Floats>): Promise<Probe | undefined> {
  const sizes = new Set(Array.from(xs.values(), ({ shape }) => shape[0]));
  const [n] = sizes;
  if (sizes.size !== 1 || n === undefined) return undefined;
  const longer = Array.from(xs, ([name, { shape, data }]) => {
    return [name, floatTensor([n + 1, ...shape.slice(1)], (i) => data[i % data.length]!)] as const;
  });
  const feeds = (rows: number) => fed(rows === n ? xs : new Map(longer));
  return probe(runtime, model, feeds, "", [n, n + 1]).catch(() => undefined);
}

/** The gradients of sum(dy * y), but for those that are said to be zero. */
async function gradients(
  { graph, ...model }: Model,
  { types, constants }: Probe,
  xs: Tensors,
  dys: Tensors,
): Promise<ReadonlyMap<string, Floats>> {
  const cotangents = new Map(Array.from(dys, ([y, dy]) => [`dy ${y}`, dy]));
  const b = createBuilder([...types.keys(), ...cotangents.keys()]);
  const known = { graph, opset: model.opsets.get("")!, types, constants, derivatives, undifferentiated };
  const wrt = [...xs.keys()];
  const names = differentiate(known, b, new Map(Array.from(dys.keys(), (y) => [y, `dy ${y}`])), wrt);
  // A value that is handed through is not an output of any node.
  const last = wrt.flatMap((x, i): Node[] => {
    const [inputs, outputs] = [[names[i] ?? ""], [`dx ${x}`]];
    return names[i] === undefined ? [] : [{ name: "", op: "Identity", domain: "", inputs, outputs, attributes: {} }];
  });
  if (last.length === 0) return new Map();
  const nodes = [...graph.nodes, ...b.nodes, ...last];
  const used = new Set(nodes.flatMap(({ inputs }) => inputs));
  const feeds = new Map([...xs, ...cotangents].filter(([name]) => used.has(name)));
  const found = await evaluate(
    {
      ...model,
      graph: {
        ...graph,
        inputs: Array.from(feeds.keys(), (name) => value(name)),
        outputs: last.map(({ outputs }) => untyped(outputs[0]!)),
        initializers: new Map([...graph.initializers, ...b.initializers]),
        nodes,
      },
    },
    [feeds],
  );
  return new Map(
    wrt.flatMap((x) => {
      const dx = found[0]![`dx ${x}`];
      return dx === undefined ? [] : [[x, { dtype: "float32", shape: dx.dims, data: dx.data as Float32Array }]];
    }),
  );
}

/**
 * The central difference of sum(dy * y) along u, how far rounding may move it, and how far a kink may. Halving the step
 * quarters what is wrong with the difference of a smooth function and halves the slopes' change; where a kink is within
 * the step, one of the two is off by more than the slope is.
 */
async function slopes(model: Model, xs: ReadonlyMap<string, Floats>, dys: Tensors, us: ReadonlyMap<string, Floats>) {
  const at = (h: number): Tensors =>
    new Map(
      Array.from(xs, ([name, { shape, data }]) => {
        return [name, floatTensor(shape, (i) => data[i]! + h * us.get(name)!.data[i]!)];
      }),
    );
  const graph = { ...model.graph, outputs: Array.from(dys.keys(), untyped) };
  const found = await evaluate({ ...model, graph }, [step, step / 2, 0, -step / 2, -step].map(at));
  const terms = found.map((run) =>
    Array.from(dys).flatMap(([y, dy]) =>
      Array.from(run[y]!.data as Float32Array, (v, i) => v * (dy.data as Float32Array)[i]!),
    ),
  );
  const [a, b, c, d, e] = terms.map((each) => each.reduce((sum, v) => sum + v, 0)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const [wide, slope] = [(a - e) / (2 * step), (b - d) / step];
  const [wideChange, change] = [(a - 2 * c + e) / step, (b - 2 * c + d) / (step / 2)];
  return {
    slope,
    bend: Math.abs(wide - slope) + Math.abs(wideChange - 2 * change),
    // A few roundings of each term.
    rounding: (2 ** -21 * Math.hypot(...terms[0]!)) / step,
  };
}

/** Runs a graph on several feeds. */
async function evaluate(model: Model, feeds: readonly Tensors[]): Promise<readonly Answers[]> {
  const program = await startProgram(runtime, model, model.graph, quiet);
  try {
    const found: Answers[] = [];
    for (const each of feeds) found.push(await program.run(fed(each)));
    return found;
  } finally {
    await program.release();
  }
}
