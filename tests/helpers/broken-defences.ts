import { bpda } from "@parapet/attacks";
import { type CallOptions, createRng, type DifferentiableClassifier, type NdArray, sizeOf } from "@parapet/core";
import { noisyModel, quantisedInput, scaledLogits, softmaxAsLogits } from "@parapet/testing";

/** A defence that only seems to be one. */
export interface BrokenDefence {
  readonly model: DifferentiableClassifier;
  /** The model as an attacker who read the paper writes it down: with a stand-in for what has no derivative. */
  readonly standIn: DifferentiableClassifier;
}

/** Six defences that hide gradients and leave every border where it was. */
export const brokenDefences: Readonly<
  Record<string, (model: DifferentiableClassifier, side: number) => BrokenDefence>
> = {
  "scaled logits": (model) => ({ model: scaledLogits(model), standIn: model }),
  "quantised input": (model) => ({
    model: quantisedInput(model, 8),
    standIn: bpda(model, (x) => levels(x, 8)),
  }),
  "random noise": (model) => ({ model: noisyModel(model, 0.15), standIn: noisyModel(model, 0.15) }),
  "saturated softmax": (model) => ({ model: softmaxAsLogits(scaledLogits(model, 1e3)), standIn: model }),
  "stochastic dropout": (model) => ({ model: droppedInput(model, 0.3), standIn: droppedInput(model, 0.3) }),
  "JPEG-like preprocessing": (model, side) => ({
    model: withoutDerivative(bpda(model, (x) => compressed(x, side))),
    standIn: bpda(model, (x) => compressed(x, side)),
  }),
};

function levels({ dtype, shape, data }: NdArray, count: number): NdArray {
  return { dtype, shape, data: data.map((value) => Math.round(value * (count - 1)) / (count - 1)) };
}

/** Features are left out at random, drawn from the call's keys; what is left is scaled up. */
function droppedInput(model: DifferentiableClassifier, share: number): DifferentiableClassifier {
  const width = sizeOf(model.inputShape);
  const kept = (x: NdArray, options?: CallOptions): Float32Array => {
    const keys = options?.keys;
    if (keys === undefined) throw new TypeError('"keys" expected one a row, got undefined');
    const mask = new Float32Array(x.data.length);
    keys.forEach((key, i) => {
      const rng = createRng(key);
      for (let j = 0; j < width; j++) mask[i * width + j] = rng.next() < share ? 0 : 1 / (1 - share);
    });
    return mask;
  };
  const times = (x: NdArray, mask: Float32Array): NdArray => ({ ...x, data: x.data.map((v, i) => v * mask[i]!) });
  return {
    inputShape: model.inputShape,
    numClasses: model.numClasses,
    bounds: model.bounds,
    logits: async (x, options) => model.logits(times(x, kept(x, options)), options),
    labels: async (x, options) => model.labels(times(x, kept(x, options)), options),
    async gradient(x, loss, options) {
      const mask = kept(x, options);
      const answer = await model.gradient(times(x, mask), loss, options);
      return { ...answer, gradient: times(answer.gradient, mask) };
    },
    async linearize(x, options) {
      const mask = kept(x, options);
      const pass = await model.linearize(times(x, mask), options);
      return { ...pass, pullback: async (cotangent) => times(await pass.pullback(cotangent), mask) };
    },
  };
}

/** What automatic differentiation makes of a preprocessing that rounds: no gradient at all. */
function withoutDerivative(model: DifferentiableClassifier): DifferentiableClassifier {
  const nothing = (gradient: NdArray): NdArray => ({ ...gradient, data: new Float32Array(gradient.data.length) });
  return {
    ...model,
    async gradient(x, loss, options) {
      const answer = await model.gradient(x, loss, options);
      return { ...answer, gradient: nothing(answer.gradient) };
    },
    async linearize(x, options) {
      const pass = await model.linearize(x, options);
      return { ...pass, pullback: async (cotangent) => nothing(await pass.pullback(cotangent)) };
    },
  };
}

/** The heart of JPEG: coefficients of the cosine transform of the picture, rounded, the higher ones more coarsely. */
function compressed(x: NdArray, side: number): NdArray {
  const wave = Float64Array.from({ length: side * side }, (_, at) => {
    const [k, i] = [Math.floor(at / side), at % side];
    return Math.sqrt((k === 0 ? 1 : 2) / side) * Math.cos((Math.PI * (2 * i + 1) * k) / (2 * side));
  });
  const data = new Float32Array(x.data.length);
  for (let from = 0; from < data.length; from += side * side) {
    const picture = Float64Array.from(x.data.subarray(from, from + side * side));
    const coefficients = product(wave, product(picture, transposed(wave, side), side), side);
    for (let at = 0; at < coefficients.length; at++) {
      const step = 0.08 * (1 + Math.floor(at / side) + (at % side));
      coefficients[at] = step * Math.round(coefficients[at]! / step);
    }
    data.set(product(transposed(wave, side), product(coefficients, wave, side), side), from);
  }
  return { ...x, data: data.map((value) => Math.max(0, Math.min(1, value))) };
}

/** Of two square matrices. */
function product(a: Float64Array, b: Float64Array, side: number): Float64Array {
  const out = new Float64Array(side * side);
  for (let i = 0; i < side; i++) {
    for (let k = 0; k < side; k++) {
      const factor = a[i * side + k]!;
      for (let j = 0; j < side; j++) out[i * side + j]! += factor * b[k * side + j]!;
    }
  }
  return out;
}

const transposed = (a: Float64Array, side: number): Float64Array =>
  a.map((_, at) => a[(at % side) * side + Math.floor(at / side)]!);
