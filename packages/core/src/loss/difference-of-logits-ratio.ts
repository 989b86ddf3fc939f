import { expected } from "../errors.ts";
import { argmax, type Labels, type Loss, pick, rowwise, toLabels } from "./loss.ts";

/**
 * The difference-of-logits ratio: `-(z_y - max_{j != y} z_j) / (z_(1) - z_(3))`, with `z_(i)` the i-th largest logit.
 * Unchanged when the logits are shifted or scaled, so a model cannot hide behind saturated scores.
 *
 * With `targets`: `-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2)`.
 *
 * @param labels - n true classes
 * @param targets - n classes to move towards, none equal to its label; optional
 * @returns a loss with one part over logits `[n, k]`, k >= 3 (with targets k >= 4). Where the denominator is 0, so are
 *   value and cotangent
 * @throws RangeError when there are fewer classes, or a label or target is out of range
 *
 * @example
 * ```ts
 * import { differenceOfLogitsRatio, ndArray } from "@parapet/core";
 * const logits = ndArray([3, 1, 0.5, -1], [1, 4]);
 * console.log(differenceOfLogitsRatio([0]).value(logits).data[0]!.toFixed(4)); // => -0.8000
 * console.log(differenceOfLogitsRatio([0], [1]).value(logits).data[0]!.toFixed(4)); // => -0.6154
 * ```
 *
 * Source: F. Croce and M. Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
 * Parameter-free Attacks", 2020, https://arxiv.org/abs/2003.01690, equations 6 and 7. Differences from the paper: no
 * 1e-12 in the denominator.
 */
export function differenceOfLogitsRatio(labels: Labels, targets?: Labels): Loss {
  const y = toLabels(labels);
  const t = targets === undefined ? undefined : toLabels(targets, "targets");
  if (t !== undefined) {
    if (t.length !== y.length) throw new TypeError(expected("targets", `${y.length} classes, one a label`, t.length));
    t.forEach((target, i) => {
      if (target === y[i]) throw new RangeError(expected("targets", "classes other than the labels", target));
    });
  }
  const parts = (z: Float32Array, at: number, k: number, row: number) => {
    const order = largest(z, at, k, t === undefined ? 3 : 4);
    const label = y[row]!;
    const other = t === undefined ? argmax(z, at, k, label) : t[row]!;
    if (other >= k) throw new RangeError(expected("targets", `classes below ${k}`, other));
    const low = t === undefined ? z[at + order[2]!]! : (z[at + order[2]!]! + z[at + order[3]!]!) / 2;
    return { order, label, other, numerator: z[at + other]! - z[at + label]!, denominator: z[at + order[0]!]! - low };
  };
  return rowwise(
    "differenceOfLogitsRatio",
    y,
    {
      minClasses: t === undefined ? 3 : 4,
      value(z, at, k, row) {
        const { numerator, denominator } = parts(z, at, k, row);
        return denominator === 0 ? 0 : numerator / denominator;
      },
      cotangent(z, at, k, row, out) {
        const { order, label, other, numerator, denominator } = parts(z, at, k, row);
        if (denominator === 0) return;
        const ratio = numerator / denominator;
        // Summed in float64: where the terms cancel (a ratio of 1), the cotangent is 0 and not the sign of a rounding.
        const sums = new Float64Array(k);
        sums[other]! += 1 / denominator;
        sums[label]! -= 1 / denominator;
        sums[order[0]!]! -= ratio / denominator;
        const share = ratio / denominator / (order.length - 2);
        for (const low of order.slice(2)) sums[low]! += share;
        out.set(sums, at);
      },
    },
    (rows) => differenceOfLogitsRatio(pick(y, rows), t === undefined ? undefined : pick(t, rows)),
  );
}

/** The indices of the `m` largest of the `k` numbers from `at`, largest first, the first one on a tie. */
function largest(z: Float32Array, at: number, k: number, m: number): number[] {
  const order: number[] = [];
  for (let j = 0; j < k; j++) {
    let place = order.length;
    while (place > 0 && z[at + j]! > z[at + order[place - 1]!]!) place--;
    if (place < m) order.splice(place, 0, j);
    if (order.length > m) order.pop();
  }
  return order;
}
