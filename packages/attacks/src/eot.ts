import {
  checkNumber,
  type DifferentiableClassifier,
  exampleKeys,
  expected,
  type Linearization,
  labelsOf,
  type NdArray,
} from "@parapet/core";

/** Options of `eot`. */
export interface EotOptions {
  /** Random draws of the model that are averaged for one answer, default 20. */
  readonly samples?: number;
}

/**
 * A randomised model as the classifier that its average is: logits are `mean_s z(x; key_s)` over `samples` keys derived
 * from the row's key, gradients are those of that mean. Any attack on it is an attack with expectation over
 * transformation, and success means that the averaged answer reaches the goal.
 *
 * Costs: one query of the wrapper is `samples` queries of the model, and so with gradients; what an attack reports counts
 * the wrapper. A call with n rows is one call of the model with `n * samples` rows: make the attack's `batchSize` smaller
 * where memory is short.
 *
 * @param model - a randomised model: one that takes `keys`
 * @param options - how many samples
 * @returns a classifier that demands `keys`, one a row, as attacks give them
 * @throws RangeError or TypeError when `samples` is not a whole number >= 1
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { eot, pgd } from "@parapet/attacks";
 * import { affineModel, noisyModel, researchWeights } from "@parapet/testing";
 * const noisy = noisyModel(affineModel(researchWeights), 0.2);
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { success } = await pgd({ epsilon: 0.5 })(eot(noisy), x, untargeted([0]), { rng: createRng(0) });
 * console.log(success.data[0]); // => 1
 * ```
 *
 * Source: A. Athalye et al., "Synthesizing Robust Adversarial Examples", 2018, https://arxiv.org/abs/1707.07397, section
 * 3.1, and "Obfuscated Gradients Give a False Sense of Security", 2018, https://arxiv.org/abs/1802.00420, section 4.2.
 * Differences from the papers: the loss is taken of the expected logits, not the expectation of the loss, so that the
 * gradient is the derivative of what the wrapper answers.
 */
export function eot(model: DifferentiableClassifier, options: EotOptions = {}): DifferentiableClassifier {
  const { samples = 20 } = options;
  checkNumber("samples", samples, { min: 1, integer: true });

  /** The rows `samples` times over, one sample after the other, each with a key of its own. */
  const spread = <O extends { readonly keys?: Uint32Array }>(x: NdArray, given: O | undefined) => {
    const n = x.shape[0] ?? 0;
    const keys = given?.keys;
    if (keys?.length !== n) throw new TypeError(expected("keys", `${n} random keys, one a row`, keys?.length));
    const own = Int32Array.from({ length: n * samples }, (_, i) => keys[i % n]!);
    const sample = Int32Array.from({ length: n * samples }, (_, i) => Math.floor(i / n));
    return {
      points: repeated(x, samples, 1),
      options: { ...given, keys: exampleKeys({ shape: [n * samples, 1], data: own }, sample) },
    };
  };

  const wrapper: DifferentiableClassifier = {
    inputShape: model.inputShape,
    numClasses: model.numClasses,
    bounds: model.bounds,
    async logits(x, given) {
      const { points, options } = spread(x, given);
      return summed(await model.logits(points, options), samples, 1 / samples);
    },
    labels: async (x, given) => labelsOf(await wrapper.logits(x, given)),
    async gradient(x, loss, given) {
      const pass = await wrapper.linearize(x, given);
      try {
        const gradient = await pass.pullback(loss.cotangent(pass.logits));
        return { logits: pass.logits, value: loss.value(pass.logits), gradient };
      } finally {
        pass.release();
      }
    },
    async linearize(x, given): Promise<Linearization> {
      const { points, options } = spread(x, given);
      const pass = await model.linearize(points, options);
      return {
        logits: summed(pass.logits, samples, 1 / samples),
        async pullback(cotangent) {
          const shape = [x.shape[0]!, model.numClasses];
          if (cotangent.shape.join() !== shape.join()) {
            throw new TypeError(expected("cotangent", `shape [${shape.join(", ")}]`, cotangent.shape));
          }
          return summed(await pass.pullback(repeated(cotangent, samples, 1 / samples)), samples, 1);
        },
        release: () => pass.release(),
      };
    },
  };
  return wrapper;
}

/** All rows, `times` times over. */
function repeated({ shape, data }: NdArray, times: number, scale: number): NdArray {
  const many = new Float32Array(data.length * times);
  const once = scale === 1 ? data : data.map((value) => value * scale);
  for (let i = 0; i < times; i++) many.set(once, i * data.length);
  return { dtype: "float32", shape: [shape[0]! * times, ...shape.slice(1)], data: many };
}

/** The way back: the sum over the repetitions, in float64, times `scale`. */
function summed({ shape, data }: NdArray, times: number, scale: number): NdArray {
  const length = data.length / times;
  const sum = new Float64Array(length);
  for (let at = 0; at < data.length; at += length) for (let j = 0; j < length; j++) sum[j]! += data[at + j]!;
  const mean = Float32Array.from(sum, (value) => value * scale);
  return { dtype: "float32", shape: [shape[0]! / times, ...shape.slice(1)], data: mean };
}
