import { checkNumber } from "@parapet/core";
import { pgd } from "../pgd.ts";
import { asJson, brokenBy, clear, compare, notRun, type Probe, probed, rateOf, type TrustCheck } from "./check.ts";

/**
 * Would twice the steps break more? Then the figures say how far the attack went, not how far one can go.
 *
 * @param options - `steps`: as many as the evaluation's attacks make, default 40; `probe` makes the attack, default
 *   `pgd`
 * @returns the check
 *
 * @example
 * ```ts
 * import { notConverged } from "@parapet/attacks";
 * console.log(notConverged({ steps: 100 }).name); // => twice the steps
 * ```
 *
 * Source: N. Carlini et al., "On Evaluating Adversarial Robustness", 2019, https://arxiv.org/abs/1902.06705, section 4.
 * Differences: a sign test, for small samples.
 */
export function notConverged(options: { readonly probe?: Probe; readonly steps?: number } = {}): TrustCheck {
  const { probe = pgd } = options;
  const steps = checkNumber("steps", options.steps ?? 40, { min: 1, integer: true });
  return {
    name: "twice the steps",
    async run(subject) {
      const white = probed(subject);
      if (typeof white === "string") return notRun(white);
      const { norm } = white;
      const { epsilon } = subject;
      const once = await brokenBy(subject, probe({ norm, epsilon, steps }));
      const twice = await brokenBy(subject, probe({ norm, epsilon, steps: 2 * steps }));
      const comparison = compare(twice, once);
      const evidence = { once: asJson(rateOf(once)), twice: asJson(rateOf(twice)), ...comparison.evidence, steps };
      if (!comparison.isStronger) return clear("Twice the steps break no more.", evidence);
      return {
        flag: true,
        says: `${steps} steps break ${rateOf(once).count} of ${once.length} examples, twice as many ${rateOf(twice).count}.`,
        evidence,
        advice: "The attack has not converged: make more steps, and more restarts.",
        adaptive: ["stronger"],
      };
    },
  };
}
