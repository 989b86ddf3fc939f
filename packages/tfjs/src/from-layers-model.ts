import {
  type Bounds,
  type DifferentiableClassifier,
  expected,
  ParapetError,
  type TrainableClassifier,
} from "@parapet/core";
import * as tf from "@tensorflow/tfjs-core";
import { createEngine, differentiable } from "./classifier.ts";
import type { TfjsErrorCode } from "./problem.ts";
import { allLayers, type LayerLike, withKeyedDropout } from "./random-layers.ts";
import { trainable } from "./trainable.ts";

/** What is used of a `tf.LayersModel`, structurally: any 4.x will do, and nothing of tfjs-layers is imported. */
export interface LayersModelLike {
  readonly inputs: readonly { readonly shape: readonly (number | null)[] }[];
  readonly outputs: readonly { readonly shape: readonly (number | null)[] }[];
  readonly layers: readonly unknown[];
  readonly trainableWeights: readonly LayerVariableLike[];
  readonly nonTrainableWeights: readonly LayerVariableLike[];
  // biome-ignore lint/suspicious/noExplicitAny: tfjs-layers' own kinds of tensors
  apply(inputs: any, kwargs?: any): any;
}

/** What is used of a weight of tfjs-layers. */
export interface LayerVariableLike {
  readonly originalName: string;
}

/** What `fromLayersModel` must be told. */
export interface LayersModelOptions {
  /** The values an input may have, such as `{ lower: 0, upper: 1 }`. */
  readonly bounds: Bounds;
  /** The shape of one example, for models that leave axes open (`[null, null, 3]`). Default: the model's. */
  readonly inputShape?: readonly number[];
}

/**
 * Wraps a `tf.LayersModel` (sequential or functional, one input, one output `[n, classes]`).
 *
 * The model stays yours: nothing is copied, and `dispose()` remains your call. A softmax at the end is left out, so that
 * logits are exact where probabilities saturate; with a sigmoid on one unit, its argument z is presented as `[0, z]`.
 * `logits` and `gradient` run in inference mode unless told otherwise; only `step` moves batch-norm statistics. Dropout
 * draws from `keys`. Losses of kernel regularizers are not added.
 *
 * @param model - the model, on any backend of tfjs 4.x
 * @param options - `bounds`; with `optimizer` (from `tf.train`) the result is a `TrainableClassifier`
 * @returns the model as a classifier
 * @throws TypeError when it has several inputs or outputs, or open axes without `inputShape`
 * @throws ParapetError `"tfjs/unsupported-model"` when it ends in probabilities whose logits cannot be recovered
 *
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs";
 * import { crossEntropy, ndArray } from "@parapet/core";
 * import { fromLayersModel } from "@parapet/tfjs";
 * await tf.setBackend("cpu");
 * const layers = [tf.layers.dense({ inputShape: [2], units: 3, activation: "softmax", kernelInitializer: "zeros" })];
 * const model = fromLayersModel(tf.sequential({ layers }), {
 *   bounds: { lower: 0, upper: 1 },
 *   optimizer: tf.train.sgd(0.5),
 * });
 * const x = ndArray([0, 1, 1, 0], [2, 2]);
 * const before = (await model.step(x, crossEntropy([0, 2]))).value.data[0]!;
 * const after = (await model.step(x, crossEntropy([0, 2]))).value.data[0]!;
 * console.log(after < before); // => true
 * ```
 */
export function fromLayersModel(
  model: LayersModelLike,
  options: LayersModelOptions & { readonly optimizer: tf.Optimizer },
): TrainableClassifier;
export function fromLayersModel(model: LayersModelLike, options: LayersModelOptions): DifferentiableClassifier;
export function fromLayersModel(
  model: LayersModelLike,
  options: LayersModelOptions & { readonly optimizer?: tf.Optimizer },
): DifferentiableClassifier | TrainableClassifier {
  if (model.inputs.length !== 1 || model.outputs.length !== 1) {
    throw new TypeError(
      expected("model", "one input and one output", `${model.inputs.length} inputs, ${model.outputs.length} outputs`),
    );
  }
  const shape = options.inputShape ?? model.inputs[0]!.shape.slice(1);
  if (shape.some((length) => length === null)) {
    throw new TypeError(expected("inputShape", "given, because the model leaves axes open", shape));
  }
  const output = model.outputs[0]!.shape;
  const outputSize = output[1];
  if (output.length !== 2 || typeof outputSize !== "number") {
    throw new TypeError(expected("model", "an output of shape [n, classes]", output));
  }
  const layers = allLayers(model as { layers: readonly LayerLike[] });
  const withLogits = headRemover(lastLayer(model as unknown as Container), outputSize);
  const variables = (list: readonly LayerVariableLike[]) =>
    // Names without tfjs's counters: a snapshot fits every instance of the same architecture.
    new Map(list.map((weight, i) => [`${i}:${weight.originalName.split("/").at(-1)}`, variableOf(weight)]));
  const weights = variables(model.trainableWeights);
  const buffers = variables(model.nonTrainableWeights);

  const engine = createEngine({
    inputShape: shape as number[],
    outputSize,
    bounds: options.bounds,
    forward: (x, { training, keys }) => {
      const run = () => withLogits(() => model.apply(x, { training }) as tf.Tensor);
      return training ? withKeyedDropout(layers, keys, run) : run();
    },
    isDisposed: () => [...weights.values(), ...buffers.values()].some((variable) => variable.isDisposed),
    buffers,
  });
  const { optimizer } = options;
  return optimizer === undefined ? differentiable(engine) : trainable(engine, { weights, optimizer });
}

function variableOf(weight: LayerVariableLike): tf.Variable {
  return (weight as unknown as { readonly val: tf.Variable }).val;
}

interface Container {
  readonly layers: readonly (LayerLike & { readonly outputs?: unknown })[];
  readonly outputs: readonly { readonly sourceLayer: LayerLike }[];
}

function lastLayer(model: Container): LayerLike {
  const layer = model.outputs[0]!.sourceLayer ?? model.layers.at(-1)!;
  return layer.layers === undefined ? layer : lastLayer(layer as unknown as Container);
}

/** Runs a function with the last layer's activation left out, where that activation makes probabilities. */
function headRemover(last: LayerLike, outputSize: number): <T>(f: () => T) => T {
  const activation = last.activation?.getClassName();
  const isSoftmaxLayer = last.getClassName() === "Softmax";
  if (isSoftmaxLayer || activation === "softmax") {
    if (outputSize < 2) throw unsupported(`a softmax over ${outputSize} class is always 1`);
  } else if (activation === "sigmoid" || activation === "hardSigmoid") {
    if (activation === "hardSigmoid") throw unsupported("a hard sigmoid has no logits");
    if (outputSize > 1) throw unsupported(`sigmoids over ${outputSize} units answer ${outputSize} questions, not one`);
  } else if (activation !== undefined && activation !== "linear") {
    // ReLU, tanh and the like are odd ends of a classifier, but what they give can be read as logits.
    return (f) => f();
  } else return (f) => f();

  return (f) => {
    if (isSoftmaxLayer) {
      last.call = (inputs) => tf.clone((Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor);
      try {
        return f();
      } finally {
        Reflect.deleteProperty(last, "call");
      }
    }
    const own = last.activation;
    last.activation = { getClassName: () => "linear", apply: (x) => x };
    try {
      return f();
    } finally {
      last.activation = own!;
    }
  };
}

function unsupported(why: string): ParapetError<TfjsErrorCode> {
  return new ParapetError(
    "tfjs/unsupported-model",
    `"model" expected logits, a softmax, or one sigmoid unit at its end, but ${why}. ` +
      "Use fromFunction() with a function that gives logits [n, classes].",
  );
}
