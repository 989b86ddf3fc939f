import { type Attack, type Classifier, checkNumber, expected } from "@parapet/core";
import { fillSigns, pairedGradient, toUnit } from "./shared/gradient-estimates.ts";
import { checkBudget, confine, exampleOf, interview, type Script } from "./shared/questions.ts";
import { Nearest, openRun, type Run } from "./shared/run.ts";
import { gapOf } from "./shared/starting-points.ts";

/** Options of `spsa`. */
export interface SpsaOptions {
  /** Radius of the ball, in the units of the model's inputs; >= 0. */
  readonly epsilon: number;
  /** Default "linf". */
  readonly norm?: "l2" | "linf";
  /** Most queries for each example; default 10,000. */
  readonly queries?: number;
  /** Pairs of points in one estimate of the gradient, >= 1; default 64. */
  readonly samples?: number;
  /** How far the points of a pair lie from the middle, in each feature; > 0, default `epsilon / 10`. */
  readonly radius?: number;
  /** Adam's learning rate, for l2 the length of a step, in the units of the inputs; > 0, default `epsilon / 10`. */
  readonly stepSize?: number;
  /** Points in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * SPSA: climbs the goal's loss from scores only. The gradient is estimated by simultaneous perturbation, the mean of
 * `(f(p + radius s) - f(p - radius s)) / (2 radius) s` over random sign vectors `s`, whose mean on a linear loss is the
 * gradient; Adam makes the step (linf), and the ball and the bounds are projected onto.
 *
 * @param options - ball, budget, estimate
 * @returns an attack on models with scores; an example is left at its first success, after at most `queries` queries
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { spsa } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const attack = spsa({ epsilon: 0.38, queries: 4000 }); // the border lies at 0.369
 * const { success } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(success.data[0]); // => 1
 * ```
 *
 * Source: J. Uesato et al., "Adversarial Risk and the Dangers of Evaluating Against Weak Attacks", 2018,
 * https://arxiv.org/abs/1802.05666, algorithm 1. Differences from the paper: the loss is the goal's (its margin:
 * `untargeted(labels, margin(labels))`); l2 besides linf, with steps of fixed length along the running mean; early stop; near the bounds the pairs lie around the nearest point
 * that has room for them.
 */
export function spsa(options: SpsaOptions): Attack<Classifier> {
  const { epsilon, norm = "linf", queries = 10_000, samples = 64, batchSize = 128 } = options;
  checkNumber("epsilon", epsilon, { min: 0 });
  checkBall(norm);
  checkBudget({ queries, batchSize });
  checkNumber("samples", samples, { min: 1, integer: true });
  if (options.radius !== undefined) checkNumber("radius", options.radius, { above: 0 });
  if (options.stepSize !== undefined) checkNumber("stepSize", options.stepSize, { above: 0 });
  const { radius = epsilon / 10, stepSize = epsilon / 10 } = options;

  return async (model, input, goal, context) => {
    const run = openRun("spsa", model, input, goal, context);
    const nearest = new Nearest(run, norm);
    const { width } = run;

    function* script(row: number): Script {
      if (epsilon === 0) return;
      const rng = run.rng(row);
      const point = exampleOf(run, row).slice();
      const first = new Float32Array(width);
      const second = new Float64Array(width);
      for (let step = 1; ; step++) {
        const pairs = Math.min(samples, Math.floor((queries - run.queries[row]! - 1) / 2));
        if (pairs < 1) return;
        const gradient = yield* pairedGradient(run, row, point, radius, pairs, 1, (out) => fillSigns(rng, out));
        for (let j = 0; j < width; j++) {
          first[j] = 0.9 * first[j]! + 0.1 * gradient[j]!;
          second[j] = 0.999 * second[j]! + 0.001 * gradient[j]! ** 2;
          const scale = Math.sqrt(second[j]! / (1 - 0.999 ** step)) * (1 - 0.9 ** step);
          if (norm === "linf" && scale > 0) point[j]! += (stepSize * first[j]!) / scale;
        }
        if (norm === "l2") {
          // Adam's steps are nearly signs: in the l2 ball they would not end at its best point.
          const direction = toUnit(run, row, first.slice());
          for (let j = 0; j < width; j++) point[j]! += stepSize * direction[j]!;
        }
        intoBall(run, row, norm, epsilon, point);
        if ((yield point).reached[0] === 0) continue;
        nearest.offer(row, { dtype: "float32", shape: [1, width], data: point }, 0);
        return;
      }
    }
    await interview(run, { queries, batchSize, nearest, script, offer: false, loss: goal.loss });
    return nearest.result();
  };
}

/** Checks the norm of an attack that knows two. */
export function checkBall(norm: unknown): void {
  if (norm !== "l2" && norm !== "linf") throw new TypeError(expected("norm", '"l2" or "linf"', norm));
}

/** Projects a point onto the ball around its example, then onto bounds and mask, in place. */
export function intoBall(
  run: Run<Classifier>,
  row: number,
  norm: "l2" | "linf",
  epsilon: number,
  point: Float32Array,
): Float32Array {
  const example = exampleOf(run, row);
  const length = gapOf(run, row, point, norm);
  const scale = norm === "l2" && length > epsilon ? epsilon / length : 1;
  for (let j = 0; j < point.length; j++) {
    const step = scale * (point[j]! - example[j]!);
    point[j] = example[j]! + (norm === "l2" ? step : Math.max(-epsilon, Math.min(epsilon, step)));
  }
  return confine(run, row, point);
}
