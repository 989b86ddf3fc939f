import type { DifferentiableClassifier, Labeler, Labels, NdArray } from "@parapet/core";
import { conduct } from "./conduct.ts";
import type { RobustnessEvaluation } from "./evaluation.ts";
import { type EvaluationOptions, type ProblemOptions, problemOf } from "./problem.ts";
import { type Execute, work } from "./work.ts";

/**
 * Evaluates how robust a model is: runs attacks on examples, takes for each example the worst case over the attacks,
 * and checks whether the figures can be trusted.
 *
 * `robust accuracy = mean over x of min over attacks of [right at x and at what the attack made of it]`
 *
 * Success is judged by a look of the evaluation's own at each returned point: a wrong answer, inside the model's
 * bounds, within the radius. Examples that are wrong already are counted as broken at distance 0 and are not attacked.
 * The curve is read off the distances in the evaluation's norm: with a minimum-norm attack among the attacks (not
 * behind others in a cascade), one run gives all of it; attacks of a fixed radius know nothing below it. The result is
 * an upper bound on the robust accuracy: a stronger attack can find more.
 *
 * @param model - what the attacks need; checks that need more are not run, and say so
 * @param x - test examples, shape [n, ...inputShape], n >= 1
 * @param labels - n true classes
 * @param options - attacks by name, norm, epsilon and rng; see `EvaluationOptions`
 * @returns the evaluation, a JSON value that obeys `schema/robustness-evaluation.schema.json`. It depends on model,
 *   data, seed and attacks only: not on the batch size, on interruptions, or on how many threads did the work
 * @throws TypeError or RangeError when an argument is wrong; whatever the model throws; the signal's reason
 *
 * @example
 * ```ts
 * import { createRng, ndArray } from "@parapet/core";
 * import { evaluateRobustness, fgsm, pgd } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const model = affineModel(researchWeights);
 * const x = ndArray([0.6, 0.7, 0.2, 0.9, 0.9, 0.1], [2, 3]);
 * const { clean, robust, examples } = await evaluateRobustness(model, x, [0, 0], {
 *   attacks: { fgsm: fgsm({ epsilon: 0.4 }), "pgd-40": pgd({ epsilon: 0.4 }) },
 *   norm: "linf",
 *   epsilon: 0.4,
 *   rng: createRng(7),
 *   seed: 7,
 *   checks: false,
 * });
 * console.log(clean.rate, robust.rate, examples[0]!.brokenBy); // => 1 0.5 fgsm
 * ```
 *
 * Source: N. Carlini et al., "On Evaluating Adversarial Robustness", 2019, https://arxiv.org/abs/1902.06705; the checks
 * have sources of their own. Differences: none known.
 */
export async function evaluateRobustness<M extends Labeler = DifferentiableClassifier>(
  model: M,
  x: NdArray,
  labels: Labels,
  options: EvaluationOptions<M>,
): Promise<RobustnessEvaluation> {
  const problem = await problemOf(model, x, labels, options as unknown as ProblemOptions);
  const execute = ((task, onProgress) => work(model, problem, task, options.signal, onProgress)) as Execute;
  return conduct(problem, options as never, execute, 1);
}
