import type { Goal, Loss } from "./loss/loss.ts";
import type { DType, NdArray } from "./ndarray.ts";
import type { Rng } from "./rng.ts";

/** The values an input may have, for all features or (shape of one example, flattened) for each. */
export interface Bounds {
  readonly lower: number | Float32Array;
  readonly upper: number | Float32Array;
}

/** What every call of a model takes. */
export interface CallOptions {
  /** Stops the call; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** One random key per row; a randomised model refuses a call without. */
  readonly keys?: Uint32Array;
  /** Default "inference". "training": batch statistics and dropout on; only `step` may move running statistics. */
  readonly mode?: "inference" | "training";
}

/** The least power: answers with a class. */
export interface Labeler {
  /** The shape of one example, without the batch axis. */
  readonly inputShape: readonly number[];
  /** The number of classes, at least 2. */
  readonly numClasses: number;
  /** The values an input may have. */
  readonly bounds: Bounds;
  /** `[n, ...inputShape]` -> `[n]`: the class of each row. */
  labels(x: NdArray, options?: CallOptions): Promise<NdArray<"int32">>;
}

/** A black box with scores. */
export interface Classifier extends Labeler {
  /** `[n, ...inputShape]` -> `[n, numClasses]`. A single logit z is presented as `[0, z]`. */
  logits(x: NdArray, options?: CallOptions): Promise<NdArray>;
}

/** What one fused forward and backward pass gives. */
export interface GradientResult {
  /** `[m, numClasses]`: the logits of every row. */
  readonly logits: NdArray;
  /** `[loss.count]`: the loss of every example. */
  readonly value: NdArray;
  /** The shape of `x`: derivative of the SUM of the values, row by row. */
  readonly gradient: NdArray;
}

/** One forward pass held open. Pullbacks repeat, and refer to the weights of the forward pass. */
export interface Linearization {
  /** `[n, numClasses]`. */
  readonly logits: NdArray;
  /** A cotangent `[n, numClasses]` of the logits -> the gradient with respect to the input, `[n, ...inputShape]`. */
  pullback(cotangent: NdArray): Promise<NdArray>;
  /** Frees what the forward pass holds; pullbacks after it reject. May be called again. */
  release(): void;
}

/** A white box. */
export interface DifferentiableClassifier extends Classifier {
  /** One forward and one backward pass; `x` has `loss.parts * loss.count` rows. */
  gradient(x: NdArray, loss: Loss, options?: CallOptions): Promise<GradientResult>;
  /** Holds the forward pass open for many pullbacks (a Jacobian, an ensemble). */
  linearize(x: NdArray, options?: CallOptions): Promise<Linearization>;
}

/** Named arrays: weights, gradients, optimizer state. */
export type Parameters = ReadonlyMap<string, NdArray>;

/** Everything that training changes. */
export interface Snapshot {
  /** The trainable weights. */
  readonly weights: Parameters;
  /** What is not trained but moves, such as batch-norm statistics. */
  readonly buffers: Parameters;
  /** The optimizer's state, where it was asked for. */
  readonly optimizer?: Parameters;
}

/** What a training step takes; here `mode` defaults to "training". */
export interface StepOptions extends CallOptions {
  /** For this step; default: the rate that the optimizer had when the model was made. */
  readonly learningRate?: number;
  /** Also give the gradient with respect to the input, from the same pass (free adversarial training). */
  readonly inputGradient?: boolean;
  /** One batch-norm batch ("joint", the default), or one for each part of the loss. */
  readonly parts?: "joint" | "separate";
}

/** What a training step gives. */
export interface StepResult {
  /** `[loss.count]`. */
  readonly value: NdArray;
  /** `[m, numClasses]`, before the update. */
  readonly logits: NdArray;
  /** The gradient of the SUM of the values, the shape of `x`. */
  readonly inputGradient?: NdArray;
}

/** A white box that can learn. Changes are queued in call order. */
export interface TrainableClassifier extends DifferentiableClassifier {
  /** Minimises `sum(value) / count` by one step of the optimizer. */
  step(x: NdArray, loss: Loss, options?: StepOptions): Promise<StepResult>;
  /** The gradient of `sum(value) / count` with respect to the weights; changes nothing. */
  parameterGradients(
    x: NdArray,
    loss: Loss,
    options?: StepOptions,
  ): Promise<StepResult & { readonly gradients: Parameters }>;
  /** Gives gradients to the optimizer. `step` is `parameterGradients`, then `apply`, on the device. */
  apply(gradients: Parameters, options?: { readonly learningRate?: number }): Promise<void>;
  /** Copies weights and buffers out, and the optimizer's state if asked. */
  snapshot(options?: { readonly optimizer?: boolean }): Promise<Snapshot>;
  /** Puts a snapshot back; what it does not hold stays. */
  restore(snapshot: Snapshot): Promise<void>;
}

/** The representation before the last layer. */
export interface FeatureExtractor {
  readonly featureSize: number;
  /** `[n, ...inputShape]` -> `[n, featureSize]`. */
  features(x: NdArray, options?: CallOptions): Promise<NdArray>;
}

/** Layers seen from outside: their activations, and gradients with respect to them. */
export interface Layered<M extends DifferentiableClassifier = DifferentiableClassifier> {
  /** Values between input and logits, in the order in which they are computed; shapes are those of one example. */
  readonly layers: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** `[n, ...inputShape]` -> for each name the layer's values, `[n, ...shape]`. */
  activations(x: NdArray, names: readonly string[], options?: CallOptions): Promise<readonly NdArray[]>;
  /** The gradient of the SUM of the loss's values with respect to a layer's values. */
  gradientAt(
    x: NdArray,
    loss: Loss,
    name: string,
    options?: CallOptions,
  ): Promise<{ readonly logits: NdArray; readonly activation: NdArray; readonly gradient: NdArray }>;
  /** A model with the same weights whose rows of logits are `[logits | layer | layer ...]`, each layer flattened. */
  tapped(names: readonly string[]): M;
}

/** One operation of a layer graph, in ONNX's terms. */
export interface LayerNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, number | readonly number[] | string>>;
}

/** A model as operations on named values, for bounds and for other programs that read models. */
export interface LayerGraph {
  /** The value that is classified, and the shape of one example of it. */
  readonly input: string;
  readonly inputShape: readonly number[];
  /** The value that holds the logits, `[n, classes]`; of one column where the model has a single logit. */
  readonly output: string;
  /** In an order in which they can run. */
  readonly nodes: readonly LayerNode[];
  /** Weights (float32) and constants (shapes and the like are int32). */
  readonly parameters: ReadonlyMap<string, NdArray<DType>>;
}

/** A model that shows its graph, and runs other graphs on its weights. */
export interface Graphed<M> {
  /** The graph as it answers at inference, with the weights as they are now. */
  graph(): Promise<LayerGraph>;
  /** A model of another graph. Parameters named as weights of this model are its weights, now and after every step. */
  compile(graph: LayerGraph): Promise<M>;
}

/** A white box with second derivatives, for gradient penalties and the like. */
export interface TwiceDifferentiable {
  /**
   * The derivatives of `sum(direction * gradient(x, loss))`: with respect to the input, a Hessian-vector product, and
   * with respect to the weights. With `direction = 2 gradient` these are the derivatives of the gradient's squared norm.
   * The loss must have a `form`.
   */
  hessianProduct(
    x: NdArray,
    loss: Loss,
    direction: NdArray,
    options?: CallOptions,
  ): Promise<{ readonly input: NdArray; readonly parameters: Parameters }>;
}

/** How far an attack has come, in units of its own; `done` reaches `total`. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** What an attack needs besides the model, the inputs and the goal. */
export interface AttackContext {
  /** Where the attack's randomness comes from. */
  readonly rng: Rng;
  /** Stops the attack; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** The shape of `x`, or of one example: 1 where a feature may change, 0 where it must not. */
  readonly mask?: NdArray<"bool">;
  /** One random key per example; default: a hash of row and class (`exampleKeys`), so order cannot matter. */
  readonly keys?: Uint32Array;
  /** Called as the work goes on. */
  readonly onProgress?: (event: Progress) => void;
}

/** The same record from every attack, per example. */
export interface AttackResult {
  /** The shape of `x`. */
  readonly adversarial: NdArray;
  /** `[n]`: 1 where the goal is reached, by a fresh look at `adversarial`. */
  readonly success: NdArray<"bool">;
  /** `[n]`: the size of the perturbation, in the attack's norm. */
  readonly distance: NdArray;
  /** `[n]`: forward passes spent on the example, those within gradients included. */
  readonly queries: NdArray<"int32">;
  /** `[n]`: backward passes spent on the example. */
  readonly gradients: NdArray<"int32">;
}

/**
 * An attack, configured: a pure function from a model, inputs `[n, ...inputShape]`, a goal and a source of randomness to
 * a result. `M` is the least power it needs; handing a black box to a gradient attack does not compile.
 */
export type Attack<M extends Labeler = DifferentiableClassifier> = (
  model: M,
  x: NdArray,
  goal: Goal,
  context: AttackContext,
) => Promise<AttackResult>;

/** Any dtype. */
export type AnyNdArray = NdArray<DType>;
