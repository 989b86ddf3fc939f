import {
  type Bounds,
  boundsOf,
  type CallOptions,
  checkInput,
  concatRows,
  createQueue,
  expected,
  type Loss,
  type LossForm,
  type NdArray,
  ParapetError,
  type Queue,
  sizeOf,
} from "@parapet/core";
import { type Builder, createBuilder } from "./builder.ts";
import { derivatives, undifferentiated } from "./derivatives/index.ts";
import { differentiate } from "./differentiate.ts";
import type { Graph, Model, Tensor } from "./graph.ts";
import { type LossKind, lossInput, lossNodes } from "./loss-nodes.ts";
import type { Probe } from "./probe.ts";
import type { OnnxErrorCode } from "./problem.ts";
import {
  type OnnxRuntime,
  type Program,
  type RuntimeTensor,
  type SessionOptions,
  startProgram,
  untyped,
  value,
} from "./runtime.ts";

/** How the engine sees a model. */
export interface Source {
  readonly runtime: OnnxRuntime;
  readonly session: SessionOptions | undefined;
  readonly model: Model;
  readonly probe: Probe;
  /** The input that is classified, or the value at which the model is differentiated. */
  readonly input: string;
  readonly inputShape: readonly number[];
  /** The value that holds the logits, `[n, outputSize]`. */
  readonly logits: string;
  readonly outputSize: number;
  /** True where the value holds probabilities, whose logarithms are the logits. */
  readonly probabilities: boolean;
  readonly bounds: Bounds;
  /** Inputs of the graph that the caller has fixed, made for a batch of n. */
  fixed(n: number): Readonly<Record<string, RuntimeTensor>>;
  /** The weights, where they are state and not part of the graphs. */
  readonly weights: ReadonlyMap<string, Tensor<"float32">> | undefined;
}

/** One model's graphs in onnxruntime, started when they are first needed. */
export interface Engine {
  readonly source: Source;
  readonly queue: Queue;
  /** All inputs of a graph but the one that is classified. */
  feeds(n: number, weights?: Record<string, RuntimeTensor>): Record<string, RuntimeTensor>;
  /** The weights as they are now. They are replaced, never written into, so whoever holds them keeps them. */
  weights(): Record<string, RuntimeTensor>;
  setWeights(weights: ReadonlyMap<string, RuntimeTensor>): void;
  weight(name: string): RuntimeTensor;
  tensor(data: Float32Array, shape: readonly number[]): RuntimeTensor;
  program(
    key: string,
    make: (b: Builder) => { outputs: readonly string[]; inputs?: Graph["inputs"] },
  ): Promise<Program>;
  logits(x: NdArray, weights?: Record<string, RuntimeTensor>): Promise<NdArray>;
  /** Feeds and the kind of graph for a loss: one run where its form is known, else logits first. */
  lossFeeds(
    x: NdArray,
    loss: Loss,
    weights?: Record<string, RuntimeTensor>,
  ): Promise<{ kind: LossKind; feeds: Record<string, RuntimeTensor> }>;
  toLogits(tensor: RuntimeTensor): NdArray;
  /** Writes the cotangents of `wrt` for a loss; the derivative of the SUM of its values. */
  gradientNodes(
    b: Builder,
    kind: LossKind,
    wrt: readonly string[],
  ): { names: readonly string[]; inputs: Graph["inputs"] };
  release(): Promise<void>;
}

export function createEngine(source: Source): Engine {
  const { runtime, session, model, probe, input, inputShape, logits, outputSize, bounds } = source;
  boundsOf(bounds, sizeOf(inputShape));
  const { graph } = model;
  const programs = new Map<string, Promise<Program>>();
  let weights = new Map<string, RuntimeTensor>();
  let released = false;
  const inOrder = createQueue();
  const tensor = (data: Float32Array, shape: readonly number[]) =>
    new runtime.Tensor("float32", data, shape) as RuntimeTensor;
  if (source.weights !== undefined) {
    weights = new Map([...source.weights].map(([name, { data, shape }]) => [name, tensor(data.slice(), shape)]));
  }
  // Weights that are state come in as inputs; the rest of the initializers stays in the graph.
  const initializers = new Map([...graph.initializers].filter(([name]) => !weights.has(name)));
  const weightInputs = [...weights].map(([name, { dims }]) => value(name, "float32", dims));
  const taken = new Set<string>([...graph.initializers.keys(), ...graph.inputs.map(({ name }) => name)]);
  for (const node of graph.nodes) for (const name of [...node.inputs, ...node.outputs]) taken.add(name);
  const constants = new Map([...probe.constants].filter(([name]) => !weights.has(name)));
  const own = graph.inputs.some(({ name }) => name === input);
  const modelInputs = own ? graph.inputs : [value(input, "float32", [undefined, ...inputShape]), ...graph.inputs];
  // Differentiated in the middle: what leads there is cut off, and pruned with it.
  const nodes = own ? graph.nodes : graph.nodes.filter(({ outputs }) => !outputs.includes(input));

  const engine: Engine = {
    source,
    queue: (task, signal) =>
      inOrder(async () => {
        if (released) {
          throw new ParapetError<OnnxErrorCode>(
            "onnx/model-disposed",
            expected("model", "one that is alive", "a released one"),
          );
        }
        return task();
      }, signal),
    weights: () => Object.fromEntries(weights),
    feeds: (n, held = engine.weights()) => ({ ...source.fixed(n), ...held }),
    setWeights(next) {
      weights = new Map([...weights].map(([name, before]) => [name, next.get(name) ?? before]));
    },
    weight: (name) => weights.get(name)!,
    tensor,

    program(key, make) {
      let program = programs.get(key);
      if (program === undefined) {
        const b = createBuilder(taken);
        const { outputs, inputs = [] } = make(b);
        const all = [...nodes, ...b.nodes];
        const used = usedInputs(all, outputs);
        const whole: Graph = {
          ...graph,
          nodes: all,
          inputs: [...modelInputs, ...weightInputs, ...inputs].filter(({ name }) => used.has(name)),
          outputs: outputs.map(untyped),
          initializers: new Map([...initializers, ...b.initializers]),
        };
        program = startProgram(runtime, model, whole, session).then((started) => ({
          ...started,
          // Only what the pruned graph takes.
          run: (feeds, fetches) =>
            started.run(Object.fromEntries(Object.entries(feeds).filter(([name]) => used.has(name))), fetches),
        }));
        programs.set(key, program);
        program.catch(() => programs.delete(key));
      }
      return program;
    },

    async logits(x, held) {
      const program = await engine.program("logits", () => ({ outputs: [logits] }));
      const run = await program.run({ ...engine.feeds(x.shape[0]!, held), [input]: tensor(x.data, x.shape) });
      return engine.toLogits(run[logits]!);
    },

    async lossFeeds(x, loss, held) {
      const feeds = { ...engine.feeds(x.shape[0]!, held), [input]: tensor(x.data, x.shape) };
      const { form } = loss;
      if (form !== undefined && form.kind !== "linear" && !source.probabilities) {
        checkForm(form, Math.max(2, outputSize), loss);
        const labels = BigInt64Array.from(form.labels, (label) => BigInt(label));
        const fed = new runtime.Tensor("int64", labels, [labels.length]) as RuntimeTensor;
        return { kind: form.kind, feeds: { ...feeds, [lossInput.labels]: fed } };
      }
      const k = Math.max(2, outputSize);
      const known = form?.kind === "linear" ? form.cotangent : loss.cotangent(await engine.logits(x, held));
      if (known.shape[0] !== x.shape[0] || known.shape[1] !== k) {
        throw new TypeError(expected("cotangent", `shape [${x.shape[0]}, ${k}]`, known.shape));
      }
      const scores = source.probabilities ? throughLogarithm(known, await engine.logits(x, held)) : known.data;
      const data =
        outputSize === 1 ? Float32Array.from({ length: x.shape[0]! }, (_, i) => known.data[2 * i + 1]!) : scores;
      return { kind: "linear", feeds: { ...feeds, [lossInput.linear]: tensor(data, [x.shape[0]!, outputSize]) } };
    },

    toLogits({ data, dims }) {
      const values = data as Float32Array;
      const n = dims[0] ?? 0;
      if (!(values instanceof Float32Array) || dims.length !== 2 || dims[1] !== outputSize) {
        throw new TypeError(expected("logits of the model", `float32 [n, ${outputSize}]`, dims));
      }
      // The logarithm of a probability that has vanished is kept finite: an answer of -Infinity would not count as one.
      if (source.probabilities)
        for (let i = 0; i < values.length; i++) values[i] = Math.log(Math.max(values[i]!, 1e-38));
      if (outputSize > 1) return { dtype: "float32", shape: [n, outputSize], data: values };
      const pairs = new Float32Array(2 * n);
      for (let i = 0; i < n; i++) pairs[2 * i + 1] = values[i]!;
      return { dtype: "float32", shape: [n, 2], data: pairs };
    },

    gradientNodes(b, kind, wrt) {
      const { cotangent, input: extra } = lossNodes(b, kind, logits, outputSize);
      const opset = model.opsets.get("") ?? 1;
      const known = { graph: { ...graph, nodes }, opset, types: probe.types, constants, derivatives, undifferentiated };
      const found = differentiate(known, b, new Map([[logits, cotangent]]), wrt);
      // What the logits do not depend on has a derivative, too: zero, in its shape.
      const names = found.map((name, i) => name ?? b.add("Sub", [wrt[i]!, wrt[i]!]));
      return { names, inputs: [extra] };
    },

    async release() {
      if (released) return;
      released = true;
      const started = await Promise.allSettled(programs.values());
      for (const result of started) if (result.status === "fulfilled") await result.value.release();
    },
  };
  return engine;
}

/** The cotangent of probabilities from that of their logarithms. */
function throughLogarithm(cotangent: NdArray, logits: NdArray): Float32Array {
  return cotangent.data.map((value, i) => (value === 0 ? 0 : value / Math.exp(logits.data[i]!)));
}

/** Every name that leads to the outputs. */
function usedInputs(nodes: Graph["nodes"], outputs: readonly string[]): Set<string> {
  const used = new Set(outputs);
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i]!;
    if (node.outputs.some((output) => used.has(output))) for (const name of node.inputs) used.add(name);
  }
  return used;
}

function checkForm(form: Exclude<LossForm, { kind: "linear" }>, k: number, loss: Loss): void {
  for (const label of form.labels)
    if (label >= k) throw new RangeError(expected("labels", `classes below ${k}`, label));
  if (loss.parts !== 1) throw new TypeError(expected("loss", "one part where it has a form", loss.parts));
}

/**
 * A batch of one as two rows: onnxruntime multiplies a single row by another routine, which rounds differently, and an
 * answer must not depend on the size of the batch. Only for what is read row by row.
 */
export function atLeastTwo(x: NdArray): NdArray {
  return x.shape[0] === 1 ? concatRows([x, x]) : x;
}

/** Checks a batch at the border. Modes and keys mean nothing to a graph whose operators are fixed. */
export function prepare(source: Source, x: NdArray, { mode = "inference" }: CallOptions): NdArray {
  if (mode !== "inference" && mode !== "training")
    throw new TypeError(expected("mode", '"inference" or "training"', mode));
  const batch = checkInput(source, x, { withinBounds: false });
  return { ...batch, data: batch.data.slice() };
}
