import { type Rate, wilson } from "@parapet/core";
import type { CurvePoint } from "./evaluation.ts";

/**
 * Accuracy against radius from per-example distances: the share of examples whose nearest wrong answer lies beyond. One
 * run of minimum-norm attacks gives every point of it.
 *
 * @param distances - one an example: 0 where the model is wrong already, Infinity where nothing was found
 * @param radii - where to read the curve, each >= 0
 * @param options - `confidence` of the intervals, default 0.95; `reach`: the largest distance that counts as within a
 *   radius, default the radius
 * @returns a point for each radius, with a Wilson interval
 * @throws RangeError when there are no distances
 *
 * @example
 * ```ts
 * import { securityCurve } from "@parapet/attacks";
 * const curve = securityCurve([0, 0.1, 0.3, Infinity], [0, 0.2, 1]);
 * console.log(curve.map(({ accuracy }) => accuracy.rate).join(" ")); // => 0.75 0.5 0.25
 * ```
 *
 * Source: B. Biggio et al., "Security Evaluation of Pattern Classifiers under Attack", 2014,
 * https://arxiv.org/abs/1709.00609, section 3. Differences: read off distances instead of run anew for each radius.
 */
export function securityCurve(
  distances: ArrayLike<number>,
  radii: readonly number[],
  options: { readonly confidence?: number; readonly reach?: (radius: number) => number } = {},
): readonly CurvePoint[] {
  const { confidence = 0.95, reach = (radius) => radius } = options;
  return radii.map((epsilon) => {
    const limit = reach(epsilon);
    let right = 0;
    for (let i = 0; i < distances.length; i++) right += Number(distances[i]! > limit);
    const accuracy: Rate = wilson(right, distances.length, { confidence });
    return { epsilon, accuracy };
  });
}

/** Eleven radii up to epsilon, and four more up to twice that where something was found beyond. */
export function defaultRadii(epsilon: number, farthest: number, reach: number): readonly number[] {
  if (epsilon === 0) return [0];
  const parts = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
  if (farthest > reach) parts.push(1.25, 1.5, 1.75, 2);
  return parts.map((part) => Number((part * epsilon).toPrecision(12)));
}
