import { expected } from "./errors.ts";
import { linear } from "./loss/combine.ts";
import type { CallOptions, DifferentiableClassifier, Linearization } from "./model.ts";
import type { NdArray } from "./ndarray.ts";

/**
 * `linearize` for models that cannot hold a forward pass open: every pullback runs one anew.
 *
 * @param model - its `logits` and `gradient` are used; the weights must not change between pullbacks
 * @returns a `linearize` for that model
 *
 * @example
 * ```ts
 * import { linearizeByRecompute, ndArray, type GradientResult, type NdArray } from "@parapet/core";
 * const doubled = (x: NdArray) => ndArray(x.data.map((value) => 2 * value), x.shape);
 * const model = {
 *   logits: async (x: NdArray) => doubled(x),
 *   gradient: async (x: NdArray, loss: import("@parapet/core").Loss): Promise<GradientResult> => {
 *     const logits = doubled(x);
 *     return { logits, value: loss.value(logits), gradient: doubled(loss.cotangent(logits)) };
 *   },
 * };
 * const pass = await linearizeByRecompute(model)(ndArray([1, 2], [1, 2]));
 * console.log((await pass.pullback(ndArray([1, 0], [1, 2]))).data.join(" ")); // => 2 0
 * ```
 */
export function linearizeByRecompute(
  model: Pick<DifferentiableClassifier, "logits" | "gradient">,
): (x: NdArray, options?: CallOptions) => Promise<Linearization> {
  return async (input, options) => {
    // A copy: pullbacks refer to the inputs of this call, whatever becomes of the caller's array.
    const x: NdArray = { ...input, data: input.data.slice() };
    const logits = await model.logits(x, options);
    let released = false;
    return {
      logits,
      async pullback(cotangent) {
        if (released) throw new TypeError(expected("linearization", "one that is not released", "a released one"));
        return (await model.gradient(x, linear(cotangent), options)).gradient;
      },
      release() {
        released = true;
      },
    };
  };
}
