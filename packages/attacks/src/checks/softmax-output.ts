import type { Classifier } from "@parapet/core";
import { asJson, clear, notRun, rateOf, type TrustCheck } from "./check.ts";

/**
 * Are the logits probabilities? Where every row lies in [0, 1] and sums to 1, the model hands out its softmax, which is
 * flat wherever the model is sure: losses on it have no gradient to follow.
 *
 * @returns the check
 *
 * @example
 * ```ts
 * import { softmaxOutput } from "@parapet/attacks";
 * console.log(softmaxOutput().name); // => softmax output
 * ```
 *
 * Source: AutoAttack's check of the same kind, https://github.com/fra31/auto-attack. Differences: none known.
 */
export function softmaxOutput(): TrustCheck {
  return {
    name: "softmax output",
    async run({ model, x, keys, signal }) {
      if (!("logits" in model)) return notRun("The model has no logits.");
      const { data, shape } = await (model as Classifier).logits(x, signal === undefined ? { keys } : { keys, signal });
      const k = shape[1]!;
      const like = Uint8Array.from(keys, (_, row) => {
        let sum = 0;
        for (let j = row * k; j < (row + 1) * k; j++) {
          if (!(data[j]! >= -1e-6 && data[j]! <= 1 + 1e-6)) return 0;
          sum += data[j]!;
        }
        return Number(Math.abs(sum - 1) < 1e-4);
      });
      const saturated = rateOf(
        like.map((yes, row) => {
          let top = 0;
          for (let j = row * k; j < (row + 1) * k; j++) top = Math.max(top, data[j]!);
          return Number(yes === 1 && top > 1 - 1e-6);
        }),
      );
      const rate = rateOf(like);
      const evidence = { probabilities: asJson(rate), saturated: asJson(saturated) };
      if (rate.count < rate.total) return clear("The logits are no probabilities.", evidence);
      const full = saturated.rate > 0.1;
      return {
        flag: true,
        says: `Every row of logits is a probability distribution${full ? ", many of them saturated" : ""}.`,
        evidence,
        advice: full
          ? "Attack what stands before the softmax (bpda with the identity behind it), or search without gradients (square)."
          : "Take the logits from before the softmax, and climb their margin.",
        adaptive: full ? ["bpda", "square"] : ["bpda", "margin"],
      };
    },
  };
}
