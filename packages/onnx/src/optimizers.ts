import { checkNumber } from "@parapet/core";
import type { Builder } from "./builder.ts";

/** How weights follow gradients: written as nodes, so that a step is one run of one graph. */
export interface Optimizer {
  readonly name: string;
  /** Used where a step does not say. */
  readonly learningRate: number;
  /** What it remembers of each weight, all zeros at first. */
  readonly state: readonly string[];
  /**
   * Writes the update of one weight. `learningRate` and `step` (1 at the first step) are float32 scalars.
   *
   * @returns the new weight and the new state, in the order of `state`
   */
  update(
    b: Builder,
    values: {
      readonly weight: string;
      readonly gradient: string;
      readonly state: readonly string[];
      readonly learningRate: string;
      readonly step: string;
    },
  ): { weight: string; state: readonly string[] };
}

/**
 * Stochastic gradient descent: `w <- w - learningRate * g`.
 *
 * @param learningRate - >= 0
 * @returns the optimizer, for `fromOnnx`
 *
 * @example
 * ```ts
 * import { sgd } from "@parapet/onnx";
 * console.log(sgd(0.1).learningRate); // => 0.1
 * ```
 */
export function sgd(learningRate: number): Optimizer {
  checkNumber("learningRate", learningRate, { min: 0 });
  return {
    name: "sgd",
    learningRate,
    state: [],
    update: (b, { weight, gradient, learningRate: rate }) => ({
      weight: b.add("Sub", [weight, b.add("Mul", [rate, gradient])]),
      state: [],
    }),
  };
}

/**
 * Momentum: `m <- decay * m + g`, `w <- w - learningRate * m`.
 *
 * @param learningRate - >= 0
 * @param decay - in [0, 1); default 0.9
 * @returns the optimizer, for `fromOnnx`
 *
 * @example
 * ```ts
 * import { momentum } from "@parapet/onnx";
 * console.log(momentum(0.1).state.join()); // => momentum
 * ```
 */
export function momentum(learningRate: number, decay = 0.9): Optimizer {
  checkNumber("learningRate", learningRate, { min: 0 });
  checkNumber("decay", decay, { min: 0, below: 1 });
  return {
    name: "momentum",
    learningRate,
    state: ["momentum"],
    update(b, { weight, gradient, state: [m], learningRate: rate }) {
      const next = b.add("Add", [b.add("Mul", [b.scalar(decay), m!]), gradient]);
      return { weight: b.add("Sub", [weight, b.add("Mul", [rate, next])]), state: [next] };
    },
  };
}

/** Options of `adam` and `adamw`. */
export interface AdamOptions {
  /** Decay of the mean of gradients, in [0, 1); default 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of their squares, in [0, 1); default 0.999. */
  readonly beta2?: number;
  /** Added to the root; default 1e-8. */
  readonly epsilon?: number;
}

/**
 * Adam: `m <- beta1 m + (1 - beta1) g`, `v <- beta2 v + (1 - beta2) g^2`,
 * `w <- w - learningRate * mhat / (sqrt(vhat) + epsilon)` with the means corrected for their start at 0.
 *
 * @param learningRate - >= 0
 * @param options - decay rates and epsilon
 * @returns the optimizer, for `fromOnnx`
 *
 * @example
 * ```ts
 * import { adam } from "@parapet/onnx";
 * console.log(adam(1e-3).state.join()); // => mean,square
 * ```
 *
 * Source: D. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", 2015, https://arxiv.org/abs/1412.6980,
 * algorithm 1. Differences from the paper: none known.
 */
export function adam(learningRate: number, options: AdamOptions = {}): Optimizer {
  return adamLike("adam", learningRate, options, 0);
}

/**
 * Adam with decoupled weight decay: as `adam`, and `w <- w - learningRate * weightDecay * w`.
 *
 * @param learningRate - >= 0
 * @param options - as for `adam`; `weightDecay` >= 0, default 0.01
 * @returns the optimizer, for `fromOnnx`
 *
 * @example
 * ```ts
 * import { adamw } from "@parapet/onnx";
 * console.log(adamw(1e-3, { weightDecay: 0.1 }).name); // => adamw
 * ```
 *
 * Source: I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", 2019, https://arxiv.org/abs/1711.05101,
 * algorithm 2. Differences from the paper: every weight decays, biases included.
 */
export function adamw(learningRate: number, options: AdamOptions & { readonly weightDecay?: number } = {}): Optimizer {
  const { weightDecay = 0.01 } = options;
  checkNumber("weightDecay", weightDecay, { min: 0 });
  return adamLike("adamw", learningRate, options, weightDecay);
}

function adamLike(name: string, learningRate: number, options: AdamOptions, weightDecay: number): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  checkNumber("learningRate", learningRate, { min: 0 });
  checkNumber("beta1", beta1, { min: 0, below: 1 });
  checkNumber("beta2", beta2, { min: 0, below: 1 });
  checkNumber("epsilon", epsilon, { above: 0 });
  return {
    name,
    learningRate,
    state: ["mean", "square"],
    update(b, { weight, gradient, state: [m, v], learningRate: rate, step }) {
      const blend = (decay: number, old: string, fresh: string) =>
        b.add("Add", [b.add("Mul", [b.scalar(decay), old]), b.add("Mul", [b.scalar(1 - decay), fresh])]);
      const mean = blend(beta1, m!, gradient);
      const square = blend(beta2, v!, b.add("Mul", [gradient, gradient]));
      const correction = (decay: number) => b.add("Sub", [b.scalar(1), b.add("Pow", [b.scalar(decay), step])]);
      // The corrections are scalars: they go to the rate and to epsilon, not over the whole weight.
      const root = b.add("Sqrt", [correction(beta2)]);
      const scaledRate = b.add("Div", [b.add("Mul", [rate, root]), correction(beta1)]);
      const denominator = b.add("Add", [b.add("Sqrt", [square]), b.add("Mul", [b.scalar(epsilon), root])]);
      const moved = b.add("Sub", [weight, b.add("Mul", [scaledRate, b.add("Div", [mean, denominator])])]);
      if (weightDecay === 0) return { weight: moved, state: [mean, square] };
      const decayed = b.add("Mul", [b.add("Mul", [rate, b.scalar(weightDecay)]), weight]);
      return { weight: b.add("Sub", [moved, decayed]), state: [mean, square] };
    },
  };
}
