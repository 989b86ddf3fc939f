import { checkNumber } from "@parapet/core";
import type { Builder } from "./builder.ts";
import { attribute, float } from "./graph.ts";

/** How weights follow gradients: written as nodes, so that a step is one run of one graph. */
export interface Optimizer {
  readonly name: string;
  /** Used where a step does not say. */
  readonly learningRate: number;
  /** True where the update is `w - learningRate * g`: then the rate may be part of the gradient's scale. */
  readonly isPlain?: boolean;
  /** What it remembers of each weight, all zeros at first. */
  readonly state: readonly string[];
  /** The numbers that an update takes, by name: for a learning rate and a step, 1 at first. */
  scalars(learningRate: number, step: number): Readonly<Record<string, number>>;
  /**
   * Writes the update of one weight. `scalars` has the inputs that bring the numbers, by the same names.
   *
   * @returns the new weight and the new state, in the order of `state`
   */
  update(
    b: Builder,
    values: {
      readonly weight: string;
      readonly gradient: string;
      readonly state: readonly string[];
      readonly scalars: Readonly<Record<string, string>>;
    },
  ): { weight: string; state: readonly string[] };
}

/** `w - g`. Where g is a product of matrices, the product is taken off as it is made: no pass over the weights. */
export function descend(b: Builder, weight: string, gradient: string): string {
  const made = b.nodes.find(({ outputs }) => outputs[0] === gradient);
  if (made?.op !== "Gemm" || made.inputs.length > 2) return b.add("Sub", [weight, gradient]);
  const alpha = attribute.float(-float(made, "alpha", 1));
  return b.add("Gemm", [...made.inputs, weight], { ...made.attributes, alpha });
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
    isPlain: true,
    state: [],
    scalars: (rate) => ({ rate }),
    update: (b, { weight, gradient, scalars: { rate } }) => ({
      weight: b.add("Sub", [weight, b.add("Mul", [rate!, gradient])]),
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
    scalars: (rate) => ({ rate }),
    update(b, { weight, gradient, state: [m], scalars: { rate } }) {
      const next = b.add("Add", [b.add("Mul", [b.scalar(decay), m!]), gradient]);
      return { weight: b.add("Sub", [weight, b.add("Mul", [rate!, next])]), state: [next] };
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
 * algorithm 1. Differences from the paper: none known; the state that a snapshot shows is m / (1 - beta1) and
 * v / (1 - beta2).
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
    // m and v are kept undivided, m / (1 - beta1) and v / (1 - beta2): these factors, and what corrects for the start at
    // 0, go to the rate and to epsilon, not over the whole weight.
    scalars(rate, step) {
      const root = Math.sqrt((1 - beta2) / (1 - beta2 ** step));
      const share = (1 - beta1) / ((1 - beta1 ** step) * root);
      return { rate: rate * share, epsilon: epsilon / root, keep: 1 - rate * weightDecay };
    },
    update(b, { weight, gradient, state: [m, v], scalars }) {
      const mean = b.add("Add", [b.add("Mul", [b.scalar(beta1), m!]), gradient]);
      const square = b.add("Add", [b.add("Mul", [b.scalar(beta2), v!]), b.add("Mul", [gradient, gradient])]);
      const direction = b.add("Div", [mean, b.add("Add", [b.add("Sqrt", [square]), scalars.epsilon!])]);
      const kept = weightDecay === 0 ? weight : b.add("Mul", [weight, scalars.keep!]);
      return { weight: b.add("Sub", [kept, b.add("Mul", [scalars.rate!, direction])]), state: [mean, square] };
    },
  };
}
