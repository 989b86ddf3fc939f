import {
  type CallOptions,
  type DifferentiableClassifier,
  expected,
  type Linearization,
  type NdArray,
} from "@parapet/core";

/** Options of `bpda`. */
export interface BpdaOptions {
  /**
   * The pullback of a differentiable approximation of the preprocessing: the inputs and the gradient at what the model
   * saw (both in the shape of the inputs) -> the gradient at the inputs. Default: the identity's, the gradient itself.
   */
  readonly backward?: (x: NdArray, gradient: NdArray) => NdArray | Promise<NdArray>;
}

/**
 * A model behind a preprocessing that has no useful derivative (rounding, JPEG, a median filter): the forward pass is
 * `model(preprocess(x))`, the backward pass goes through an approximation of `preprocess`, by default the identity.
 *
 * Gradients of the result are not derivatives of what it answers; they lead gradient attacks where the true ones, which
 * are zero, would not. Counts of queries are those of the model.
 *
 * @param model - what sees the preprocessed inputs
 * @param preprocess - inputs `[n, ...inputShape]` -> the same shape; it must not change its argument. It gets the call's
 *   options: a random preprocessing draws from `keys`
 * @param options - the approximation
 * @returns a classifier with the model's shape and bounds
 * @throws TypeError when `preprocess` is no function, or gives another shape
 *
 * @example
 * ```ts
 * import { createRng, margin, ndArray, untargeted } from "@parapet/core";
 * import { bpda, pgd } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const rounded = (x: { readonly data: Float32Array; readonly shape: readonly number[] }) =>
 *   ndArray(x.data.map((value) => Math.round(value * 7) / 7), x.shape);
 * const defended = bpda(affineModel(researchWeights), rounded);
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { success } = await pgd({ epsilon: 0.5 })(defended, x, untargeted([0], margin([0])), { rng: createRng(0) });
 * console.log(success.data[0]); // => 1
 * ```
 *
 * Source: A. Athalye, N. Carlini and D. Wagner, "Obfuscated Gradients Give a False Sense of Security", 2018,
 * https://arxiv.org/abs/1802.00420, section 4.1. Differences from the paper: none known.
 */
export function bpda(
  model: DifferentiableClassifier,
  preprocess: (x: NdArray, options?: CallOptions) => NdArray | Promise<NdArray>,
  options: BpdaOptions = {},
): DifferentiableClassifier {
  const { backward = (_, gradient) => gradient } = options;
  if (typeof preprocess !== "function") throw new TypeError(expected("preprocess", "a function", preprocess));
  if (typeof backward !== "function") throw new TypeError(expected("backward", "a function", backward));
  const see = async (x: NdArray, given: CallOptions | undefined): Promise<NdArray> => {
    given?.signal?.throwIfAborted();
    return same("preprocess", x, await preprocess(x, given));
  };
  const back = async (x: NdArray, gradient: NdArray) => same("backward", x, await backward(x, gradient));
  return {
    inputShape: model.inputShape,
    numClasses: model.numClasses,
    bounds: model.bounds,
    logits: async (x, given) => model.logits(await see(x, given), given),
    labels: async (x, given) => model.labels(await see(x, given), given),
    async gradient(x, loss, given) {
      const answer = await model.gradient(await see(x, given), loss, given);
      return { ...answer, gradient: await back(x, answer.gradient) };
    },
    async linearize(x, given): Promise<Linearization> {
      const pass = await model.linearize(await see(x, given), given);
      // A copy: pullbacks refer to the inputs of this call, whatever becomes of the caller's array.
      const input: NdArray = { ...x, data: x.data.slice() };
      return { ...pass, pullback: async (cotangent) => back(input, await pass.pullback(cotangent)) };
    },
  };
}

/** What came out, if it has the shape of what went in. */
function same(name: string, x: NdArray, result: NdArray): NdArray {
  const fits = result?.dtype === "float32" && result.shape?.join() === x.shape.join();
  if (!fits) throw new TypeError(expected(name, `a float32 result of shape [${x.shape.join(", ")}]`, result?.shape));
  return result;
}
