import { argmax, type Labels, type Loss, pick, rowwise, toLabels } from "./loss.ts";

/**
 * The margin of Carlini and Wagner: `max_{j != y} z_j - z_y`. Positive exactly where the label is not the answer.
 * Its cotangent is `onehot(other) - onehot(y)`; it has no vanishing gradient where the softmax saturates.
 *
 * @param labels - n classes
 * @returns a loss with one part over logits `[n, k]`
 * @throws RangeError when a label is negative or, once logits are seen, not below k
 *
 * @example
 * ```ts
 * import { margin, ndArray } from "@parapet/core";
 * console.log(margin([0]).value(ndArray([-1, -5, -6], [1, 3])).data[0]); // => -4
 * ```
 *
 * Source: N. Carlini and D. Wagner, "Towards Evaluating the Robustness of Neural Networks", 2017,
 * https://arxiv.org/abs/1608.04644, f_6 in section IV-A. Differences from the paper: not cut off at a confidence.
 */
export function margin(labels: Labels): Loss {
  const y = toLabels(labels);
  return rowwise(
    "margin",
    y,
    {
      minClasses: 2,
      value: (z, at, k, row) => z[at + argmax(z, at, k, y[row])]! - z[at + y[row]!]!,
      cotangent(z, at, k, row, out) {
        out[at + argmax(z, at, k, y[row])] = 1;
        out[at + y[row]!] = -1;
      },
    },
    (rows) => margin(pick(y, rows)),
    { kind: "margin", labels: y },
  );
}
