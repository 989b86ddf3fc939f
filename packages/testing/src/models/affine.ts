import { type Bounds, type DifferentiableClassifier, expected, sizeOf } from "@parapet/core";
import { type RowFunctions, rowwiseModel } from "./rowwise.ts";

/**
 * A linear classifier, `z = W x + b`: every gradient, distance to the border and optimal attack has a closed form.
 * The distance to class k in a norm is `(z_y - z_k) / ||W_k - W_y||` in the dual norm.
 *
 * @param options.weights - W, one row a class, at least 2 classes
 * @param options.bias - b, one number a class; default 0
 * @param options.bounds - of the inputs; default [0, 1]
 * @param options.inputShape - of one example; default: one axis
 * @returns a classifier with exact gradients
 * @throws TypeError when the sizes of weights, bias and input shape disagree
 *
 * @example
 * ```ts
 * import { ndArray } from "@parapet/core";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const model = affineModel(researchWeights);
 * const logits = await model.logits(ndArray([0.6, 0.7, 0.2], [1, 3]));
 * console.log([...logits.data].map((z) => z.toFixed(1)).join(" ")); // => 2.3 -0.1 -0.5
 * ```
 */
export function affineModel(options: {
  readonly weights: readonly (readonly number[])[];
  readonly bias?: readonly number[];
  readonly bounds?: Bounds;
  readonly inputShape?: readonly number[];
}): DifferentiableClassifier {
  const { weights, bounds = { lower: 0, upper: 1 } } = options;
  const width = weights[0]?.length ?? 0;
  const { bias = weights.map(() => 0), inputShape = [width] } = options;
  if (weights.length < 2 || weights.some((row) => row.length !== width)) {
    throw new TypeError(
      expected(
        "weights",
        "at least 2 rows of equal length",
        weights.map((row) => row.length),
      ),
    );
  }
  if (bias.length !== weights.length) throw new TypeError(expected("bias", `${weights.length} numbers`, bias.length));
  if (sizeOf(inputShape) !== width) throw new TypeError(expected("inputShape", `${width} features`, inputShape));
  const row: RowFunctions = {
    forward: (x) => weights.map((row, k) => row.reduce((sum, w, j) => sum + w * x[j]!, bias[k]!)),
    backward: (x, cotangent) => x.map((_, j) => weights.reduce((sum, row, k) => sum + row[j]! * cotangent[k]!, 0)),
  };
  return rowwiseModel({ inputShape, numClasses: weights.length, bounds }, () => row);
}

/**
 * A linear classifier of three features and three classes whose distances are known to ten digits: from
 * x = (0.6, 0.7, 0.2), class 0, the border lies at 0.6145770237 in l2, 0.3692307692 in linf and 0.8 in l1.
 *
 * @example
 * ```ts
 * import { researchWeights } from "@parapet/testing";
 * const [[a, b, c], [d, e, f]] = researchWeights.weights;
 * console.log((2.4 / Math.hypot(d - a, e - b, f - c)).toFixed(10)); // => 0.6145770237
 * ```
 *
 * Source: `(z_0 - z_1) / ||W_1 - W_0||` in the dual norm = 2.4 / sqrt(15.25), 2.4 / 6.5 and 2.4 / 3.
 */
export const researchWeights = {
  weights: [
    [1, 2, -1],
    [-1, 0.5, 2],
    [0, -1, 1],
  ],
  bias: [0.5, -0.25, 0],
} as const;
