import { type Attack, type Classifier, checkNumber } from "@parapet/core";
import { pgd } from "../pgd.ts";
import { square } from "../square.ts";
import { asJson, brokenBy, clear, compare, notRun, type Probe, probed, rateOf, type TrustCheck } from "./check.ts";

/**
 * Is search without gradients stronger than an attack with them? Gradients are more information, so they are being
 * hidden.
 *
 * @param options - `search` makes the attack without gradients at a radius, default `square` with 300 queries; `probe`
 *   the one with them, default `pgd`; `steps`, default 40
 * @returns the check
 *
 * @example
 * ```ts
 * import { gradientFreeStronger } from "@parapet/attacks";
 * console.log(gradientFreeStronger().name); // => search against gradients
 * ```
 *
 * Source: A. Athalye, N. Carlini and D. Wagner, "Obfuscated Gradients Give a False Sense of Security", 2018,
 * https://arxiv.org/abs/1802.00420, section 3.1. Differences: a sign test, for small samples.
 */
export function gradientFreeStronger(
  options: {
    readonly search?: (settings: Parameters<Probe>[0]) => Attack<Classifier>;
    readonly probe?: Probe;
    readonly steps?: number;
  } = {},
): TrustCheck {
  const { probe = pgd, search = ({ norm, epsilon }) => square({ norm, epsilon, queries: 300 }) } = options;
  const steps = checkNumber("steps", options.steps ?? 40, { min: 1, integer: true });
  return {
    name: "search against gradients",
    async run(subject) {
      const white = probed(subject);
      if (typeof white === "string") return notRun(white);
      const settings = { norm: white.norm, epsilon: subject.epsilon, steps };
      const without = await brokenBy(subject, search(settings));
      const having = await brokenBy(subject, probe(settings));
      const comparison = compare(without, having);
      const evidence = {
        search: asJson(rateOf(without)),
        gradients: asJson(rateOf(having)),
        ...comparison.evidence,
        steps,
      };
      if (!comparison.isStronger) {
        return clear("Search without gradients breaks no more than an attack with them.", evidence);
      }
      return {
        flag: true,
        says: `Search without gradients breaks ${rateOf(without).count} of ${without.length} examples, with gradients only ${rateOf(having).count}.`,
        evidence,
        advice: "The gradients mislead: add square to the attacks, and another loss (margin).",
        adaptive: ["square", "margin"],
      };
    },
  };
}
