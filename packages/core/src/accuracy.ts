import { expected } from "./errors.ts";
import { argmax, checkLogits, type Labels, toLabels } from "./loss/loss.ts";
import type { NdArray } from "./ndarray.ts";
import { type Rate, wilson } from "./statistics.ts";

/**
 * The class of every row of logits: the index of the largest, the first one on a tie.
 *
 * @param logits - shape [n, k], k >= 2
 * @returns shape [n]
 * @throws TypeError when dtype or shape are others
 * @throws RangeError when there are fewer than 2 classes
 *
 * @example
 * ```ts
 * import { labelsOf, ndArray } from "@parapet/core";
 * console.log(labelsOf(ndArray([0, 2, 1, 5, 4, 3], [2, 3])).data.join(" ")); // => 1 0
 * ```
 */
export function labelsOf(logits: NdArray): NdArray<"int32"> {
  const n = logits.shape[0] ?? 0;
  const k = checkLogits(logits, n);
  return { dtype: "int32", shape: [n], data: Int32Array.from({ length: n }, (_, i) => argmax(logits.data, i * k, k)) };
}

/**
 * The share of right answers, with its 95 % Wilson interval. A row of logits with NaN counts as wrong.
 *
 * @param answer - logits `[n, k]` or labels `[n]`
 * @param labels - n true classes
 * @param options - `confidence` in (0, 1); default 0.95
 * @returns count, total, rate, low and high
 * @throws TypeError when the lengths differ
 * @throws RangeError when a label is negative or, where logits are given, no class of theirs
 *
 * @example
 * ```ts
 * import { accuracy, ndArray } from "@parapet/core";
 * const { count, total } = accuracy(ndArray([2, 1, 0, 3], [2, 2]), [0, 0]);
 * console.log(`${count} of ${total}`); // => 1 of 2
 * ```
 *
 * Source: the interval as in `wilson`.
 */
export function accuracy(
  answer: NdArray | NdArray<"int32">,
  labels: Labels,
  options: { readonly confidence?: number } = {},
): Rate {
  const truth = toLabels(labels);
  let given: Int32Array;
  if (answer.dtype === "int32") given = answer.data;
  else {
    given = labelsOf(answer).data;
    const k = answer.shape[1]!;
    const wrong = truth.find((label) => label >= k);
    if (wrong !== undefined) throw new RangeError(expected("labels", `classes below ${k}`, wrong));
    for (let i = 0; i < answer.data.length; i++) if (Number.isNaN(answer.data[i])) given[Math.floor(i / k)] = -1;
  }
  if (given.length !== truth.length) throw new TypeError(expected("labels", `${given.length} classes`, truth.length));
  const count = truth.reduce((sum, label, i) => sum + Number(label === given[i]), 0);
  return wilson(count, truth.length, options);
}
