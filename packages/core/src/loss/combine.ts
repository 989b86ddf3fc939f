import { checkNumber, expected } from "../errors.ts";
import { type NdArray, takeRows } from "../ndarray.ts";
import { checkLogits, type Loss, rowwise } from "./loss.ts";

/**
 * A loss that is linear in the logits: `sum_j c_j z_j` for each row. Its gradient with respect to the input is the
 * pullback of `c`: a class score, a difference of scores, a saliency map.
 *
 * @param cotangent - the weights c, shape `[n, k]`
 * @returns a loss with one part over logits `[n, k]`
 * @throws TypeError when the weights are not float32 `[n, k]`, or logits of another k are seen
 *
 * @example
 * ```ts
 * import { linear, ndArray } from "@parapet/core";
 * const score = linear(ndArray([0, 1, 0], [1, 3])); // the logit of class 1
 * console.log(score.value(ndArray([5, 7, 9], [1, 3])).data[0]); // => 7
 * ```
 */
export function linear(cotangent: NdArray): Loss {
  const n = cotangent.shape[0] ?? 0;
  const classes = checkLogits(cotangent, n);
  const weights: NdArray = { dtype: "float32", shape: [n, classes], data: cotangent.data.slice() };
  return rowwise(
    "linear",
    new Int32Array(n),
    {
      minClasses: classes,
      value(z, at, k) {
        if (k !== classes) throw new TypeError(expected("logits", `${classes} classes as in the cotangent`, k));
        let sum = 0;
        for (let j = at; j < at + k; j++) sum += weights.data[j]! * z[j]!;
        return sum;
      },
      cotangent(_z, at, k, _row, out) {
        if (k !== classes) throw new TypeError(expected("logits", `${classes} classes as in the cotangent`, k));
        out.set(weights.data.subarray(at, at + k), at);
      },
    },
    (rows) => linear(takeRows(weights, rows)),
    { kind: "linear", cotangent: weights },
  );
}

/**
 * A sum of losses, each with its weight: `sum_i w_i L_i`.
 *
 * @param terms - pairs of weight (finite, negative allowed) and loss; all with the same count and number of parts
 * @returns a loss with that count and number of parts
 * @throws TypeError when counts or parts differ
 * @throws RangeError when there are no terms, or a weight is NaN or infinite
 *
 * @example
 * ```ts
 * import { crossEntropy, klDivergence, onPart, weightedSum } from "@parapet/core";
 * // TRADES: the clean copy is part 0, the adversarial one part 1.
 * const labels = [3, 1];
 * const trades = weightedSum([
 *   [1, onPart(crossEntropy(labels), 0, 2)],
 *   [6, klDivergence(labels.length)],
 * ]);
 * console.log(trades.count, trades.parts); // => 2 2
 * ```
 */
export function weightedSum(terms: readonly (readonly [weight: number, loss: Loss])[]): Loss {
  const first = terms[0]?.[1];
  if (first === undefined) throw new RangeError(expected("terms", "at least one [weight, loss]", terms));
  const { count, parts } = first;
  for (const [weight, loss] of terms) {
    checkNumber("weight", weight);
    if (loss.count !== count || loss.parts !== parts) {
      throw new TypeError(
        expected(
          "terms",
          `losses of ${count} values and ${parts} parts`,
          `${loss.count} values and ${loss.parts} parts`,
        ),
      );
    }
  }
  const add = (part: (loss: Loss) => NdArray): NdArray => {
    let sum: NdArray | undefined;
    for (const [weight, loss] of terms) {
      const { shape, data } = part(loss);
      sum ??= { dtype: "float32", shape, data: new Float32Array(data.length) };
      for (let i = 0; i < data.length; i++) sum.data[i]! += weight * data[i]!;
    }
    return sum!;
  };
  return {
    count,
    parts,
    value: (logits) => add((loss) => loss.value(logits)),
    cotangent: (logits) => add((loss) => loss.cotangent(logits)),
    take: (rows) => weightedSum(terms.map(([weight, loss]) => [weight, loss.take(rows)] as const)),
  };
}

/**
 * Lets a loss with one part look at one part of several: `onPart(crossEntropy(labels), 1, 2)` is the cross-entropy of
 * the second copy of each example.
 *
 * @param loss - a loss with one part
 * @param part - which part it looks at, from 0
 * @param parts - how many there are
 * @returns a loss with `parts` parts, whose cotangent is zero on the others
 * @throws TypeError when the loss has several parts already
 * @throws RangeError when `part` is not a whole number in [0, parts)
 *
 * @example
 * ```ts
 * import { crossEntropy, ndArray, onPart } from "@parapet/core";
 * const second = onPart(crossEntropy([0]), 1, 2);
 * console.log(second.value(ndArray([9, 0, 0, 0], [2, 2])).data[0]!.toFixed(6)); // => 0.693147
 * ```
 */
export function onPart(loss: Loss, part: number, parts: number): Loss {
  checkNumber("parts", parts, { min: 1, integer: true });
  checkNumber("part", part, { min: 0, below: parts, integer: true });
  if (loss.parts !== 1) throw new TypeError(expected("loss", "one part", loss.parts));
  const { count } = loss;
  const slice = (logits: NdArray): NdArray => {
    const k = checkLogits(logits, parts * count);
    const data = logits.data.subarray(part * count * k, (part + 1) * count * k);
    return { dtype: "float32", shape: [count, k], data };
  };
  return {
    count,
    parts,
    value: (logits) => loss.value(slice(logits)),
    cotangent(logits) {
      const data = new Float32Array(logits.data.length);
      data.set(loss.cotangent(slice(logits)).data, (part * data.length) / parts);
      return { dtype: "float32", shape: logits.shape, data };
    },
    take: (rows) => onPart(loss.take(rows), part, parts),
  };
}
