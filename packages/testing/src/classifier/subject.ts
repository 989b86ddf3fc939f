import {
  type CallOptions,
  type Classifier,
  type DifferentiableClassifier,
  type DType,
  exampleKeys,
  type NdArray,
  type TrainableClassifier,
} from "@parapet/core";
import { assertClose, assertSameBytes } from "../assert.ts";

/** The powers a model may have, from black box to one that learns. */
export interface Powers {
  readonly classifier: Classifier;
  readonly differentiable: DifferentiableClassifier;
  readonly trainable: TrainableClassifier;
}

/** What the laws of classifiers need to know. */
export interface ClassifierLawOptions<P extends keyof Powers = "differentiable"> {
  /** What the model can do; decides which laws there are. Default "differentiable". */
  readonly power?: P;
  /** `[n, ...inputShape]` with n >= 3, inside the model's bounds, rows all different. Logits should be below 100. */
  readonly inputs: NdArray;
  /** n classes; they need not be right. */
  readonly labels: readonly number[];
  /** Lets go of a model made for one law. */
  readonly dispose?: (model: Powers[P]) => void | Promise<void>;
  /** How many of the engine's tensors are alive; with it come the laws of leaks. */
  readonly tensorCount?: () => number;
  /** False where equal sums may round differently from call to call or batch to batch (webgpu). Default true. */
  readonly exact?: boolean;
  /** True for a model that needs a random key per row; the laws then pass some. Default false. */
  readonly randomised?: boolean;
  /** Largest error of a gradient, as a share of its row's largest entry. Default 2^-10; see `numericDerivative`. */
  readonly gradientTolerance?: number;
  /** How many features of every row are checked by central differences. Default 4. */
  readonly pixels?: number;
  /** Milliseconds within which a timer's abort must have stopped a loop of calls. Default 5000. */
  readonly patience?: number;
}

/** One fresh model with the inputs it is asked about: what every law of classifiers is given. */
export interface Subject<M extends Classifier> {
  readonly model: M;
  readonly x: NdArray;
  readonly labels: Int32Array;
  readonly tolerance: number;
  readonly pixels: number;
  readonly patience: number;
  readonly tensorCount: () => number;
  /** The options for a call on these rows: keys that belong to the rows, where the model needs keys. */
  options(x: NdArray, more?: CallOptions): CallOptions;
  /** Demands the same bytes; of an engine that is not exact, the same to a hundred roundings of the largest number. */
  same(actual: NdArray<DType>, expected: NdArray<DType>): void;
  /** Demands agreement to the tolerance of gradients, as a share of the largest number. */
  close(actual: NdArray, expected: NdArray): void;
}

/** What a law of classifiers checks on a fresh model. */
export type Check<M extends Classifier> = (subject: Subject<M>) => Promise<void>;

/** Checks by the law's name. */
export type Checks<M extends Classifier> = Readonly<Record<string, Check<M>>>;

/** Puts together what a law is given. */
export function subjectOf<P extends keyof Powers>(model: Powers[P], options: ClassifierLawOptions<P>) {
  const { inputs, exact = true, randomised = false, gradientTolerance = 2 ** -10, pixels = 4 } = options;
  const { patience = 5000, tensorCount = () => 0 } = options;
  const subject: Subject<Powers[P]> = {
    model,
    x: copyOf(inputs),
    labels: Int32Array.from(options.labels),
    tolerance: gradientTolerance,
    pixels,
    patience,
    tensorCount,
    options: (x, more = {}) => (randomised ? { keys: exampleKeys(x, new Int32Array(x.shape[0]!)), ...more } : more),
    same(actual, expected) {
      if (exact) assertSameBytes(actual, expected);
      else assertClose(actual, expected, { absolute: 100 * 2 ** -24 * largest(expected) });
    },
    close: (actual, expected) => assertClose(actual, expected, { absolute: gradientTolerance * largest(expected) }),
  };
  return subject;
}

/** The largest magnitude in an array. */
export function largest(array: NdArray<DType>): number {
  let most = 0;
  for (const value of array.data) most = Math.max(most, Math.abs(value));
  return most;
}

/** An array with memory of its own. */
export function copyOf(array: NdArray): NdArray {
  return { dtype: array.dtype, shape: [...array.shape], data: array.data.slice() };
}

/** The rows of a batch from the last to the first. */
export function reversed(n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, i) => n - 1 - i);
}
