import {
  type Bounds,
  checkNumber,
  expected,
  type Loss,
  type NdArray,
  type Parameters,
  type Rng,
  type StepOptions,
  sizeOf,
  type TrainableClassifier,
} from "@parapet/core";
import { opening, type RowFunctions, rowOf, rowwiseModel } from "./rowwise.ts";

/** How `tinyMlp` is made. */
export interface TinyMlpOptions {
  /** Of one example. */
  readonly inputShape: readonly number[];
  /** Units between input and logits, >= 1. */
  readonly hidden: number;
  /** At least 2. */
  readonly numClasses: number;
  /** Where the first weights come from. */
  readonly rng: Rng;
  /** Default "relu". */
  readonly activation?: "relu" | "tanh";
  /** Of the inputs; default [0, 1]. */
  readonly bounds?: Bounds;
  /** Step size, > 0; default 0.1. */
  readonly learningRate?: number;
  /** Share of the last step that is taken again, in [0, 1); default 0.9. */
  readonly momentum?: number;
}

/**
 * A network with one hidden layer that learns: `z = W2 f(W1 x + b1) + b2`, in plain arrays, with exact gradients and
 * stochastic gradient descent with momentum.
 *
 * @param options - see `TinyMlpOptions`
 * @returns a classifier with weights "W1" [hidden, features], "b1" [hidden], "W2" [classes, hidden], "b2" [classes]
 * @throws RangeError when a number is out of range
 *
 * @example
 * ```ts
 * import { accuracy, createRng, crossEntropy, ndArray } from "@parapet/core";
 * import { tinyMlp } from "@parapet/testing";
 * const model = tinyMlp({ inputShape: [2], hidden: 8, numClasses: 2, rng: createRng(1) });
 * const x = ndArray([0, 0, 0, 1, 1, 0, 1, 1], [4, 2]);
 * const labels = [0, 1, 1, 0]; // exclusive or
 * for (let i = 0; i < 200; i++) await model.step(x, crossEntropy(labels));
 * console.log(accuracy(await model.logits(x), labels).rate); // => 1
 * ```
 */
export function tinyMlp(options: TinyMlpOptions): TrainableClassifier {
  const { inputShape, hidden, numClasses, rng, activation = "relu", bounds = { lower: 0, upper: 1 } } = options;
  const { learningRate = 0.1, momentum = 0.9 } = options;
  const width = sizeOf(inputShape);
  checkNumber("hidden", hidden, { min: 1, integer: true });
  checkNumber("numClasses", numClasses, { min: 2, integer: true });
  checkNumber("learningRate", learningRate, { above: 0 });
  checkNumber("momentum", momentum, { min: 0, below: 1 });
  const relu = activation === "relu";

  const filled = (shape: readonly number[], value: () => number): NdArray => ({
    dtype: "float32",
    shape,
    data: Float32Array.from({ length: sizeOf(shape) }, value),
  });
  const normal = (shape: readonly number[], fanIn: number) => filled(shape, () => rng.normal() * Math.sqrt(2 / fanIn));
  // Never written into: a step puts a new map in place, so that an open linearization keeps the old one.
  let weights: Parameters = new Map([
    ["W1", normal([hidden, width], width)],
    ["b1", filled([hidden], () => 0.1 * rng.normal())],
    ["W2", normal([numClasses, hidden], hidden)],
    ["b2", filled([numClasses], () => 0.1 * rng.normal())],
  ]);
  let velocity: Parameters = zeros(weights);

  const about = { inputShape, numClasses, bounds };
  const model = rowwiseModel(about, () => network(weights, relu));
  const begin = opening(about);

  /** The gradient of the sum of the values by the weights: summed row by row, in float64. */
  function weightGradients(x: NdArray, cotangent: NdArray, scale: number): Parameters {
    const { hiddenOf, throughHidden } = network(weights, relu);
    const sums = new Map([...weights].map(([name, { data }]) => [name, new Float64Array(data.length)]));
    const [W1, b1, W2, b2] = ["W1", "b1", "W2", "b2"].map((name) => sums.get(name)!);
    for (let i = 0; i < x.shape[0]!; i++) {
      const features = Float64Array.from(rowOf(x.data, i, width));
      const c = Float64Array.from(rowOf(cotangent.data, i, numClasses));
      const h = hiddenOf(features);
      throughHidden(h, c).forEach((value, u) => {
        b1![u]! += value;
        for (let j = 0; j < width; j++) W1![u * width + j]! += value * features[j]!;
      });
      c.forEach((value, k) => {
        b2![k]! += value;
        for (let u = 0; u < hidden; u++) W2![k * hidden + u]! += value * h[u]!;
      });
    }
    return mapped(weights, (name, _, i) => sums.get(name)![i]! * scale);
  }

  async function differentiate(x: NdArray, loss: Loss, given: StepOptions = {}) {
    const input = await begin(x, given);
    const { signal: _, ...rest } = given; // looked at already; from here on nothing stops
    const { logits, value, gradient } = await model.gradient(input, loss, rest);
    const gradients = weightGradients(input, loss.cotangent(logits), 1 / loss.count);
    return { value, logits, gradients, ...(given.inputGradient ? { inputGradient: gradient } : {}) };
  }

  function update(gradients: Parameters, rate = learningRate): void {
    velocity = mapped(velocity, (name, v, i) => momentum * v - rate * gradients.get(name)!.data[i]!);
    weights = mapped(weights, (name, w, i) => w + velocity.get(name)!.data[i]!);
  }

  let tail: Promise<unknown> = Promise.resolve();
  /** Runs changes one after the other, in the order in which they were asked for. */
  function queued<T>(change: () => T | Promise<T>): Promise<T> {
    const result = tail.then(change);
    tail = result.catch(() => {});
    return result;
  }

  return {
    ...model,
    step: (x, loss, given) =>
      queued(async () => {
        const { gradients, ...result } = await differentiate(x, loss, given);
        update(gradients, given?.learningRate);
        return result;
      }),
    parameterGradients: (x, loss, given) => queued(() => differentiate(x, loss, given)),
    apply: (gradients, given) => queued(() => update(gradients, given?.learningRate)),
    snapshot: (given) =>
      queued(() => ({
        weights: mapped(weights, (_, w) => w),
        buffers: new Map(),
        ...(given?.optimizer ? { optimizer: mapped(velocity, (_, v) => v) } : {}),
      })),
    restore: (snapshot) =>
      queued(() => {
        weights = merged(weights, snapshot.weights);
        if (snapshot.optimizer) velocity = merged(velocity, snapshot.optimizer);
      }),
  };
}

/** The network at some weights. */
function network(weights: Parameters, relu: boolean) {
  const [W1, b1, W2, b2] = ["W1", "b1", "W2", "b2"].map((name) => weights.get(name)!.data) as Float32Array[];
  const [hidden, classes] = [b1!.length, b2!.length];
  const dot = (w: Float32Array, at: number, x: Float64Array, start: number) =>
    x.reduce((sum, value, j) => sum + w[at + j]! * value, start);
  const hiddenOf = (x: Float64Array): Float64Array =>
    Float64Array.from({ length: hidden }, (_, u) => {
      const sum = dot(W1!, u * x.length, x, b1![u]!);
      return relu ? Math.max(0, sum) : Math.tanh(sum);
    });
  /** The hidden units, and a cotangent of the logits -> the cotangent of what the activation was given. */
  const throughHidden = (h: Float64Array, cotangent: Float64Array): Float64Array =>
    h.map((value, u) => {
      const sum = cotangent.reduce((total, c, k) => total + W2![k * hidden + u]! * c, 0);
      return sum * (relu ? Number(value > 0) : 1 - value * value);
    });
  const functions: RowFunctions = {
    forward(x) {
      const h = hiddenOf(x);
      return Float64Array.from({ length: classes }, (_, k) => dot(W2!, k * hidden, h, b2![k]!));
    },
    backward(x, cotangent) {
      const d = throughHidden(hiddenOf(x), cotangent);
      return x.map((_, j) => d.reduce((sum, value, u) => sum + W1![u * x.length + j]! * value, 0));
    },
  };
  return { ...functions, hiddenOf, throughHidden };
}

function mapped(parameters: Parameters, change: (name: string, value: number, i: number) => number): Parameters {
  const entries = [...parameters].map(
    ([name, { shape, data }]) =>
      [name, { dtype: "float32", shape, data: data.map((value, i) => change(name, value, i)) }] as const,
  );
  return new Map(entries);
}

const zeros = (parameters: Parameters) => mapped(parameters, () => 0);

/** What `given` holds, copied; what it does not hold stays. */
function merged(old: Parameters, given: Parameters): Parameters {
  for (const [name, { shape }] of given) {
    const wanted = old.get(name)?.shape;
    if (wanted?.join() !== shape.join()) {
      throw new TypeError(expected(`snapshot: ${name}`, wanted ? `shape [${wanted}]` : "a weight of that name", shape));
    }
  }
  return mapped(old, (name, value, i) => given.get(name)?.data[i] ?? value);
}
