import { type Attack, type Classifier, checkNumber } from "@parapet/core";
import { fillNormal, MOST_NORMAL, pairedGradient, toUnit } from "./shared/gradient-estimates.ts";
import { checkBudget, exampleOf, interview, type Script } from "./shared/questions.ts";
import { Nearest, openRun } from "./shared/run.ts";
import { checkBall, intoBall } from "./spsa.ts";

/** Options of `nes`. */
export interface NesOptions {
  /** Radius of the ball, in the units of the model's inputs; >= 0. */
  readonly epsilon: number;
  /** Default "linf". */
  readonly norm?: "l2" | "linf";
  /** Most queries for each example; default 10,000. */
  readonly queries?: number;
  /** Pairs of points in one estimate of the gradient, >= 1; default 25. */
  readonly samples?: number;
  /** Standard deviation of the search distribution, in each feature; > 0, default `epsilon / 50`. */
  readonly sigma?: number;
  /** First length of a step, in the attack's norm; > 0, default `epsilon / 5`. It halves where the loss stops growing. */
  readonly stepSize?: number;
  /** Decay of the memory of earlier estimates, in [0, 1); default 0.9. */
  readonly momentum?: number;
  /** Points in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * The NES attack: climbs the goal's loss from scores only. The gradient is estimated by natural evolution strategies with
 * antithetic normal samples, the mean of `(f(p + sigma u) - f(p - sigma u)) / (2 sigma) u`; the step goes along the sign of
 * its running mean (linf), or along it (l2), and is projected onto the ball and the bounds. The step halves when the loss has
 * not grown for five steps.
 *
 * @param options - ball, budget, estimate
 * @returns an attack on models with scores; an example is left at its first success, after at most `queries` queries
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { nes } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const attack = nes({ epsilon: 0.38, queries: 4000 }); // the border lies at 0.369
 * const { success } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(success.data[0]); // => 1
 * ```
 *
 * Source: A. Ilyas et al., "Black-box Adversarial Attacks with Limited Queries and Information", 2018,
 * https://arxiv.org/abs/1804.08598, algorithm 1 and section 3. Differences from the paper: the defaults follow epsilon; l2
 * besides linf; near the bounds the pairs lie around the nearest point that has room for them; without the partial-information
 * and label-only variants.
 */
export function nes(options: NesOptions): Attack<Classifier> {
  const { epsilon, norm = "linf", queries = 10_000, samples = 25, momentum = 0.9, batchSize = 128 } = options;
  checkNumber("epsilon", epsilon, { min: 0 });
  checkBall(norm);
  checkBudget({ queries, batchSize });
  checkNumber("samples", samples, { min: 1, integer: true });
  checkNumber("momentum", momentum, { min: 0, below: 1 });
  if (options.sigma !== undefined) checkNumber("sigma", options.sigma, { above: 0 });
  if (options.stepSize !== undefined) checkNumber("stepSize", options.stepSize, { above: 0 });
  const { sigma = epsilon / 50, stepSize = epsilon / 5 } = options;

  return async (model, input, goal, context) => {
    const run = openRun("nes", model, input, goal, context);
    const nearest = new Nearest(run, norm);
    const { width } = run;

    function* script(row: number): Script {
      if (epsilon === 0) return;
      const rng = run.rng(row);
      const point = exampleOf(run, row).slice();
      const mean = new Float32Array(width);
      let length = stepSize;
      let most = Number.NEGATIVE_INFINITY;
      for (let since = 0; ; since++) {
        const pairs = Math.min(samples, Math.floor((queries - run.queries[row]! - 1) / 2));
        if (pairs < 1) return;
        const estimate = yield* pairedGradient(run, row, point, sigma, pairs, MOST_NORMAL, (u) => fillNormal(rng, u));
        for (let j = 0; j < width; j++) mean[j] = momentum * mean[j]! + (1 - momentum) * estimate[j]!;
        const direction = norm === "l2" ? toUnit(run, row, mean.slice()) : mean.map(Math.sign);
        for (let j = 0; j < width; j++) point[j]! += length * direction[j]!;
        intoBall(run, row, norm, epsilon, point);
        const { reached, value } = yield point;
        if (reached[0] === 1) {
          nearest.offer(row, { dtype: "float32", shape: [1, width], data: point }, 0);
          return;
        }
        if (value[0]! > most) {
          most = value[0]!;
          since = 0;
        } else if (since >= PATIENCE) {
          length = Math.max(length / 2, stepSize / 100);
          since = 0;
        }
      }
    }
    await interview(run, { queries, batchSize, nearest, script, offer: false, loss: goal.loss });
    return nearest.result();
  };
}

/** Steps without a larger loss after which the step halves. */
const PATIENCE = 5;
