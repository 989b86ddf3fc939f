import { type Bounds, type DifferentiableClassifier, expected, type TrainableClassifier } from "@parapet/core";
import type * as tf from "@tensorflow/tfjs-core";
import { createEngine, differentiable } from "./classifier.ts";
import { trainable } from "./trainable.ts";

/** What `fromFunction` must be told. */
export interface FunctionOptions {
  /** The shape of one example, without the batch axis. */
  readonly inputShape: readonly number[];
  /** The number of classes; with 2, the function may give one column: a single logit z, presented as `[0, z]`. */
  readonly numClasses: number;
  /** The values an input may have. */
  readonly bounds: Bounds;
  /** True when the function gives one column. Default false. */
  readonly singleLogit?: boolean;
  /** The trainable variables, for `TrainableClassifier`; their order must not change. */
  readonly variables?: readonly tf.Variable[];
  /** Variables that move in training mode though nobody trains them, such as running statistics. */
  readonly buffers?: readonly tf.Variable[];
}

/**
 * Wraps a function of tensors that gives logits.
 *
 * @param f - a batch `[n, ...inputShape]` -> logits `[n, numClasses]`; synchronous, may leave temporaries behind (it runs
 *   in a tidy). The second argument tells whether this is a training step, and brings the random keys of the rows
 * @param options - shapes and bounds; `variables` together with `optimizer` give a `TrainableClassifier`
 * @returns the model as a classifier
 * @throws TypeError when the options do not fit together
 *
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs";
 * import { crossEntropy, ndArray } from "@parapet/core";
 * import { fromFunction } from "@parapet/tfjs";
 * await tf.setBackend("cpu");
 * const weights = tf.tensor2d([[1, -1, 0], [2, 0.5, -1], [-1, 2, 1]]); // columns are classes
 * const model = fromFunction((x) => tf.matMul(x as tf.Tensor2D, weights), {
 *   inputShape: [3],
 *   numClasses: 3,
 *   bounds: { lower: 0, upper: 1 },
 * });
 * const { gradient } = await model.gradient(ndArray([0.6, 0.7, 0.2], [1, 3]), crossEntropy([0]));
 * console.log(gradient.shape.join("x")); // => 1x3
 * ```
 */
export function fromFunction(
  f: ModelFunction,
  options: FunctionOptions & { readonly variables: readonly tf.Variable[]; readonly optimizer: tf.Optimizer },
): TrainableClassifier;
export function fromFunction(f: ModelFunction, options: FunctionOptions): DifferentiableClassifier;
export function fromFunction(
  f: ModelFunction,
  options: FunctionOptions & { readonly optimizer?: tf.Optimizer },
): DifferentiableClassifier | TrainableClassifier {
  const { inputShape, numClasses, bounds, singleLogit = false, variables = [], buffers = [], optimizer } = options;
  if (typeof f !== "function") throw new TypeError(expected("f", "a function of a tensor", f));
  if (!(Number.isInteger(numClasses) && numClasses >= 2)) {
    throw new RangeError(expected("numClasses", "a whole number >= 2", numClasses));
  }
  if (singleLogit && numClasses !== 2) throw new TypeError(expected("numClasses", "2 with a single logit", numClasses));
  const named = (list: readonly tf.Variable[]) =>
    new Map(list.map((variable, i) => [`${i}:${variable.name}`, variable]));
  const engine = createEngine({
    inputShape,
    outputSize: singleLogit ? 1 : numClasses,
    bounds,
    forward: (x, { training, keys }) => f(x, { training, ...(keys === undefined ? {} : { keys }) }),
    isDisposed: () => [...variables, ...buffers].some((variable) => variable.isDisposed),
    buffers: named(buffers),
  });
  return optimizer === undefined ? differentiable(engine) : trainable(engine, { weights: named(variables), optimizer });
}

/** A batch of inputs to a batch of logits. */
export type ModelFunction = (
  x: tf.Tensor,
  call: { readonly training: boolean; readonly keys?: Uint32Array },
) => tf.Tensor;
