import {
  type Bounds,
  createQueue,
  type DifferentiableClassifier,
  expected,
  ParapetError,
  type Queue,
  type TrainableClassifier,
} from "@parapet/core";
import { differentiable } from "./classifier.ts";
import { createEngine, type Engine, type Source, type State, stateOf } from "./engine.ts";
import type { Model, Tensor, ValueInfo } from "./graph.ts";
import { graphed } from "./graphed.ts";
import { findHead } from "./head.ts";
import { layered } from "./layered.ts";
import { frozenIn } from "./metadata.ts";
import { inferenceGraph, runningStatistics } from "./modes.ts";
import type { OnnxClassifier, Releasable } from "./onnx-classifier.ts";
import type { Optimizer } from "./optimizers.ts";
import { probe } from "./probe.ts";
import type { OnnxErrorCode } from "./problem.ts";
import { readModel } from "./proto/read.ts";
import { ARRAYS } from "./proto/types.ts";
import { writeModel } from "./proto/write.ts";
import { type OnnxRuntime, type RuntimeTensor, type SessionOptions, toRuntime } from "./runtime.ts";
import { twiceDifferentiable } from "./second-order.ts";
import { trainable } from "./trainable.ts";
import { upgraded } from "./upgrade.ts";

/** What `fromOnnx` must be told. */
export interface OnnxOptions {
  /** The caller's `onnxruntime-node` or `onnxruntime-web` namespace. */
  readonly runtime: OnnxRuntime;
  /** The values an input may have, such as `{ lower: 0, upper: 1 }`. */
  readonly bounds: Bounds;
  /** The shape of one example, where the file leaves axes open. */
  readonly inputShape?: readonly number[];
  /** The number of classes, to be checked against the file. */
  readonly numClasses?: number;
  /** The output to read, where there are several. */
  readonly output?: string;
  /** Differentiate at this value instead of an input: the embedding of a text model. It becomes the model's input. */
  readonly differentiateAt?: string;
  /** The other inputs, one example each (they are repeated for every row), by name. */
  readonly inputs?: Readonly<Record<string, Tensor>>;
  /** Initializers that stay as they are while training, besides those that the file itself says are not trained. */
  readonly frozen?: readonly string[];
  /** Options of onnxruntime's sessions: threads, execution providers, ... */
  readonly session?: SessionOptions;
}

/**
 * Opens an ONNX classifier as a model with gradients: the gradient is derived as another ONNX graph, and onnxruntime runs
 * both.
 *
 * A softmax or a single sigmoid at the end is left out, so that logits are exact where probabilities saturate. Weights
 * are constants, or state when there is an `optimizer`: float initializers that lead to the logits.
 *
 * @param bytes - the file, opset 13 or newer
 * @param options - runtime, bounds, and what the file leaves open
 * @returns the model; `release()` frees its sessions
 * @throws ParapetError "onnx/malformed", "onnx/unsupported" or "onnx/too-large" for a file that cannot be read;
 *   "onnx/unsupported-model" for one that is no classifier; "onnx/runtime" when onnxruntime refuses it
 * @throws TypeError when the options do not fit the file
 *
 * @example
 * ```ts
 * import { readFileSync } from "node:fs";
 * import { crossEntropy, ndArray } from "@parapet/core";
 * import { fromOnnx } from "@parapet/onnx";
 * import * as runtime from "onnxruntime-node";
 * const file = readFileSync("packages/onnx/test/vectors/models/mlp-softmax.onnx");
 * const model = await fromOnnx(file, { runtime, bounds: { lower: -1, upper: 1 } });
 * const x = ndArray(new Float32Array(model.inputShape[0]!), [1, ...model.inputShape]);
 * const { gradient } = await model.gradient(x, crossEntropy([0]));
 * console.log(gradient.shape.join() === x.shape.join()); // => true
 * await model.release();
 * ```
 *
 * Source: reverse-mode differentiation as in A. Griewank and A. Walther, "Evaluating Derivatives", 2008, chapter 3.
 */
export async function fromOnnx(
  bytes: Uint8Array,
  options: OnnxOptions & { readonly optimizer: Optimizer },
): Promise<OnnxClassifier & TrainableClassifier>;
export async function fromOnnx(bytes: Uint8Array, options: OnnxOptions): Promise<OnnxClassifier>;
export async function fromOnnx(
  bytes: Uint8Array,
  options: OnnxOptions & { readonly optimizer?: Optimizer },
): Promise<OnnxClassifier> {
  const { runtime, optimizer } = options;
  if (typeof runtime?.InferenceSession?.create !== "function") {
    throw new TypeError(expected("runtime", 'the namespace of "onnxruntime-node" or "onnxruntime-web"', runtime));
  }
  const { model: exported, output } = withTensorOutput(upgraded(readModel(bytes)), options.output);
  const graph = inferenceGraph(exported.graph);
  const model = { ...exported, graph };
  const head = findHead(graph, output);
  const fixedInputs = options.inputs ?? {};
  const open = graph.inputs.filter(({ name }) => !(name in fixedInputs));
  const declared = options.differentiateAt === undefined ? open : [];
  if (options.differentiateAt === undefined && open.length !== 1) {
    throw new TypeError(
      expected(
        "inputs",
        "all inputs but one to be given",
        open.map(({ name }) => name),
      ),
    );
  }
  const input = options.differentiateAt ?? open[0]!.name;
  const exampleShape = options.inputShape ?? declared[0]?.shape?.slice(1);
  const fixed = (n: number) =>
    Object.fromEntries(Object.entries(fixedInputs).map(([name, tensor]) => [name, repeated(runtime, tensor, n)]));

  const feeds = (n: number): Record<string, RuntimeTensor> => {
    const made = fixed(n);
    for (const info of open) {
      const shape = options.differentiateAt === undefined ? exampleShape : info.shape?.slice(1);
      made[info.name] = sample(runtime, info, staticShape(info.name, shape), n, options.bounds);
    }
    return made;
  };
  const first = graph.inputs.find(({ name }) => name === (declared[0]?.name ?? open[0]?.name))?.shape?.[0];
  if (typeof first === "number" && first !== 1) {
    throw new ParapetError<OnnxErrorCode>(
      "onnx/unsupported-model",
      expected("first axis of the input", "open or 1", first),
    );
  }
  const batches = typeof first === "number" ? ([first] as const) : ([2, 3] as const);
  const found = await probe(runtime, model, feeds, head.logits, batches);

  const type = found.types.get(head.logits);
  const [rows, size] = type?.shape ?? [];
  const isBatch = typeof rows === "number" ? rows === first : rows?.scale === 1 && rows.offset === 0;
  if (type?.dtype !== "float32" || type.shape.length !== 2 || !isBatch || typeof size !== "number" || size < 1) {
    throw new ParapetError<OnnxErrorCode>(
      "onnx/unsupported-model",
      expected(
        `output "${output}"`,
        "float32 logits of shape [n, classes]",
        `${type?.dtype} ${JSON.stringify(type?.shape)}`,
      ),
    );
  }
  if (head.kind === "sigmoid" && size > 1) {
    throw new ParapetError<OnnxErrorCode>(
      "onnx/unsupported-model",
      expected(
        `output "${output}"`,
        "a softmax or one sigmoid unit",
        `${size} sigmoids, which answer ${size} questions`,
      ),
    );
  }
  const { numClasses } = options;
  if (numClasses !== undefined && numClasses !== Math.max(2, size)) {
    throw new TypeError(expected("numClasses", String(Math.max(2, size)), numClasses));
  }
  const inputType = found.types.get(input);
  const inputShape = inputType?.shape.slice(1) ?? [];
  if (inputType?.dtype !== "float32" || inputShape.some((length) => typeof length !== "number")) {
    throw new TypeError(
      expected(
        "input",
        "a float32 input, or a float32 value named by differentiateAt",
        `${input} of dtype ${inputType?.dtype}`,
      ),
    );
  }
  const shape = inputShape as number[];
  const source: Source = {
    runtime,
    session: options.session,
    model,
    probe: found,
    input,
    inputShape: shape,
    logits: head.logits,
    outputSize: size,
    probabilities: head.kind === "none" && areProbabilities(found.answer),
    bounds: options.bounds,
    fixed,
    trial(n, name = input, lengths = shape) {
      const info: ValueInfo = { name, dtype: "float32", shape: undefined };
      return { ...fixed(n), [name]: sample(runtime, info, lengths, n, options.bounds) };
    },
    batches,
  };
  if (optimizer !== undefined && batches.length === 1) {
    throw new TypeError(
      expected("optimizer", "none for a file whose batch is 1: export it with an open batch", optimizer.name),
    );
  }
  const weights = optimizer === undefined ? [] : trainableWeights(model, head.logits, options.frozen ?? []);
  const buffers = optimizer === undefined ? [] : [...runningStatistics(graph)];
  const initializers = new Map(
    [...weights, ...buffers].map((name) => [name, graph.initializers.get(name) as Tensor<"float32">]),
  );
  const state = stateOf(runtime, initializers);
  return openModel(source, state, createQueue(), weights, (engine) =>
    optimizer === undefined ? differentiable(engine) : trainable(engine, optimizer, weights, buffers),
  );
}

/** A model with all its powers; those on the same state wait in one queue. */
function openModel(
  source: Source,
  state: State,
  queue: Queue,
  weights: readonly string[],
  power: (engine: Engine) => DifferentiableClassifier & Releasable,
): OnnxClassifier {
  const engine = createEngine(source, state, queue);
  const derive = (other: Source): OnnxClassifier =>
    openModel(
      other,
      state,
      engine.queue,
      weights.filter((name) => other.model.graph.initializers.has(name)),
      differentiable,
    );
  const model = {
    ...power(engine),
    ...layered(engine, derive),
    ...graphed(engine, derive),
    ...twiceDifferentiable(engine, weights),
  };
  return register(model, engine);
}

const engines = new WeakMap<object, Engine>();

function register<M extends object>(model: M, engine: Engine): M {
  engines.set(model, engine);
  return model;
}

/**
 * The model as an ONNX file, with the weights as they are now: onnxruntime and Python load it.
 *
 * @param model - a model made by `fromOnnx`
 * @returns the bytes of the file
 * @throws TypeError when the model was not made by `fromOnnx`
 *
 * @example
 * ```ts
 * import { readFileSync } from "node:fs";
 * import { crossEntropy, ndArray } from "@parapet/core";
 * import { fromOnnx, sgd, toOnnx } from "@parapet/onnx";
 * import * as runtime from "onnxruntime-node";
 * const file = readFileSync("packages/onnx/test/vectors/models/mlp-softmax.onnx");
 * const options = { runtime, bounds: { lower: -1, upper: 1 } };
 * const model = await fromOnnx(file, { ...options, optimizer: sgd(0.1) });
 * const x = ndArray(new Float32Array(model.inputShape[0]!).fill(0.5), [1, ...model.inputShape]);
 * await model.step(x, crossEntropy([0]));
 * const again = await fromOnnx(toOnnx(model), options);
 * console.log((await again.logits(x)).data.join() === (await model.logits(x)).data.join()); // => true
 * ```
 */
export function toOnnx(model: object): Uint8Array {
  const engine = engines.get(model);
  if (engine === undefined) throw new TypeError(expected("model", "one made by fromOnnx()", model));
  const { source, state } = engine;
  const initializers = new Map(source.model.graph.initializers);
  for (const [name, { dims, data }] of Object.entries(state.tensors)) {
    initializers.set(name, { dtype: "float32", shape: dims, data: (data as Float32Array).slice() });
  }
  return writeModel({ ...source.model, graph: { ...source.model.graph, initializers } });
}

/**
 * The output to read: the one that is named, or the only one of float32. What ZipMap of scikit-learn's converter makes of
 * probabilities is no tensor: they are read before it.
 */
function withTensorOutput(model: Model, wanted: string | undefined): { model: Model; output: string } {
  const { graph } = model;
  const zipped = new Map<string, string>();
  for (const { op, inputs, outputs } of graph.nodes) if (op === "ZipMap") zipped.set(outputs[0]!, inputs[0]!);
  const nodes = graph.nodes.filter(({ op }) => op !== "ZipMap");
  const names = graph.outputs.filter(({ dtype }) => dtype === "float32").map(({ name }) => name);
  const all = [...names, ...zipped.keys()];
  const output = wanted ?? (all.length === 1 ? all[0]! : undefined);
  if (output === undefined || !all.includes(output)) {
    throw new TypeError(
      expected("output", `one of ${all.join(", ") || "at least one float32 output"}`, wanted ?? "none"),
    );
  }
  const { irVersion, opsets, producer, metadata } = model;
  const tensors = { irVersion, opsets, producer, metadata, graph: { ...graph, nodes } };
  return { model: tensors, output: zipped.get(output) ?? output };
}

/** Whether every row of an answer is a distribution: then its logarithms are the logits, or all that is left of them. */
function areProbabilities(answer: RuntimeTensor | undefined): boolean {
  if (!(answer?.data instanceof Float32Array) || answer.dims.length !== 2) return false;
  const [n = 0, k = 0] = answer.dims;
  if (n === 0 || k < 2) return false;
  for (let row = 0; row < n; row++) {
    const values = answer.data.subarray(row * k, (row + 1) * k);
    const sum = values.reduce((total, value) => total + value, 0);
    if (!values.every((value) => value >= 0 && value <= 1) || Math.abs(sum - 1) > 1e-4) return false;
  }
  return true;
}

/** The float initializers that the logits depend on, but for scalars and what is no weight. */
function trainableWeights({ graph, metadata }: Model, logits: string, frozen: readonly string[]): string[] {
  const used = new Set([logits]);
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    if (node.outputs.some((name) => used.has(name))) for (const name of node.inputs) used.add(name);
  }
  for (const name of frozen) {
    if (!graph.initializers.has(name)) throw new TypeError(expected("frozen", "names of initializers", name));
  }
  const still = new Set([...frozen, ...frozenIn(metadata)]);
  for (const node of graph.nodes) {
    // Running statistics are not trained, and bounds of a clip are no weights.
    if (node.op === "BatchNormalization") for (const name of node.inputs.slice(3, 5)) still.add(name);
    if (node.op === "Clip" || node.op === "Pow" || node.op === "Pad" || node.op === "Resize" || node.op === "Dropout") {
      for (const name of node.inputs.slice(1)) still.add(name);
    }
  }
  const weights = [...graph.initializers].flatMap(([name, { dtype, shape }]) =>
    dtype === "float32" && shape.length > 0 && used.has(name) && !still.has(name) ? [name] : [],
  );
  if (weights.length === 0) throw new TypeError(expected("model", "at least one trainable weight", "none"));
  return weights;
}

function staticShape(name: string, shape: ValueInfo["shape"]): readonly number[] {
  if (shape === undefined || shape.some((length) => typeof length !== "number")) {
    throw new TypeError(expected("inputShape", `given, because the file leaves axes of "${name}" open`, shape));
  }
  return shape as readonly number[];
}

/** An input to try the graph with: the middle of the bounds for floats, zeros for integers. */
function sample(
  runtime: OnnxRuntime,
  { dtype }: ValueInfo,
  shape: readonly number[],
  n: number,
  bounds: Bounds,
): RuntimeTensor {
  const size = shape.reduce((product, length) => product * length, n);
  if (size > 1 << 26)
    throw new ParapetError<OnnxErrorCode>("onnx/too-large", expected("input", "at most 2^26 numbers", size));
  const middle =
    typeof bounds.lower === "number" && typeof bounds.upper === "number" ? (bounds.lower + bounds.upper) / 2 : 0;
  const data = dtype === "string" ? new Array<string>(size).fill("") : new ARRAYS[dtype](size);
  if (dtype === "float32") for (let i = 0; i < size; i++) data[i] = middle + 1e-3 * Math.sin(i);
  return toRuntime(runtime, { dtype, shape: [n, ...shape], data } as Tensor);
}

/** One example's input, once for every row. */
function repeated(runtime: OnnxRuntime, tensor: Tensor, n: number): RuntimeTensor {
  const [first = 1, ...rest] = tensor.shape;
  if (first !== 1) throw new TypeError(expected("inputs", "one example each: a first axis of length 1", tensor.shape));
  const Data = tensor.data.constructor as new (length: number) => { set(values: unknown, at: number): void };
  const width = (tensor.data as ArrayLike<unknown>).length;
  const data = new Data(n * width);
  for (let row = 0; row < n; row++) data.set(tensor.data, row * width);
  return toRuntime(runtime, { dtype: tensor.dtype, shape: [n, ...rest], data } as unknown as Tensor);
}
