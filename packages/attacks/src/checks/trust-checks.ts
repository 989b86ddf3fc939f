import type { Attack, Classifier, DifferentiableClassifier } from "@parapet/core";
import { activeTest } from "./active-test.ts";
import { attackFailure } from "./attack-failure.ts";
import type { Probe, TrustCheck } from "./check.ts";
import { gradientAgreement } from "./gradient-agreement.ts";
import { gradientFreeStronger } from "./gradient-free-stronger.ts";
import { iterativeWeaker } from "./iterative-weaker.ts";
import { notConverged } from "./not-converged.ts";
import { notMonotone } from "./not-monotone.ts";
import { randomness } from "./randomness.ts";
import { softmaxOutput } from "./softmax-output.ts";
import { transferStronger } from "./transfer-stronger.ts";
import { unbounded } from "./unbounded.ts";
import { zeroGradients } from "./zero-gradients.ts";

/**
 * The trust checks of an evaluation, all of them: signs that the figures say more about the attacks than about the
 * model. None of them proves that an evaluation is right; each that is flagged says why it may be wrong, and what to
 * run next.
 *
 * @param options - `probe`: makes the gradient attack by which the checks probe the model, default `pgd`; `steps` of
 *   it, default 40; `search`: makes the attack without gradients; `surrogate`: another model, for the transfer check
 * @returns the checks, for `evaluateRobustness`
 *
 * @example
 * ```ts
 * import { trustChecks } from "@parapet/attacks";
 * console.log(trustChecks().length); // => 12
 * ```
 *
 * Source: N. Carlini et al., "On Evaluating Adversarial Robustness", 2019, https://arxiv.org/abs/1902.06705, and the
 * sources of each check. Differences: see each check.
 */
export function trustChecks(
  options: {
    readonly probe?: Probe;
    readonly steps?: number;
    readonly search?: (settings: Parameters<Probe>[0]) => Attack<Classifier>;
    readonly surrogate?: DifferentiableClassifier;
  } = {},
): readonly TrustCheck[] {
  const { surrogate, search, ...probing } = options;
  return [
    randomness(),
    softmaxOutput(),
    zeroGradients(),
    gradientAgreement(),
    iterativeWeaker(probing),
    gradientFreeStronger({ ...probing, ...(search === undefined ? {} : { search }) }),
    transferStronger({ ...probing, surrogate }),
    notConverged(probing),
    notMonotone(probing),
    unbounded(probing),
    attackFailure(),
    activeTest(),
  ];
}
