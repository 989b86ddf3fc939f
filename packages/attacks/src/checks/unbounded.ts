import { boundsOf, checkNumber, type Norm } from "@parapet/core";
import { pgd } from "../pgd.ts";
import {
  asJson,
  brokenBy,
  type CheckSubject,
  clear,
  notRun,
  type Probe,
  probed,
  rateOf,
  type TrustCheck,
} from "./check.ts";

/**
 * Does an attack without a limit break the model? It may turn every example into anything, so what is left must be no
 * more than chance. Where it is more, the attack does not work on this model, at no radius.
 *
 * @param options - `probe` makes the attack, default `pgd`; `steps`, default 40
 * @returns the check
 *
 * @example
 * ```ts
 * import { unbounded } from "@parapet/attacks";
 * console.log(unbounded().name); // => unbounded attack
 * ```
 *
 * Source: A. Athalye, N. Carlini and D. Wagner, "Obfuscated Gradients Give a False Sense of Security", 2018,
 * https://arxiv.org/abs/1802.00420, section 3.1; M. Pintor et al., "Indicators of Attack Failure", 2022,
 * https://arxiv.org/abs/2106.09947, "unconstrained attack failure". Differences: chance is allowed for, by the
 * interval.
 */
export function unbounded(options: { readonly probe?: Probe; readonly steps?: number } = {}): TrustCheck {
  const { probe = pgd } = options;
  const steps = checkNumber("steps", options.steps ?? 40, { min: 1, integer: true });
  return {
    name: "unbounded attack",
    async run(subject) {
      const white = probed(subject);
      if (typeof white === "string") return notRun(white);
      const epsilon = diameter(subject, white.norm);
      const broken = await brokenBy(subject, probe({ norm: white.norm, epsilon, steps }), { epsilon });
      const left = rateOf(broken.map((mark) => 1 - mark));
      const chance = 1 / subject.model.numClasses;
      const evidence = { radius: epsilon, right: asJson(left), chance, steps };
      if (left.low <= chance) return clear("An attack without a limit leaves no more than chance.", evidence);
      return {
        flag: true,
        says: `An attack without a limit leaves ${left.count} of ${left.total} examples right.`,
        evidence,
        advice:
          "The attack does not work on this model: try another loss (margin), then a stand-in for the preprocessing (bpda), then search (square).",
        adaptive: ["margin", "bpda", "square"],
      };
    },
  };
}

/** The size of the space of inputs; ten radii where it has no end. */
function diameter({ model, x, labels, epsilon }: CheckSubject, norm: Norm): number {
  const width = x.data.length / labels.length;
  const { lower, upper } = boundsOf(model.bounds, width);
  let total = 0;
  for (let j = 0; j < width; j++) {
    const side = upper[j]! - lower[j]!;
    total = norm === "linf" ? Math.max(total, side) : total + (norm === "l2" ? side * side : side);
  }
  if (!Number.isFinite(total)) return 10 * epsilon;
  return Math.max(epsilon, norm === "l2" ? Math.sqrt(total) : total);
}
