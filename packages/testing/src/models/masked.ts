import {
  boundsOf,
  checkNumber,
  createRng,
  type DifferentiableClassifier,
  expected,
  type NdArray,
  sizeOf,
} from "@parapet/core";
import { mapLogits } from "./wrap.ts";

/**
 * A masked model: logits times a large factor. The softmax saturates, so the gradient of cross-entropy is exactly zero
 * almost everywhere and a gradient attack on it goes nowhere, though every border is where it was.
 *
 * @param model - the model inside
 * @param factor - default 1e6
 * @returns a classifier that an evaluation must not find robust; a margin loss breaks it
 *
 * @example
 * ```ts
 * import { crossEntropy, margin, ndArray } from "@parapet/core";
 * import { affineModel, researchWeights, scaledLogits } from "@parapet/testing";
 * const model = scaledLogits(affineModel(researchWeights));
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const silent = await model.gradient(x, crossEntropy([0]));
 * const loud = await model.gradient(x, margin([0]));
 * console.log(silent.gradient.data[0], loud.gradient.data[0]); // => 0 -2000000
 * ```
 */
export function scaledLogits(model: DifferentiableClassifier, factor = 1e6): DifferentiableClassifier {
  checkNumber("factor", factor, { above: 0 });
  const scale = ({ shape, data }: NdArray): NdArray => ({
    dtype: "float32",
    shape,
    data: data.map((value) => value * factor),
  });
  return mapLogits(model, scale, (_, cotangent) => scale(cotangent));
}

/**
 * A masked model: probabilities where logits should be. A softmax of the softmax never saturates and never tells much.
 *
 * @param model - the model inside
 * @returns a classifier whose "logits" are in [0, 1] and sum to 1
 *
 * @example
 * ```ts
 * import { ndArray } from "@parapet/core";
 * import { affineModel, researchWeights, softmaxAsLogits } from "@parapet/testing";
 * const logits = await softmaxAsLogits(affineModel(researchWeights)).logits(ndArray([0.6, 0.7, 0.2], [1, 3]));
 * console.log(logits.data[0]!.toFixed(6)); // => 0.868411
 * ```
 */
export function softmaxAsLogits(model: DifferentiableClassifier): DifferentiableClassifier {
  return mapLogits(model, softmax, (logits, cotangent) => {
    const p = softmax(logits).data;
    const k = logits.shape[1]!;
    const data = cotangent.data.map((value, i) => {
      const at = i - (i % k);
      let mean = 0;
      for (let j = at; j < at + k; j++) mean += p[j]! * cotangent.data[j]!;
      return p[i]! * (value - mean);
    });
    return { dtype: "float32", shape: logits.shape, data };
  });
}

function softmax({ shape, data }: NdArray): NdArray {
  const k = shape[1]!;
  const p = new Float32Array(data.length);
  for (let at = 0; at < data.length; at += k) {
    const row = Float64Array.from(data.subarray(at, at + k));
    const top = Math.max(...row);
    const sum = row.reduce((total, z) => total + Math.exp(z - top), 0);
    row.forEach((z, j) => {
      p[at + j] = Math.exp(z - top) / sum;
    });
  }
  return { dtype: "float32", shape, data: p };
}

/**
 * A masked model: inputs are rounded to a few levels first. The true gradient is zero, so gradient attacks go nowhere;
 * an attack that only asks for answers breaks it.
 *
 * @param model - the model inside, with finite bounds
 * @param levels - how many values a feature keeps, from the lower to the upper bound; default 8
 * @returns a classifier with zero gradients
 *
 * @example
 * ```ts
 * import { margin, ndArray } from "@parapet/core";
 * import { affineModel, quantisedInput, researchWeights } from "@parapet/testing";
 * const model = quantisedInput(affineModel(researchWeights), 2);
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]); // seen as 1, 1, 0
 * const { logits, gradient } = await model.gradient(x, margin([0]));
 * console.log(logits.data[0], gradient.data[0]); // => 3.5 0
 * ```
 */
export function quantisedInput(model: DifferentiableClassifier, levels = 8): DifferentiableClassifier {
  checkNumber("levels", levels, { min: 2, integer: true });
  const width = sizeOf(model.inputShape);
  const { lower, upper } = boundsOf(model.bounds, width);
  const quantised = (x: NdArray): NdArray => ({
    ...x,
    data: x.data.map((value, i) => {
      const range = upper[i % width]! - lower[i % width]!;
      if (range === 0) return value;
      const level = Math.round(((value - lower[i % width]!) / range) * (levels - 1));
      return lower[i % width]! + (level / (levels - 1)) * range;
    }),
  });
  const flat = ({ shape, data }: NdArray): NdArray => ({
    dtype: "float32",
    shape,
    data: new Float32Array(data.length),
  });
  return onInput(model, quantised, flat);
}

/**
 * A randomised model: normal noise is added to every input, drawn from the call's `keys`; a call without keys is
 * refused. Averaging over keys breaks it.
 *
 * @param model - the model inside
 * @param sigma - standard deviation of the noise, in the units of the inputs
 * @returns a classifier that demands `keys`
 *
 * @example
 * ```ts
 * import { ndArray } from "@parapet/core";
 * import { affineModel, noisyModel, researchWeights } from "@parapet/testing";
 * const model = noisyModel(affineModel(researchWeights), 0.1);
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const one = await model.logits(x, { keys: Uint32Array.of(1) });
 * const two = await model.logits(x, { keys: Uint32Array.of(2) });
 * console.log(one.data[0] === two.data[0]); // => false
 * ```
 */
export function noisyModel(model: DifferentiableClassifier, sigma: number): DifferentiableClassifier {
  checkNumber("sigma", sigma, { min: 0 });
  const width = sizeOf(model.inputShape);
  const noisy = (x: NdArray, keys?: Uint32Array): NdArray => {
    const n = x.shape[0]!;
    if (keys?.length !== n) throw new TypeError(expected("keys", `${n} random keys, one a row`, keys?.length));
    const data = x.data.slice();
    keys.forEach((key, i) => {
      const rng = createRng(key);
      for (let j = i * width; j < (i + 1) * width; j++) data[j]! += sigma * rng.normal();
    });
    return { ...x, data };
  };
  return onInput(model, noisy, (gradient) => gradient);
}

/** A model that sees a function of its inputs; `back` turns the gradient at what it sees into one at the inputs. */
function onInput(
  model: DifferentiableClassifier,
  seen: (x: NdArray, keys?: Uint32Array) => NdArray,
  back: (gradient: NdArray) => NdArray,
): DifferentiableClassifier {
  // What is not even an array of rows is left to the model to refuse.
  const see = (x: NdArray, keys?: Uint32Array) => {
    const fits = x.data instanceof Float32Array && x.data.length === x.shape[0]! * sizeOf(model.inputShape);
    return fits && x.shape.length === model.inputShape.length + 1 ? seen(x, keys) : x;
  };
  return {
    inputShape: model.inputShape,
    numClasses: model.numClasses,
    bounds: model.bounds,
    logits: async (x, options) => model.logits(see(x, options?.keys), options),
    labels: async (x, options) => model.labels(see(x, options?.keys), options),
    async gradient(x, loss, options) {
      const answer = await model.gradient(see(x, options?.keys), loss, options);
      return { ...answer, gradient: back(answer.gradient) };
    },
    async linearize(x, options) {
      const pass = await model.linearize(see(x, options?.keys), options);
      return { ...pass, pullback: async (cotangent) => back(await pass.pullback(cotangent)) };
    },
  };
}
