import { type Bounds, type DifferentiableClassifier, expected, sizeOf } from "@parapet/core";
import { rowwiseModel } from "./rowwise.ts";

/**
 * A classifier by the nearest centre: `z_k = -||x - c_k||^2 / 2`. Its logits are curved, its borders straight, and
 * climbing one logit leads to the point of the ball that is closest to the centre, which has a closed form.
 *
 * @param options.centres - c, one row a class, at least 2
 * @param options.bounds - of the inputs; default [0, 1]
 * @param options.inputShape - of one example; default: one axis
 * @returns a classifier with exact gradients, `dz_k/dx = c_k - x`
 * @throws TypeError when the sizes of centres and input shape disagree
 *
 * @example
 * ```ts
 * import { ndArray } from "@parapet/core";
 * import { quadraticModel } from "@parapet/testing";
 * const model = quadraticModel({ centres: [[0, 0], [1, 2]], bounds: { lower: -5, upper: 5 } });
 * const logits = await model.logits(ndArray([0, 0], [1, 2]));
 * console.log(logits.data[1]); // => -2.5
 * ```
 */
export function quadraticModel(options: {
  readonly centres: readonly (readonly number[])[];
  readonly bounds?: Bounds;
  readonly inputShape?: readonly number[];
}): DifferentiableClassifier {
  const { centres, bounds = { lower: 0, upper: 1 } } = options;
  const width = centres[0]?.length ?? 0;
  const { inputShape = [width] } = options;
  if (centres.length < 2 || centres.some((row) => row.length !== width)) {
    const lengths = centres.map((row) => row.length);
    throw new TypeError(expected("centres", "at least 2 rows of equal length", lengths));
  }
  if (sizeOf(inputShape) !== width) throw new TypeError(expected("inputShape", `${width} features`, inputShape));
  const row = {
    forward: (x: Float64Array) => centres.map((c) => c.reduce((sum, cj, j) => sum - (x[j]! - cj) ** 2 / 2, 0)),
    backward: (x: Float64Array, cotangent: Float64Array) =>
      x.map((xj, j) => centres.reduce((sum, c, k) => sum + (c[j]! - xj) * cotangent[k]!, 0)),
  };
  return rowwiseModel({ inputShape, numClasses: centres.length, bounds }, () => row);
}
