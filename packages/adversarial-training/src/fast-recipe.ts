import type { Attack } from "@parapet/core";
import type { AdversarialTrainingOptions } from "./adversarial-training.ts";
import { cyclic } from "./schedules.ts";

/**
 * The recipe of fast adversarial training: one step of FGSM from a uniform random start, 1.25 epsilon long, and one cycle
 * of the learning rate. As robust as PGD training at a fraction of its cost, as long as it does not overfit
 * catastrophically: pass a `validationAttack`, and start from fresh weights rather than from a trained model.
 *
 * @param fgsm - the attack to use, such as `fgsm` of `@parapet/attacks`
 * @param options - `epsilon`, `epochs` and whatever differs from the recipe (batch size 100, learning rate up to 5e-3)
 * @returns options for `adversarialTraining`
 *
 * @example
 * ```ts
 * import { adversarialTraining, fastRecipe } from "@parapet/adversarial-training";
 * import { fgsm, pgd } from "@parapet/attacks";
 * const validationAttack = pgd({ epsilon: 0.3, steps: 20, earlyStop: true });
 * const train = adversarialTraining(fastRecipe(fgsm, { epsilon: 0.3, epochs: 7, validationAttack }));
 * console.log(typeof train); // => function
 * ```
 *
 * Source: E. Wong, L. Rice and J. Z. Kolter, "Fast is better than free: Revisiting adversarial training", 2020,
 * https://arxiv.org/abs/2001.03994, algorithm 3. Differences from the paper: none known.
 */
export function fastRecipe(
  fgsm: (options: { epsilon: number; stepSize: number; randomStart: true }) => Attack,
  options: Omit<AdversarialTrainingOptions, "attack">,
): AdversarialTrainingOptions {
  return {
    batchSize: 100,
    learningRate: cyclic(5e-3),
    ...options,
    attack: (epsilon) => fgsm({ epsilon, stepSize: 1.25 * epsilon, randomStart: true }),
  };
}
