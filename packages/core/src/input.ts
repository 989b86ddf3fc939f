import { expected } from "./errors.ts";
import type { Loss } from "./loss/loss.ts";
import type { Bounds, Labeler } from "./model.ts";
import { asNdArray, type NdArray, type NdarrayView, sizeOf } from "./ndarray.ts";

/**
 * Checks a batch at the border of a model: float32, the model's input shape, at least one row, every value finite and
 * (unless `withinBounds` is false) inside the model's bounds. A view of npm `ndarray` is made dense.
 *
 * @param model - whose input it is
 * @param x - shape [n, ...inputShape]
 * @param options - `withinBounds`: also check the bounds, give or take a millionth of their width; default true
 * @returns the batch as an `NdArray`
 * @throws TypeError when dtype or shape are wrong
 * @throws RangeError when it is empty, or a value is NaN, infinite or outside the bounds
 *
 * @example
 * ```ts
 * import { checkInput, ndArray } from "@parapet/core";
 * const model = { inputShape: [2], bounds: { lower: 0, upper: 1 } };
 * try {
 *   checkInput(model, ndArray([0.5, 1.5], [1, 2]));
 * } catch (error) {
 *   console.log((error as Error).message); // => "x" expected values in [0, 1], got 1.5 (row 0, feature 1)
 * }
 * ```
 */
export function checkInput(
  model: Pick<Labeler, "inputShape" | "bounds">,
  x: NdArray | NdarrayView,
  options: { readonly withinBounds?: boolean } = {},
): NdArray {
  // A view of any numbers becomes float32; an array keeps its dtype, and is refused for it below.
  const isView = typeof x === "object" && x !== null && "stride" in x;
  const array = asNdArray(x as NdArray | NdarrayView, isView ? "float32" : undefined) as NdArray;
  const { inputShape, bounds } = model;
  if (array.dtype !== "float32") throw new TypeError(expected("x", "dtype float32", array.dtype));
  const { shape, data } = array;
  if (shape.length !== inputShape.length + 1 || inputShape.some((length, axis) => length !== shape[axis + 1])) {
    throw new TypeError(expected("x", `shape [n, ${inputShape.join(", ")}]`, shape));
  }
  if (shape[0] === 0) throw new RangeError(expected("x", "at least one row", shape));
  const width = sizeOf(inputShape);
  const where = (i: number) => `${data[i]} (row ${Math.floor(i / width)}, feature ${i % width})`;
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) throw new RangeError(`"x" expected finite values, got ${where(i)}`);
  }
  if (options.withinBounds ?? true) {
    const { lower, upper } = boundsOf(bounds, width);
    for (let i = 0; i < data.length; i++) {
      const j = i % width;
      const slack = 1e-6 * (upper[j]! - lower[j]!);
      if (data[i]! < lower[j]! - slack || data[i]! > upper[j]! + slack) {
        throw new RangeError(`"x" expected values in [${lower[j]}, ${upper[j]}], got ${where(i)}`);
      }
    }
  }
  return array;
}

/**
 * The bounds of each feature, checked.
 *
 * @param bounds - numbers for all features, or an array with one for each
 * @param width - number of features of one example
 * @returns two arrays of that length
 * @throws TypeError when an array has another length
 * @throws RangeError when a bound is NaN or a lower bound exceeds its upper bound
 *
 * @example
 * ```ts
 * import { boundsOf } from "@parapet/core";
 * console.log(boundsOf({ lower: 0, upper: 1 }, 3).upper.join(" ")); // => 1 1 1
 * ```
 */
export function boundsOf(bounds: Bounds, width: number): { lower: Float32Array; upper: Float32Array } {
  const spread = (name: string, bound: number | Float32Array | undefined): Float32Array => {
    if (typeof bound === "number") return new Float32Array(width).fill(bound);
    if (!(bound instanceof Float32Array)) throw new TypeError(expected(name, "a number or a Float32Array", bound));
    if (bound.length !== width) throw new TypeError(expected(name, `${width} values, one a feature`, bound.length));
    return bound;
  };
  const lower = spread("bounds.lower", bounds?.lower);
  const upper = spread("bounds.upper", bounds?.upper);
  for (let j = 0; j < width; j++) {
    if (!(lower[j]! <= upper[j]!)) {
      throw new RangeError(expected("bounds", "lower <= upper", `lower ${lower[j]}, upper ${upper[j]}`));
    }
  }
  return { lower, upper };
}

/**
 * Checks that a batch has the rows which a loss looks at.
 *
 * @param x - shape [n, ...]
 * @param loss - n must be `loss.parts * loss.count`
 * @throws TypeError when the batch has other rows
 *
 * @example
 * ```ts
 * import { checkLossRows, crossEntropy, ndArray } from "@parapet/core";
 * try {
 *   checkLossRows(ndArray([1, 2], [2, 1]), crossEntropy([0]));
 * } catch (error) {
 *   console.log((error as Error).message); // => "x" expected 1 rows (1 parts of 1), got 2
 * }
 * ```
 */
export function checkLossRows(x: NdArray, loss: Loss): void {
  const rows = loss.parts * loss.count;
  if (x.shape[0] !== rows) {
    throw new TypeError(expected("x", `${rows} rows (${loss.parts} parts of ${loss.count})`, x.shape[0]));
  }
}
