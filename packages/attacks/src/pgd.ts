import { type Attack, checkNumber, type Norm } from "@parapet/core";
import { gradientAscent } from "./shared/gradient-ascent.ts";

/** Options of `pgd`. */
export interface PgdOptions {
  /** Radius of the ball, in the units of the model's inputs; >= 0. */
  readonly epsilon: number;
  /** Default "linf". */
  readonly norm?: Norm;
  /** Number of steps, default 40. */
  readonly steps?: number;
  /** Length of each step, in the units of epsilon; default `2.5 * epsilon / steps`, which can cross the ball. */
  readonly stepSize?: number;
  /** Start at a uniform point of the ball instead of the example. Default true. */
  readonly randomStart?: boolean;
  /** Runs from different starts, for the examples that held so far; default 1. */
  readonly restarts?: number;
  /** Decay of the direction's memory, 0 (default) for none; 1 is MI-FGSM's. */
  readonly momentum?: number;
  /** Leave an example as soon as its goal is reached: cheaper, and nearer to x. Default false: every step is made. */
  readonly earlyStop?: boolean;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * Projected gradient descent: steepest ascent of the goal's loss, projected onto the ball around the example and the
 * model's bounds after every step:
 * `x <- clip(project(x + stepSize * argmax{<gradient, d> : ||d|| <= 1}))`.
 *
 * The l1 step moves one coordinate, the steepest that is not at its bound, and the l1 projection is the Euclidean one.
 * With `restarts`, an example keeps its first success, or else the point of highest loss. Where every start fails and the
 * example itself reaches the goal, it is the result: what is wrong already is never reported as robust.
 *
 * @param options - ball, steps, starts
 * @returns an attack on models with gradients; at most `steps` gradients and `steps + 1` queries an example and
 *   restart, and one query more where all of them fail
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { pgd } from "@parapet/attacks";
 * import { affineModel } from "@parapet/testing";
 * const model = affineModel({ weights: [[1, 0], [0, 1]], bias: [0, 0], bounds: { lower: 0, upper: 1 } });
 * const attack = pgd({ norm: "linf", epsilon: 0.3, steps: 40 });
 * const x = ndArray([0.7, 0.3, 0.9, 0.1], [2, 2]);
 * const { success } = await attack(model, x, untargeted([0, 0]), { rng: createRng(0) });
 * console.log(success.data.join(" ")); // => 1 0
 * ```
 *
 * Source: A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", 2018,
 * https://arxiv.org/abs/1706.06083, section 2.1; momentum: Y. Dong et al., "Boosting Adversarial Attacks with Momentum",
 * 2018, https://arxiv.org/abs/1710.06081, algorithm 1. Differences from the papers: l1 and l2 besides linf; early stop
 * is an option.
 */
export function pgd(options: PgdOptions): Attack {
  const {
    epsilon,
    norm = "linf",
    steps = 40,
    randomStart = true,
    restarts = 1,
    momentum = 0,
    earlyStop = false,
    batchSize = 128,
  } = options;
  checkNumber("steps", steps, { min: 1, integer: true });
  const { stepSize = (2.5 * epsilon) / steps } = options;
  return gradientAscent({
    name: "pgd",
    norm,
    epsilon,
    steps,
    stepSize,
    momentum,
    randomStart,
    clipStart: true,
    restarts,
    earlyStop,
    batchSize,
  });
}
