import { expected } from "../errors.ts";
import type { NdArray } from "../ndarray.ts";

/**
 * `count` values as a function of `parts * count` rows of logits, part-major: with two parts, row `i` and row
 * `count + i` belong together (TRADES: the clean and the adversarial copy). Pure and synchronous.
 *
 * No attack knows an engine and no engine knows an attack: an engine asks for the cotangent and pulls it back.
 */
export interface Loss {
  /** The number of values. */
  readonly count: number;
  /** How many rows of logits one value looks at. */
  readonly parts: number;
  /** Logits `[parts * count, k]` -> `[count]`. */
  value(logits: NdArray): NdArray;
  /** The derivative of the sum of the values with respect to the logits, in their shape. */
  cotangent(logits: NdArray): NdArray;
  /** The loss of the values `rows` only, in that order, repeats allowed; acts on every part. */
  take(rows: Int32Array): Loss;
  /** The same loss as plain data: an engine may compile it. Agrees with the closures. */
  readonly form?: LossForm;
}

/** The losses an engine may compile. */
export type LossForm =
  | { readonly kind: "cross-entropy" | "margin"; readonly labels: Int32Array }
  | { readonly kind: "linear"; readonly cotangent: NdArray };

/** What an attacker wants, and the loss that leads there. */
export interface Goal {
  readonly kind: "untargeted" | "targeted";
  /** `[n]`: the true classes (untargeted) or the wanted ones (targeted). */
  readonly classes: Int32Array;
  /** The loss to climb. */
  readonly loss: Loss;
  /** Logits `[n, k]` or labels `[n]` -> `[n]`: 1 where the goal is reached. A row that is not finite: 0. */
  isReached(answer: NdArray | NdArray<"int32">): NdArray<"bool">;
  /** The goal of the examples `rows` only. */
  take(rows: Int32Array): Goal;
}

/** Classes, one an example. They are copied. */
export type Labels = readonly number[] | Int32Array | NdArray<"int32">;

/**
 * Copies labels out and checks that they are classes: whole numbers >= 0. Whether they lie below the number of classes is
 * checked by who knows it.
 *
 * @param labels - n classes: an array of numbers, an `Int32Array`, or an `NdArray` of dtype int32
 * @param name - what the caller calls them, for the message; default "labels"
 * @returns n classes, in memory of their own
 * @throws TypeError when it is another kind of thing
 * @throws RangeError when a label is negative, not whole or above 2^31 - 1
 *
 * @example
 * ```ts
 * import { toLabels } from "@parapet/core";
 * console.log(toLabels([7, 2, 1]).join(" ")); // => 7 2 1
 * try {
 *   toLabels([7, -1]);
 * } catch (error) {
 *   console.log((error as Error).message); // => "labels" expected whole numbers >= 0, got -1
 * }
 * ```
 */
export function toLabels(labels: Labels, name = "labels"): Int32Array {
  const values = "dtype" in labels ? labels.data : labels;
  if (!(values instanceof Int32Array) && !Array.isArray(values)) {
    throw new TypeError(expected(name, "an Int32Array, an array of numbers or an NdArray of dtype int32", labels));
  }
  for (const value of values) {
    if (!Number.isInteger(value) || value < 0 || value > 0x7fffffff) {
      throw new RangeError(expected(name, "whole numbers >= 0", value));
    }
  }
  return Int32Array.from(values);
}

/** One example's share of a loss with one part: `z` holds its `k` logits from index `at`. */
export interface RowLoss {
  /** The fewest classes that it makes sense for. */
  readonly minClasses: number;
  value(z: Float32Array, at: number, k: number, row: number): number;
  /** Writes the derivative to `out[at .. at + k)`, which holds zeros. */
  cotangent(z: Float32Array, at: number, k: number, row: number, out: Float32Array): void;
}

/** A loss with one part, from its rows. `labels` are checked against the number of classes. */
export function rowwise(
  name: string,
  labels: Int32Array,
  row: RowLoss,
  take: (rows: Int32Array) => Loss,
  form?: LossForm,
): Loss {
  const count = labels.length;
  const check = (logits: NdArray): number => {
    const k = checkLogits(logits, count);
    if (k < row.minClasses)
      throw new RangeError(expected("logits", `at least ${row.minClasses} classes for ${name}`, k));
    for (const label of labels) {
      if (label >= k) throw new RangeError(expected("labels", `classes below ${k}`, label));
    }
    return k;
  };
  return {
    count,
    parts: 1,
    value(logits) {
      const k = check(logits);
      const data = new Float32Array(count);
      for (let i = 0; i < count; i++) data[i] = row.value(logits.data, i * k, k, i);
      return { dtype: "float32", shape: [count], data };
    },
    cotangent(logits) {
      const k = check(logits);
      const data = new Float32Array(count * k);
      for (let i = 0; i < count; i++) row.cotangent(logits.data, i * k, k, i, data);
      return { dtype: "float32", shape: [count, k], data };
    },
    take,
    ...(form === undefined ? {} : { form }),
  };
}

/** Checks the shape of logits and returns the number of classes. */
export function checkLogits(logits: NdArray, rows: number): number {
  const { shape, data, dtype } = logits;
  const k = shape[1] ?? 0;
  if (dtype !== "float32" || shape.length !== 2 || shape[0] !== rows || data.length !== rows * k) {
    throw new TypeError(expected("logits", `float32 of shape [${rows}, classes]`, `${dtype} [${shape.join(", ")}]`));
  }
  if (k < 2) throw new RangeError(expected("logits", "at least 2 classes (a single logit z is written [0, z])", k));
  return k;
}

/** Picks `values[rows]`; the rows are checked. */
export function pick(values: Int32Array, rows: Int32Array): Int32Array {
  return rows.map((row) => {
    if (!(row >= 0 && row < values.length))
      throw new RangeError(expected("rows", `indices below ${values.length}`, row));
    return values[row]!;
  });
}

/** The index of the largest of the `k` numbers from `at`, the first one on a tie; `except` is passed over. */
export function argmax(z: ArrayLike<number>, at: number, k: number, except = -1): number {
  let best = except === 0 ? 1 : 0;
  for (let j = best + 1; j < k; j++) if (j !== except && z[at + j]! > z[at + best]!) best = j;
  return best;
}
