import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registerFastGradients } from "../../src/fast-wasm/index.ts";
import { tf, toTensor, useBackend } from "./backends.ts";
import { values } from "./oracles.ts";

let undo: () => void;
beforeAll(async () => {
  await useBackend("wasm");
  undo = registerFastGradients();
});
afterAll(() => undo());

type Op = (...inputs: tf.Tensor[]) => tf.Tensor;

/** The gradients of sum(c * f(inputs)) with respect to every input, for a fixed random c. */
function gradients(f: Op, inputs: tf.Tensor[]): tf.Tensor[] {
  return tf.grads((...xs: tf.Tensor[]) => {
    const y = f(...xs);
    return tf.sum(tf.mul(y, toTensor(values(y.shape, 77)).reshape(y.shape)));
  })(inputs);
}

/**
 * Compares the wasm backend's gradients with the cpu backend's. Several operations follow each other, of which none adds
 * more than `terms` products: to first order the error is at most `terms` u for each of at most 8 of them, relative to
 * the largest magnitude met, which is that of the gradient's largest element times a condition of at most 8.
 */
async function check(f: Op, shapes: number[][], terms: number): Promise<void> {
  const results: Float32Array[][] = [];
  for (const backend of ["cpu", "wasm"] as const) {
    await useBackend(backend);
    const found = tf.tidy(() =>
      gradients(
        f,
        shapes.map((shape, i) => toTensor(values(shape, 10 + i))),
      ).map((gradient) => Float32Array.from(gradient.dataSync())),
    );
    results.push(found);
  }
  const [cpu, wasm] = results as [Float32Array[], Float32Array[]];
  for (const [i, expected] of cpu.entries()) {
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const bound = 64 * terms * 2 ** -24 * largest;
    const worst = expected.reduce((most, value, j) => Math.max(most, Math.abs(value - wasm[i]![j]!)), 0);
    expect(largest).toBeGreaterThan(0);
    expect(worst).toBeLessThanOrEqual(bound);
  }
}

const image = [2, 6, 6, 4];
const t4 = (x: tf.Tensor) => x as tf.Tensor4D;

// Each is a layer or an operation that networks are made of: together, all that their gradients call.
const operations: [name: string, f: Op, shapes: number[][], terms: number][] = [
  ["conv2d", (x, w) => tf.conv2d(t4(x), t4(w), 2, "same"), [image, [3, 3, 4, 5]], 45],
  ["fused conv2d", (x, w, b) => fusedConv(x, w, b, "linear"), [image, [3, 3, 4, 5], [5]], 72],
  ["fused conv2d, relu", (x, w, b) => fusedConv(x, w, b, "relu"), [image, [3, 3, 4, 5], [5]], 72],
  ["fused matMul", (x, w, b) => fusedDense(x, w, b, "linear"), [[6, 20], [20, 7], [7]], 20],
  ["fused matMul, relu", (x, w, b) => fusedDense(x, w, b, "relu"), [[6, 20], [20, 7], [7]], 20],
  [
    "conv1d",
    (x, w) => tf.conv1d(x as tf.Tensor3D, w as tf.Tensor3D, 2, "same"),
    [
      [2, 9, 3],
      [3, 3, 4],
    ],
    12,
  ],
  [
    "conv2d transposed",
    (x, w) => deconvolve(x, w),
    [
      [2, 4, 4, 3],
      [3, 3, 5, 3],
    ],
    128,
  ],
  ["depthwise", (x, w) => tf.depthwiseConv2d(t4(x), t4(w), 2, "same"), [image, [3, 3, 4, 2]], 18],
  ["separable", (x, d, p) => separable(x, d, p), [image, [3, 3, 4, 2], [1, 1, 8, 5]], 72],
  ["max pooling", (x) => tf.maxPool(t4(x), 3, 2, "same"), [image], 9],
  ["average pooling", (x) => tf.avgPool(t4(x), 2, 2, "valid"), [image], 4],
  ["global average", (x) => tf.mean(x, [1, 2]), [image], 36],
  ["global max", (x) => tf.max(x, [1, 2]), [image], 1],
  ["batch norm", (x, m, v, o, s) => normalize(x, m, v, o, s), [image, [4], [4], [4], [4]], 72],
  ["batch norm in training", (x) => trainingNorm(x), [image], 72],
  ["layer norm", (x) => layerNorm(x), [[3, 8]], 16],
  ["relu", (x) => tf.relu(x), [image], 1],
  ["relu6", (x) => tf.relu6(tf.mul(x, 9)), [image], 1],
  ["elu", (x) => tf.elu(x), [image], 4],
  ["selu", (x) => tf.selu(x), [image], 4],
  ["leaky relu", (x) => tf.leakyRelu(x, 0.1), [image], 1],
  ["prelu", (x, a) => tf.prelu(x, a), [image, [4]], 72],
  ["sigmoid", (x) => tf.sigmoid(x), [image], 4],
  ["hard sigmoid", (x) => tf.clipByValue(tf.add(tf.mul(x, 0.2), 0.5), 0, 1), [image], 2],
  ["tanh", (x) => tf.tanh(x), [image], 4],
  ["softplus", (x) => tf.softplus(x), [image], 4],
  ["softsign", (x) => tf.div(x, tf.add(tf.abs(x), 1)), [image], 4],
  ["swish", (x) => tf.mul(x, tf.sigmoid(x)), [image], 4],
  ["gelu", (x) => tf.mul(x, tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)), [image], 16],
  ["mish", (x) => tf.mul(x, tf.tanh(tf.softplus(x))), [image], 8],
  ["softmax", (x) => tf.softmax(x), [[3, 7]], 14],
  ["log softmax", (x) => tf.logSoftmax(x), [[3, 7]], 14],
  ["dropout by a mask", (x) => tf.mul(x, toTensor(mask(x.shape))), [image], 1],
  ["bilinear upsampling", (x) => tf.image.resizeBilinear(t4(x), [11, 9]), [image], 16],
  // One image: the cpu backend's gradient reads the wrong one of several.
  ["nearest upsampling", (x) => tf.image.resizeNearestNeighbor(t4(x), [12, 12]), [[1, 6, 6, 4]], 4],
  ["gather", (x) => tf.gather(x, tf.tensor1d([0, 2, 2, 4], "int32")), [[5, 3]], 4],
  ["gather along an axis", (x) => tf.gather(x, tf.tensor1d([1, 1, 0], "int32"), 1), [[5, 3, 2]], 4],
  [
    "pad",
    (x) =>
      tf.pad(x, [
        [0, 0],
        [1, 2],
        [0, 1],
        [0, 0],
      ]),
    [image],
    1,
  ],
  ["mirror pad", (x) => tf.concat([tf.reverse(x, 1), x], 1), [image], 2],
  ["concat", (x, y) => tf.concat([x, y], 3), [image, image], 1],
  ["slice", (x) => tf.slice(x, [0, 1, 2, 0], [2, 3, 3, 4]), [image], 1],
  ["strided slice", (x) => tf.reshape(tf.slice(x, [0, 0, 0, 1], [-1, -1, -1, 2]), [2, 72]), [image], 1],
  ["tile", (x) => tf.tile(x, [1, 2, 1, 1]), [image], 2],
  ["transpose", (x) => tf.transpose(x, [0, 3, 1, 2]), [image], 1],
  [
    "stack",
    (x, y) => tf.stack([x, y], 1),
    [
      [3, 4],
      [3, 4],
    ],
    1,
  ],
  ["split", (x) => tf.add(...(tf.split(x, 2, 3) as [tf.Tensor, tf.Tensor])), [image], 1],
  [
    "depth to space",
    (x) => tf.reshape(tf.transpose(tf.reshape(x, [2, 6, 6, 2, 2]), [0, 1, 3, 2, 4]), [2, 12, 12]),
    [image],
    1,
  ],
  ["maximum", (x, y) => tf.maximum(x, y), [image, image], 1],
  ["where", (x, y) => tf.where(tf.greater(toTensor(mask(x.shape)), 1), x, y), [image, image], 1],
  [
    "attention",
    (q, k, v) => attend(q, k, v),
    [
      [2, 5, 8],
      [2, 5, 8],
      [2, 5, 8],
    ],
    40,
  ],
  ["local response", (x) => tf.localResponseNormalization(t4(x)), [image], 72],
];

/** Zeros and twos at random, as dropout multiplies by. */
const mask = (shape: number[]) => ({ shape, data: values(shape, 5).data.map((value) => (value < 0 ? 0 : 2)) });

type Activation = "linear" | "relu";

function fusedConv(x: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor, activation: Activation): tf.Tensor {
  return tf.fused.conv2d({ x: t4(x), filter: t4(filter), strides: 1, pad: "same", bias, activation });
}

function fusedDense(a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor, activation: Activation): tf.Tensor {
  return tf.fused.matMul({ a, b, bias, activation });
}

function deconvolve(x: tf.Tensor, w: tf.Tensor): tf.Tensor {
  return tf.conv2dTranspose(t4(x), t4(w), [2, 8, 8, 5], 2, "same");
}

function separable(x: tf.Tensor, depthwise: tf.Tensor, pointwise: tf.Tensor): tf.Tensor {
  return tf.separableConv2d(t4(x), t4(depthwise), t4(pointwise), 1, "same");
}

function normalize(x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, offset: tf.Tensor, scale: tf.Tensor): tf.Tensor {
  type Vector = tf.Tensor1D;
  const positive = tf.add(tf.square(variance), 0.5) as Vector;
  return tf.batchNorm(t4(x), mean as Vector, positive, offset as Vector, scale as Vector, 0.001);
}

function trainingNorm(x: tf.Tensor): tf.Tensor {
  const { mean, variance } = tf.moments(x, [0, 1, 2]);
  return tf.batchNorm(t4(x), mean as tf.Tensor1D, variance as tf.Tensor1D, tf.zeros([4]), tf.ones([4]), 0.001);
}

function layerNorm(x: tf.Tensor): tf.Tensor {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 0.001)));
}

function attend(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor {
  return tf.matMul(tf.softmax(tf.matMul(q, k, false, true)), v);
}

describe("gradients on wasm equal those on cpu", () => {
  for (const [name, f, shapes, terms] of operations) {
    it(name, () => check(f, shapes, terms));
  }
});

describe("tf.layers with linear activations", () => {
  it("train: conv2d and dense, whose fused gradient computes both derivatives at once", async () => {
    const weights: Float32Array[][] = [];
    for (const backend of ["cpu", "wasm"] as const) {
      await useBackend(backend);
      const model = tf.sequential({
        layers: [
          tf.layers.conv2d({ inputShape: [7, 7, 2], filters: 3, kernelSize: 3, strides: 2, padding: "same" }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 4 }),
        ],
      });
      model.setWeights(model.getWeights().map((w, i) => tf.tensor(values(w.shape, i).data, w.shape)));
      model.compile({ optimizer: tf.train.sgd(0.01), loss: "meanSquaredError" });
      const x = tf.tensor(values([3, 7, 7, 2], 8).data, [3, 7, 7, 2]);
      const y = tf.tensor(values([3, 4], 9).data, [3, 4]);
      for (let i = 0; i < 3; i++) await model.trainOnBatch(x, y);
      weights.push(model.getWeights().map((w) => Float32Array.from(w.dataSync())));
      tf.dispose([x, y]);
      model.dispose();
    }
    const [cpu, wasm] = weights as [Float32Array[], Float32Array[]];
    // Three steps of 0.01 through sums of at most 48 terms, of gradients below 8.
    const bound = 3 * 0.01 * 8 * 48 * 2 ** -24 + 2 ** -23;
    for (const [i, expected] of cpu.entries()) {
      for (const [j, value] of expected.entries()) expect(Math.abs(value - wasm[i]![j]!)).toBeLessThanOrEqual(bound);
    }
  });
});
