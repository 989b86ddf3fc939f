import {
  type EvaluationOptions,
  evaluateRobustness,
  fab,
  pgd,
  type RobustnessEvaluation,
  trustChecks,
} from "@parapet/attacks";
import { createRng, type DifferentiableClassifier } from "@parapet/core";
import { percent } from "./chart.ts";
import type { Digits } from "./mnist.ts";
import type { ProgressLine } from "./progress.ts";
import type { Settings } from "./settings.ts";

/**
 * How robust a model is: PGD in the ball that matters, FAB for the distance of the nearest wrong answer, and with it the
 * whole curve; then the trust checks. With a `surrogate`, another model of the same task, they ask whether its adversarial
 * examples do more than the model's own: that would be a sign of gradients that lead nowhere.
 */
export async function evaluate(
  name: string,
  model: DifferentiableClassifier,
  surrogate: DifferentiableClassifier | undefined,
  { x, labels }: Digits,
  { epsilon, testAttack, distanceAttack, curveRadii }: Settings,
  seed: number,
  record: Pick<EvaluationOptions, "subject" | "versions" | "command">,
  progress: ProgressLine,
  signal: AbortSignal,
): Promise<RobustnessEvaluation> {
  const evaluation = await evaluateRobustness(model, x, labels, {
    attacks: {
      [`PGD-${testAttack.steps}`]: {
        attack: pgd({ norm: "linf", epsilon, ...testAttack }),
        parameters: { ...testAttack },
      },
      [`FAB-${distanceAttack.steps}`]: {
        attack: fab({ norm: "linf", targeted: true, ...distanceAttack }),
        parameters: { ...distanceAttack },
      },
    },
    norm: "linf",
    epsilon,
    radii: curveRadii,
    checks: trustChecks(surrogate === undefined ? {} : { surrogate }),
    rng: createRng(seed),
    seed,
    ...record,
    signal,
    onProgress: ({ task, done, total }) => progress.update(`${name}: ${task}   ${Math.floor((100 * done) / total)} %`),
  });
  const { clean, robust, checks } = evaluation;
  const flags = checks.filter(({ flag }) => flag === true);
  progress.done(
    `${name}: ${percent(clean.rate)} right, ${percent(robust.rate)} under attack, linf ${epsilon}; ` +
      `${checks.length} trust checks, ${flags.length === 0 ? "no flag" : `flagged: ${flags.map((one) => one.name).join(", ")}`}`,
  );
  return evaluation;
}
