import { checkNumber } from "@parapet/core";
import { fgsm } from "../fgsm.ts";
import { pgd } from "../pgd.ts";
import { asJson, brokenBy, clear, compare, notRun, type Probe, probed, rateOf, type TrustCheck } from "./check.ts";

/**
 * Is an iterative attack weaker than a single step? It contains the single step, so a model on which it does worse has
 * gradients that lead nowhere, or was trained to mislead single steps.
 *
 * @param options - `probe` makes the iterative attack, default `pgd`; `steps`, default 40
 * @returns the check
 *
 * @example
 * ```ts
 * import { iterativeWeaker } from "@parapet/attacks";
 * console.log(iterativeWeaker().name); // => iterative against single step
 * ```
 *
 * Source: A. Athalye, N. Carlini and D. Wagner, "Obfuscated Gradients Give a False Sense of Security", 2018,
 * https://arxiv.org/abs/1802.00420, section 3.1. Differences: a sign test, for small samples.
 */
export function iterativeWeaker(options: { readonly probe?: Probe; readonly steps?: number } = {}): TrustCheck {
  const { probe = pgd } = options;
  const steps = checkNumber("steps", options.steps ?? 40, { min: 2, integer: true });
  return {
    name: "iterative against single step",
    async run(subject) {
      const white = probed(subject);
      if (typeof white === "string") return notRun(white);
      const { norm } = white;
      const { epsilon } = subject;
      const single = await brokenBy(subject, fgsm({ norm, epsilon }));
      const iterative = await brokenBy(subject, probe({ norm, epsilon, steps }));
      const comparison = compare(single, iterative);
      const evidence = {
        singleStep: asJson(rateOf(single)),
        iterative: asJson(rateOf(iterative)),
        ...comparison.evidence,
        steps,
      };
      if (!comparison.isStronger) return clear("Many steps break no fewer examples than one.", evidence);
      return {
        flag: true,
        says: `One step breaks ${rateOf(single).count} of ${single.length} examples, ${steps} steps only ${rateOf(iterative).count}.`,
        evidence,
        advice:
          "The steps lose their way: use more restarts and another loss (margin), or search without gradients (square).",
        adaptive: ["margin", "stronger", "square"],
      };
    },
  };
}
