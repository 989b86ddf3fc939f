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
import { blockOf, copyBlocked, withBlocks } from "./blocked.ts";
import { type Builder, createBuilder } from "./builder.ts";
import { startChecked } from "./checked.ts";
import { derivatives, undifferentiated } from "./derivatives/index.ts";
import { differentiate } from "./differentiate.ts";
import type { Graph, Model, Tensor } from "./graph.ts";
import { type LossKind, lossInput, lossNodes } from "./loss-nodes.ts";
import { asExported, checkKeys, drawMask, namesOf, type Variant, whileTraining } from "./modes.ts";
import type { Probe } from "./probe.ts";
import type { OnnxErrorCode } from "./problem.ts";
import { poolBeforeRelu } from "./rewrite.ts";
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
  /** The model as it answers at inference. */
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
  /** Inputs for a trial run: the fixed ones, and one that is classified, this model's or another graph's. */
  trial(n: number, input?: string, inputShape?: readonly number[]): Readonly<Record<string, RuntimeTensor>>;
  /** Batch sizes of a trial run. */
  readonly batches: readonly [number] | readonly [number, number];
}

/** Tensors by their initializers' names. */
export type Held = Readonly<Record<string, RuntimeTensor>>;

/** Weights and running statistics that are no part of the graphs. Replaced, never written into: who holds them keeps them. */
export interface State {
  tensors: Held;
}

/** Rows, and how they are to be answered. */
export interface Call {
  readonly x: NdArray;
  readonly variant: Variant;
  readonly keys: Uint32Array | undefined;
}

/** What a graph is asked for, and what it takes besides the model's own inputs and the state. */
interface Request {
  readonly outputs: readonly string[];
  readonly inputs?: Graph["inputs"];
  /** Whether the first answer is held against the CPU's where it comes from elsewhere. */
  readonly checked?: boolean;
}

/** One model's graphs in onnxruntime, started when they are first needed. */
export interface Engine {
  readonly source: Source;
  readonly state: State;
  readonly queue: Queue;
  /** Values that follow from initializers that are no state. */
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Names of the graph's values. */
  readonly taken: ReadonlySet<string>;
  /** The model's own inputs, the one that is classified among them. */
  readonly inputs: Graph["inputs"];
  /** The initializers that are no state. */
  stateless(initializers: ReadonlyMap<string, Tensor>): Map<string, Tensor>;
  tensor(data: Float32Array, shape: readonly number[]): RuntimeTensor;
  /** Checks rows at the border, and says how they are answered in a mode; `parts` share no batch statistics. */
  call(x: NdArray, options: CallOptions, parts?: number): Call;
  /** A graph that is written once for a key and a variant. */
  program(key: string, variant: Variant, write: (b: Builder) => Request): Promise<Program>;
  /** All inputs of a graph but those of the loss. */
  feeds(call: Call, held: Held): Record<string, RuntimeTensor>;
  logits(call: Call, held: Held): Promise<NdArray>;
  /** Feeds and the kind of graph for a loss: one run where its form is known, else logits first. */
  lossFeeds(call: Call, loss: Loss, held: Held): Promise<{ kind: LossKind; feeds: Record<string, RuntimeTensor> }>;
  toLogits(tensor: RuntimeTensor): NdArray;
  /**
   * Writes the cotangents of `wrt` for a loss; the derivative of the SUM of its values, times the scalar `scale` if there
   * is one.
   */
  gradientNodes(
    b: Builder,
    variant: Variant,
    kind: LossKind,
    wrt: readonly string[],
    scale?: string,
  ): { names: readonly string[]; inputs: Graph["inputs"] };
  /** Called when the model is released. */
  onRelease(release: () => Promise<void>): void;
  release(): Promise<void>;
}

export function createEngine(source: Source, state: State, queue: Queue = createQueue()): Engine {
  const { runtime, session, model, probe, input, inputShape, logits, outputSize, bounds } = source;
  boundsOf(bounds, sizeOf(inputShape));
  const { graph } = model;
  const programs = new Map<string, Promise<Program>>();
  const variants = new Map<string, Variant>();
  const children: (() => Promise<void>)[] = [];
  let released = false;
  const isState = (name: string) => Object.hasOwn(state.tensors, name);
  const tensor = (data: Float32Array, shape: readonly number[]) =>
    new runtime.Tensor("float32", data, shape) as RuntimeTensor;
  // What is state comes in as inputs; the rest of the initializers stays in the graph.
  const stateless: Engine["stateless"] = (tensors) => new Map([...tensors].filter(([name]) => !isState(name)));
  const initializers = stateless(graph.initializers);
  const constants = constantsOf(graph, probe, initializers);
  const stateInputs = Object.entries(state.tensors).map(([name, { dims }]) => value(name, "float32", dims));
  const taken = new Set<string>([...graph.initializers.keys(), ...graph.inputs.map(({ name }) => name), input]);
  for (const node of graph.nodes) for (const name of [...node.inputs, ...node.outputs]) taken.add(name);
  const own = graph.inputs.some(({ name }) => name === input);
  const modelInputs = own ? graph.inputs : [value(input, "float32", [undefined, ...inputShape]), ...graph.inputs];
  // Differentiated in the middle: what leads there is cut off, and pruned with it.
  const written = own ? graph.nodes : graph.nodes.filter(({ outputs }) => !outputs.includes(input));
  const kept = new Set([input, logits]);

  const variantOf = (mode: "inference" | "training", parts: number): Variant => {
    const key = mode === "inference" ? mode : `${mode} ${parts}`;
    let variant = variants.get(key);
    if (variant === undefined) {
      variant =
        mode === "inference" ? asExported(written) : whileTraining(written, taken, { ...probe, constants }, parts);
      variants.set(key, variant);
    }
    return variant;
  };

  /** The nodes that are run: rewritten to be faster, unless all values are wanted as they are in the file. */
  const nodesOf = (variant: Variant): { nodes: Graph["nodes"]; types: Probe["types"] } => {
    const types = new Map([...probe.types, ...variant.types]);
    if (variant.asWritten) return { nodes: variant.nodes, types };
    const faster = poolBeforeRelu(variant.nodes, types, kept);
    return { nodes: faster.nodes, types: new Map([...types, ...faster.types]) };
  };

  const start = async (variant: Variant, write: (b: Builder) => Request): Promise<Program> => {
    const { nodes, types } = nodesOf(variant);
    const b = createBuilder([...taken, ...namesOf({ ...variant, nodes, types })], await blockOf(runtime, session));
    const isConstant = (name: string) => constants.has(name);
    copyBlocked(b, nodes, types, isConstant, variant.asWritten ? new Set(types.keys()) : kept);
    const { outputs, inputs = [], checked = false } = write(b);
    const used = usedInputs(b.nodes, outputs);
    const maskInputs = variant.masks.map(({ name }) => value(name));
    const whole: Graph = {
      ...graph,
      nodes: b.nodes,
      inputs: [...modelInputs, ...stateInputs, ...maskInputs, ...inputs].filter(({ name }) => used.has(name)),
      outputs: outputs.map(untyped),
      initializers: stateless(new Map([...initializers, ...variant.initializers, ...b.initializers])),
    };
    const opsets = b.block > 0 ? withBlocks(model.opsets) : model.opsets;
    const program = await (checked ? startChecked : startProgram)(runtime, { ...model, opsets }, whole, session);
    return {
      ...program,
      // Only what the pruned graph takes.
      run: (feeds, fetches) =>
        program.run(Object.fromEntries(Object.entries(feeds).filter(([name]) => used.has(name))), fetches),
    };
  };

  const engine: Engine = {
    source,
    state,
    queue: (task, signal) =>
      queue(async () => {
        if (released) {
          throw new ParapetError<OnnxErrorCode>(
            "onnx/model-disposed",
            expected("model", "one that is alive", "a released one"),
          );
        }
        return task();
      }, signal),
    constants,
    taken,
    inputs: modelInputs,
    stateless,
    tensor,

    call(x, { mode = "inference", keys }, parts = 1) {
      if (mode !== "inference" && mode !== "training")
        throw new TypeError(expected("mode", '"inference" or "training"', mode));
      const batch = checkInput(source, x, { withinBounds: false });
      const variant = variantOf(mode, parts);
      if (variant.masks.length > 0) checkKeys(keys, x.shape[0]!);
      return { x: { ...batch, data: batch.data.slice() }, variant, keys };
    },

    program(key, variant, write) {
      const name = `${key} (${variant.key})`;
      let program = programs.get(name);
      if (program === undefined) {
        program = start(variant, write);
        programs.set(name, program);
        program.catch(() => programs.delete(name));
      }
      return program;
    },

    feeds({ x, variant, keys }, held) {
      const n = x.shape[0]!;
      const feeds = { ...source.fixed(n), ...held, [input]: tensor(x.data, x.shape) };
      variant.masks.forEach((mask, layer) => {
        const { data, shape } = drawMask(mask, layer, keys!);
        feeds[mask.name] = tensor(data, shape);
      });
      return feeds;
    },

    async logits(call, held) {
      const program = await engine.program("logits", call.variant, () => ({ outputs: [logits], checked: true }));
      const run = await program.run(engine.feeds(call, held));
      return engine.toLogits(run[logits]!);
    },

    async lossFeeds(call, loss, held) {
      const feeds = engine.feeds(call, held);
      const n = call.x.shape[0]!;
      const k = Math.max(2, outputSize);
      const { form } = loss;
      if (form !== undefined && form.kind !== "linear" && !source.probabilities) {
        checkForm(form, k, loss);
        const labels = BigInt64Array.from(form.labels, (label) => BigInt(label));
        const fed = new runtime.Tensor("int64", labels, [labels.length]) as RuntimeTensor;
        return { kind: form.kind, feeds: { ...feeds, [lossInput.labels]: fed } };
      }
      const known = form?.kind === "linear" ? form.cotangent : loss.cotangent(await engine.logits(call, held));
      if (known.shape[0] !== n || known.shape[1] !== k) {
        throw new TypeError(expected("cotangent", `shape [${n}, ${k}]`, known.shape));
      }
      const scores = source.probabilities ? throughLogarithm(known, await engine.logits(call, held)) : known.data;
      const data = outputSize === 1 ? Float32Array.from({ length: n }, (_, i) => known.data[2 * i + 1]!) : scores;
      return { kind: "linear", feeds: { ...feeds, [lossInput.linear]: tensor(data, [n, outputSize]) } };
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

    gradientNodes(b, variant, kind, wrt, scale) {
      const { nodes, types } = nodesOf(variant);
      const { cotangent, input: extra } = lossNodes(b, kind, logits, outputSize);
      const seed = scale === undefined ? cotangent : b.add("Mul", [cotangent, scale]);
      const opset = model.opsets.get("") ?? 1;
      const known = { graph: { ...graph, nodes }, opset, types, constants, derivatives, undifferentiated };
      const found = differentiate(known, b, new Map([[logits, seed]]), wrt);
      // What the logits do not depend on has a derivative, too: zero, in its shape.
      const names = found.map((name, i) => name ?? b.add("Sub", [wrt[i]!, wrt[i]!]));
      return { names, inputs: [extra] };
    },

    onRelease: (release) => void children.push(release),

    async release() {
      if (released) return;
      released = true;
      for (const child of children) await child();
      const started = await Promise.allSettled(programs.values());
      for (const result of started) if (result.status === "fulfilled") await result.value.release();
    },
  };
  return engine;
}

/** What follows from initializers that are no state: what follows from the state moves with it. */
export function constantsOf(graph: Graph, probe: Probe, initializers: Graph["initializers"]): Map<string, Tensor> {
  const constants = new Map(initializers);
  for (const { inputs, outputs } of graph.nodes) {
    if (!inputs.every((name) => name === "" || constants.has(name))) continue;
    for (const name of outputs) if (probe.constants.has(name)) constants.set(name, probe.constants.get(name)!);
  }
  return constants;
}

/** State made of initializers. */
export function stateOf(runtime: OnnxRuntime, tensors: ReadonlyMap<string, Tensor<"float32">>): State {
  const made = [...tensors].map(([name, { data, shape }]) => {
    return [name, new runtime.Tensor("float32", data.slice(), shape) as RuntimeTensor] as const;
  });
  return { tensors: Object.fromEntries(made) };
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
 * answer must not depend on the size of the batch. Only for what is read row by row; not where the file fixes the batch.
 */
export function atLeastTwo({ batches }: Source, call: Call): Call {
  const { x, keys } = call;
  if (x.shape[0] !== 1 || batches.length === 1) return call;
  return { ...call, x: concatRows([x, x]), keys: keys && Uint32Array.of(keys[0]!, keys[0]!) };
}
