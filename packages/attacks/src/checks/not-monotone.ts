import { checkNumber } from "@parapet/core";
import { pgd } from "../pgd.ts";
import { asJson, brokenBy, clear, compare, notRun, type Probe, probed, rateOf, type TrustCheck } from "./check.ts";

/**
 * Does a larger ball break fewer examples? It holds the smaller one, so the attack loses its way in it.
 *
 * @param options - `probe` makes the attack, default `pgd`; `steps`, default 40; `factors`: the radii in epsilons,
 *   rising, default 1/4, 1/2, 1 and 2
 * @returns the check
 *
 * @example
 * ```ts
 * import { notMonotone } from "@parapet/attacks";
 * console.log(notMonotone().name); // => success against radius
 * ```
 *
 * Source: N. Carlini et al., "On Evaluating Adversarial Robustness", 2019, https://arxiv.org/abs/1902.06705, section 4.
 * Differences: a sign test, for small samples.
 */
export function notMonotone(
  options: { readonly probe?: Probe; readonly steps?: number; readonly factors?: readonly number[] } = {},
): TrustCheck {
  const { probe = pgd, factors = [0.25, 0.5, 1, 2] } = options;
  const steps = checkNumber("steps", options.steps ?? 40, { min: 1, integer: true });
  return {
    name: "success against radius",
    async run(subject) {
      const white = probed(subject);
      if (typeof white === "string") return notRun(white);
      const broken: Uint8Array[] = [];
      for (const factor of factors) {
        const epsilon = factor * subject.epsilon;
        broken.push(await brokenBy(subject, probe({ norm: white.norm, epsilon, steps }), { epsilon }));
      }
      const evidence = {
        radii: factors.map((factor) => factor * subject.epsilon),
        broken: broken.map((each) => asJson(rateOf(each))),
        steps,
      };
      const at = broken.findIndex((each, i) => i > 0 && compare(broken[i - 1]!, each).isStronger);
      if (at < 0) return clear("A larger radius breaks no fewer examples.", evidence);
      return {
        flag: true,
        says: `A radius of ${evidence.radii[at]} breaks ${rateOf(broken[at]!).count} of ${broken[at]!.length} examples, ${evidence.radii[at - 1]} breaks ${rateOf(broken[at - 1]!).count}.`,
        evidence,
        advice:
          "The attack loses its way in a larger ball: use more restarts, another loss (margin), or search without gradients (square).",
        adaptive: ["margin", "stronger", "square"],
      };
    },
  };
}
