import { checkNumber, type DifferentiableClassifier } from "@parapet/core";
import { pgd } from "../pgd.ts";
import { asJson, brokenBy, clear, compare, notRun, type Probe, probed, rateOf, type TrustCheck } from "./check.ts";

/**
 * Do points made on another model break more than points made on this one? Then this one's gradients hide what the
 * other's show.
 *
 * @param options - `surrogate`: another model of the same inputs and classes, such as one trained in the usual way;
 *   without it the check is not run. `probe` makes the attack, default `pgd`; `steps`, default 40
 * @returns the check
 *
 * @example
 * ```ts
 * import { transferStronger } from "@parapet/attacks";
 * console.log(transferStronger().name); // => transfer against white box
 * ```
 *
 * Source: N. Carlini et al., "On Evaluating Adversarial Robustness", 2019, https://arxiv.org/abs/1902.06705, section 4;
 * M. Pintor et al., "Indicators of Attack Failure", 2022, https://arxiv.org/abs/2106.09947, "transfer failure".
 * Differences: a sign test, for small samples.
 */
export function transferStronger(
  options: {
    readonly surrogate?: DifferentiableClassifier | undefined;
    readonly probe?: Probe;
    readonly steps?: number;
  } = {},
): TrustCheck {
  const { surrogate, probe = pgd } = options;
  const steps = checkNumber("steps", options.steps ?? 40, { min: 1, integer: true });
  return {
    name: "transfer against white box",
    async run(subject) {
      if (surrogate === undefined) return notRun("No surrogate was given.");
      const white = probed(subject);
      if (typeof white === "string") return notRun(white);
      const attack = probe({ norm: white.norm, epsilon: subject.epsilon, steps });
      const transferred = await brokenBy(subject, attack, { on: surrogate });
      const own = await brokenBy(subject, attack);
      const comparison = compare(transferred, own);
      const evidence = {
        transfer: asJson(rateOf(transferred)),
        whiteBox: asJson(rateOf(own)),
        ...comparison.evidence,
        steps,
      };
      if (!comparison.isStronger) return clear("Points of another model break no more.", evidence);
      return {
        flag: true,
        says: `Points made on another model break ${rateOf(transferred).count} of ${own.length} examples, points made on this one only ${rateOf(own).count}.`,
        evidence,
        advice:
          "The gradients mislead: add transfer from the surrogate to the attacks, and search without gradients (square).",
        adaptive: ["transfer", "square"],
      };
    },
  };
}
