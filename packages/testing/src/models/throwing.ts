import type { DifferentiableClassifier } from "@parapet/core";
import { onCall } from "./wrap.ts";

/**
 * A model that fails: after some calls that work, every call rejects with the same error.
 *
 * @param model - what answers before
 * @param error - what calls reject with
 * @param after - how many calls work; default 0
 * @returns the model
 *
 * @example
 * ```ts
 * import { ndArray } from "@parapet/core";
 * import { affineModel, researchWeights, throwingModel } from "@parapet/testing";
 * const model = throwingModel(affineModel(researchWeights), new Error("out of memory"));
 * await model.logits(ndArray([0, 0, 0], [1, 3])).catch((error) => console.log(error.message)); // => out of memory
 * ```
 */
export function throwingModel(model: DifferentiableClassifier, error: Error, after = 0): DifferentiableClassifier {
  let calls = 0;
  return onCall(model, () => {
    if (calls++ >= after) throw error;
  });
}
