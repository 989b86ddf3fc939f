import { checkNumber, crossEntropy, type Loss, margin } from "@parapet/core";
import { asJson, clear, notRun, rateOf, type TrustCheck, whiteBox } from "./check.ts";

/**
 * Are there gradients to follow? The share of examples at which the gradient of cross-entropy, and of the margin of the
 * logits, is exactly zero in every feature.
 *
 * @param options - `tolerance`: the share that may be, default 0.05; flagged where the lower end of the interval is
 *   above
 * @returns the check
 *
 * @example
 * ```ts
 * import { zeroGradients } from "@parapet/attacks";
 * console.log(zeroGradients().name); // => zero gradients
 * ```
 *
 * Source: A. Athalye, N. Carlini and D. Wagner, "Obfuscated Gradients Give a False Sense of Security", 2018,
 * https://arxiv.org/abs/1802.00420, section 3; M. Pintor et al., "Indicators of Attack Failure", 2022,
 * https://arxiv.org/abs/2106.09947, "unavailable gradients". Differences: looked at in the examples, not along a path.
 */
export function zeroGradients(options: { readonly tolerance?: number } = {}): TrustCheck {
  const tolerance = checkNumber("tolerance", options.tolerance ?? 0.05, { min: 0, below: 1 });
  return {
    name: "zero gradients",
    async run({ model, x, labels, keys, signal }) {
      const white = whiteBox(model);
      if (white === undefined) return notRun("The model has no gradients.");
      const width = x.data.length / labels.length;
      const zeros = async (loss: Loss) => {
        const { gradient } = await white.gradient(x, loss, signal === undefined ? { keys } : { keys, signal });
        return rateOf(
          keys.map((_, row) => Number(gradient.data.subarray(row * width, (row + 1) * width).every((value) => !value))),
        );
      };
      const byCrossEntropy = await zeros(crossEntropy(labels));
      const byMargin = await zeros(margin(labels));
      const evidence = { crossEntropy: asJson(byCrossEntropy), margin: asJson(byMargin), tolerance };
      if (Math.max(byCrossEntropy.low, byMargin.low) <= tolerance) {
        return clear("There are gradients to follow.", evidence);
      }
      const flat = byMargin.low > tolerance;
      const worst = flat ? byMargin : byCrossEntropy;
      return {
        flag: true,
        says: `The gradient of ${flat ? "the margin" : "cross-entropy"} is exactly zero in ${worst.count} of ${worst.total} examples.`,
        evidence,
        advice: flat
          ? "No gradient attack can work: put a differentiable stand-in behind the preprocessing (bpda), or search without gradients (square)."
          : "The softmax is saturated: climb the margin or the difference-of-logits ratio instead of cross-entropy.",
        adaptive: flat ? ["bpda", "square"] : ["margin"],
      };
    },
  };
}
