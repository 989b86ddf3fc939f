import type { Attack, Norm } from "@parapet/core";
import { gradientAscent } from "./shared/gradient-ascent.ts";

/** Options of `fgsm`. */
export interface FgsmOptions {
  /** Radius of the ball, in the units of the model's inputs; >= 0. */
  readonly epsilon: number;
  /** Default "linf". With "l2" this is the fast gradient method; with "l1" one coordinate moves. */
  readonly norm?: Norm;
  /** Length of the step, in the same units; default epsilon. */
  readonly stepSize?: number;
  /** Start at a uniform point of the ball instead of the example. Default false. */
  readonly randomStart?: boolean;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * The fast gradient sign method: one step along the sign of the gradient, `x + epsilon sign(dL/dx)`, clipped to the
 * model's bounds.
 *
 * With `randomStart` and a `stepSize` of 1.25 epsilon it is the attack of fast adversarial training: the step begins at
 * the start as drawn, even where that lies outside the bounds, while the gradient is taken at the nearest point inside.
 * Were the start clipped first, most of a digit's background would end exactly epsilon away: a less varied set to train
 * on.
 *
 * @param options - radius, norm, step
 * @returns an attack on models with gradients; one gradient and two queries an example, three
 *   where it fails (does the example reach the goal unmoved?)
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { fgsm } from "@parapet/attacks";
 * import { affineModel } from "@parapet/testing";
 * const model = affineModel({
 *   weights: [[1, 2, -1], [-1, 0.5, 2], [0, -1, 1]],
 *   bias: [0.5, -0.25, 0],
 *   bounds: { lower: 0, upper: 1 },
 * });
 * const attack = fgsm({ epsilon: 0.1 });
 * const { adversarial } = await attack(model, ndArray([0.6, 0.7, 0.2], [1, 3]), untargeted([0]), { rng: createRng(1) });
 * console.log([...adversarial.data].map((value) => value.toFixed(1)).join(" ")); // => 0.5 0.6 0.3
 * ```
 *
 * Source: I. Goodfellow, J. Shlens and C. Szegedy, "Explaining and Harnessing Adversarial Examples", 2015,
 * https://arxiv.org/abs/1412.6572, section 4; random start: E. Wong, L. Rice and J. Z. Kolter, "Fast is better than
 * free", 2020, https://arxiv.org/abs/2001.03994, algorithm 3. Differences from the papers: the gradient after a random start
 * is taken inside the bounds.
 */
export function fgsm(options: FgsmOptions): Attack {
  const { epsilon, norm = "linf", stepSize = epsilon, randomStart = false, batchSize = 128 } = options;
  return gradientAscent({
    name: "fgsm",
    norm,
    epsilon,
    steps: 1,
    stepSize,
    momentum: 0,
    randomStart,
    clipStart: false,
    restarts: 1,
    earlyStop: false,
    batchSize,
  });
}
