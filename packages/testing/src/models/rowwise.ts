import {
  type Bounds,
  type CallOptions,
  checkInput,
  createPacer,
  type DifferentiableClassifier,
  expected,
  labelsOf,
  type NdArray,
  sizeOf,
} from "@parapet/core";

/** What a toy model computes, for one example at a time, in float64. */
export interface RowFunctions {
  /** The features of one example -> its logits. */
  forward(x: Float64Array): ArrayLike<number>;
  /** Features, and the derivative of something by the logits -> its derivative by the features. */
  backward(x: Float64Array, cotangent: Float64Array): ArrayLike<number>;
}

/** What a model says about itself. */
export interface About {
  readonly inputShape: readonly number[];
  readonly numClasses: number;
  readonly bounds: Bounds;
}

/**
 * A differentiable classifier from what it does to one row: numbers are kept as float32, sums run in float64, and rows
 * never meet, so every answer is the same in any batch.
 *
 * @param about - shapes and bounds
 * @param current - the functions of this moment: a model that learns has others after a step
 */
export function rowwiseModel(about: About, current: () => RowFunctions): DifferentiableClassifier {
  const { inputShape, numClasses, bounds } = about;
  const begin = opening(about);
  const forward = (x: NdArray, row: RowFunctions) => eachRow(x, [numClasses], (features) => row.forward(features));
  const backward = (x: NdArray, cotangent: NdArray, row: RowFunctions) =>
    eachRow(x, inputShape, (features, i) =>
      row.backward(features, Float64Array.from(rowOf(cotangent.data, i, numClasses))),
    );
  return {
    inputShape,
    numClasses,
    bounds,
    async logits(x, options) {
      return forward(await begin(x, options), current());
    },
    async labels(x, options) {
      return labelsOf(forward(await begin(x, options), current()));
    },
    async gradient(x, loss, options) {
      const input = await begin(x, options);
      const row = current();
      const logits = forward(input, row);
      return { logits, value: loss.value(logits), gradient: backward(input, loss.cotangent(logits), row) };
    },
    async linearize(x, options) {
      const given = await begin(x, options);
      const row = current();
      const input: NdArray = { ...given, data: given.data.slice() };
      let released = false;
      return {
        logits: forward(input, row),
        async pullback(cotangent) {
          if (released) throw new TypeError(expected("linearization", "one that is not released", "a released one"));
          const shape = [input.shape[0]!, numClasses];
          if (cotangent.shape.join() !== shape.join()) {
            throw new TypeError(expected("cotangent", `shape [${shape.join(", ")}]`, cotangent.shape));
          }
          return backward(input, cotangent, row);
        },
        release() {
          released = true;
        },
      };
    },
  };
}

/**
 * What every call of a toy model begins with: input and options are checked, an aborted signal ends the call, and from
 * time to time timers and events have their turn, so that a signal can be aborted at all.
 */
export function opening(
  model: Pick<About, "inputShape" | "bounds">,
): (x: NdArray, options?: CallOptions) => Promise<NdArray> {
  const pace = createPacer();
  return async (x, options = {}) => {
    const { signal, keys, mode = "inference" } = options;
    signal?.throwIfAborted();
    const input = checkInput(model, x, { withinBounds: false });
    if (mode !== "inference" && mode !== "training") {
      throw new TypeError(expected("mode", '"inference" or "training"', mode));
    }
    if (keys !== undefined && keys.length !== input.shape[0]) {
      throw new TypeError(expected("keys", `${input.shape[0]} keys, one a row`, keys.length));
    }
    await pace();
    signal?.throwIfAborted();
    return input;
  };
}

/** Applies a function to every row of an array; its results are rows of shape `shape`. */
function eachRow(
  x: NdArray,
  shape: readonly number[],
  apply: (features: Float64Array, row: number) => ArrayLike<number>,
): NdArray {
  const n = x.shape[0]!;
  const width = x.data.length / n;
  const size = sizeOf(shape);
  const data = new Float32Array(n * size);
  for (let i = 0; i < n; i++) data.set(apply(Float64Array.from(rowOf(x.data, i, width)), i), i * size);
  return { dtype: "float32", shape: [n, ...shape], data };
}

/** The numbers of one row, not copied. */
export function rowOf(data: Float32Array, row: number, width: number): Float32Array {
  return data.subarray(row * width, (row + 1) * width);
}
