import type { DifferentiableClassifier } from "@parapet/core";
import { onCall } from "./wrap.ts";

/** How often a model was asked, in rows: a call with a batch of 8 counts 8. */
export interface Counts {
  /** Forward passes, those within gradients and linearizations included. */
  readonly queries: number;
  /** Backward passes: gradients and pullbacks. */
  readonly gradients: number;
}

/**
 * Counts what a model is asked, to check what an attack says it spent.
 *
 * @param model - any white box
 * @returns a model with the same answers, and `counts()`: the rows seen until now
 *
 * @example
 * ```ts
 * import { crossEntropy, ndArray } from "@parapet/core";
 * import { affineModel, countingModel, researchWeights } from "@parapet/testing";
 * const { model, counts } = countingModel(affineModel(researchWeights));
 * const x = ndArray([0.6, 0.7, 0.2, 0.1, 0.2, 0.3], [2, 3]);
 * await model.logits(x);
 * await model.gradient(x, crossEntropy([0, 1]));
 * console.log(counts().queries, counts().gradients); // => 4 2
 * ```
 */
export function countingModel(model: DifferentiableClassifier): {
  readonly model: DifferentiableClassifier;
  readonly counts: () => Counts;
} {
  let queries = 0;
  let gradients = 0;
  const counted = onCall(model, () => {});
  return {
    counts: () => ({ queries, gradients }),
    model: {
      ...counted,
      logits(x, options) {
        queries += x.shape[0]!;
        return counted.logits(x, options);
      },
      labels(x, options) {
        queries += x.shape[0]!;
        return counted.labels(x, options);
      },
      gradient(x, loss, options) {
        queries += x.shape[0]!;
        gradients += x.shape[0]!;
        return counted.gradient(x, loss, options);
      },
      async linearize(x, options) {
        queries += x.shape[0]!;
        const pass = await counted.linearize(x, options);
        return {
          ...pass,
          pullback(cotangent) {
            gradients += x.shape[0]!;
            return pass.pullback(cotangent);
          },
        };
      },
    },
  };
}
