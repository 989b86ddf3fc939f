import { type Labels, type Loss, pick, rowwise, toLabels } from "./loss.ts";

/**
 * Cross-entropy of the softmax: `log(sum_j exp z_j) - z_y`, in nats; its cotangent is `softmax(z) - onehot(y)`.
 *
 * @param labels - n classes
 * @returns a loss with one part over logits `[n, k]`
 * @throws RangeError when a label is negative or, once logits are seen, not below k
 *
 * @example
 * ```ts
 * import { crossEntropy, ndArray } from "@parapet/core";
 * const loss = crossEntropy([0]);
 * console.log(loss.value(ndArray([2.3, -0.1, -0.5], [1, 3])).data[0]!.toFixed(6)); // => 0.141090
 * ```
 *
 * Source: the definition. Differences from the source: none known.
 */
export function crossEntropy(labels: Labels): Loss {
  const y = toLabels(labels);
  return rowwise(
    "crossEntropy",
    y,
    {
      minClasses: 2,
      // max + log(sum of exp(z - max)) - z_y, arranged so that a confident row keeps its digits: log1p of the others.
      value(z, at, k, row) {
        let top = at;
        for (let j = at + 1; j < at + k; j++) if (z[j]! > z[top]!) top = j;
        let others = 0;
        for (let j = at; j < at + k; j++) if (j !== top) others += Math.exp(z[j]! - z[top]!);
        return z[top]! - z[at + y[row]!]! + Math.log1p(others);
      },
      cotangent(z, at, k, row, out) {
        let top = z[at]!;
        for (let j = at + 1; j < at + k; j++) if (z[j]! > top) top = z[j]!;
        let sum = 0;
        for (let j = at; j < at + k; j++) sum += Math.exp(z[j]! - top);
        const target = at + y[row]!;
        // softmax_y - 1 is the sum of the others, negated: no cancellation where the model is sure.
        let others = 0;
        for (let j = at; j < at + k; j++) {
          if (j === target) continue;
          const p = Math.exp(z[j]! - top) / sum;
          out[j] = p;
          others += p;
        }
        out[target] = -others;
      },
    },
    (rows) => crossEntropy(pick(y, rows)),
    { kind: "cross-entropy", labels: y },
  );
}
