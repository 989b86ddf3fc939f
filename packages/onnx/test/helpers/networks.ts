import { createRng, type NdArray } from "@parapet/core";
import { createBuilder } from "../../src/builder.ts";
import { attribute, type Model, type Tensor } from "../../src/graph.ts";
import { writeModel } from "../../src/proto/write.ts";

/** Small networks as ONNX files, with seeded weights. */
function network(
  inputShape: readonly number[],
  write: (b: ReturnType<typeof createBuilder>, weight: Weight) => string,
): Uint8Array {
  const b = createBuilder(["x", "logits"]);
  const weights = new Map<string, Tensor>();
  const rng = createRng("weights of a test network");
  const weight: Weight = (name, shape) => {
    const fanIn = shape.length > 1 ? shape.slice(1).reduce((product, length) => product * length, 1) : 4;
    const stream = rng.derive(name);
    const size = shape.reduce((product, length) => product * length, 1);
    const draw = () => stream.normal() / Math.sqrt(fanIn);
    // A variance is positive, and a scale mostly is.
    const data = Float32Array.from({ length: size }, /variance|scale/.test(name) ? () => 0.5 + Math.abs(draw()) : draw);
    weights.set(name, { dtype: "float32", shape, data });
    return name;
  };
  const output = write(b, weight);
  const model: Model = {
    irVersion: 8,
    opsets: new Map([["", 18]]),
    producer: "test",
    graph: {
      name: "network",
      inputs: [{ name: "x", dtype: "float32", shape: ["batch", ...inputShape] }],
      outputs: [{ name: output, dtype: "float32", shape: ["batch", undefined] }],
      initializers: new Map([...b.initializers, ...weights]),
      nodes: b.nodes,
    },
  };
  return writeModel(model);
}

type Weight = (name: string, shape: readonly number[]) => string;

/** 6 features, 3 classes, tanh; ends in a softmax. */
export const mlp = (): Uint8Array =>
  network([6], (b, weight) => {
    const hidden = b.add("Tanh", [
      b.add("Gemm", ["x", weight("w1", [12, 6]), weight("b1", [12])], { transB: attribute.int(1) }),
    ]);
    const logits = b.add("Gemm", [hidden, weight("w2", [3, 12]), weight("b2", [3])], { transB: attribute.int(1) });
    return b.add("Softmax", [logits], { axis: attribute.int(-1) });
  });

/** 6 features, one sigmoid. */
export const binary = (): Uint8Array =>
  network([6], (b, weight) => {
    const hidden = b.add("Tanh", [
      b.add("Gemm", ["x", weight("w1", [8, 6]), weight("b1", [8])], { transB: attribute.int(1) }),
    ]);
    return b.add("Sigmoid", [
      b.add("Gemm", [hidden, weight("w2", [1, 8]), weight("b2", [1])], { transB: attribute.int(1) }),
    ]);
  });

/** 1 x 8 x 8, 3 classes: strides, a linear convolution, pooling. */
export const cnn = (): Uint8Array =>
  network([1, 8, 8], (b, weight) => {
    const pads = attribute.ints([1, 1, 1, 1]);
    const ones = attribute.ints([1, 1]);
    let y = b.add("Conv", ["x", weight("c1", [4, 1, 3, 3]), weight("d1", [4])], { pads, strides: ones });
    y = b.add("Tanh", [y]);
    y = b.add("Conv", [y, weight("c2", [6, 4, 3, 3]), weight("d2", [6])], { pads, strides: attribute.ints([2, 2]) });
    y = b.add("AveragePool", [y], { kernel_shape: attribute.ints([2, 2]), strides: attribute.ints([2, 2]) });
    y = b.add("Flatten", [y], { axis: attribute.int(1) });
    return b.add("Gemm", [y, weight("w", [3, 24]), weight("b", [3])], { transB: attribute.int(1) });
  });

/** n rows of numbers in [0, 1). */
export function inputs(n: number, shape: readonly number[]): NdArray {
  const rng = createRng(0).derive("inputs");
  const size = n * shape.reduce((product, length) => product * length, 1);
  return { dtype: "float32", shape: [n, ...shape], data: Float32Array.from({ length: size }, () => rng.next()) };
}

/** 1 x 8 x 8, 3 classes: convolutions in blocks of 16 channels, batch normalisation, dropout; `smooth` without kinks. */
export const normalised = ({ dropout = 0, smooth = false } = {}): Uint8Array =>
  network([1, 8, 8], (b, weight) => {
    const pads = attribute.ints([1, 1, 1, 1]);
    const half = { kernel_shape: attribute.ints([2, 2]), strides: attribute.ints([2, 2]) };
    const batchNorm = (x: string, name: string, channels: number): string => {
      const [scale, bias, mean, variance] = ["scale", "bias", "mean", "variance"].map((part) =>
        weight(`${name}/${part}`, [channels]),
      ) as [string, string, string, string];
      return b.add("BatchNormalization", [x, scale, bias, mean, variance], { momentum: attribute.float(0.75) });
    };
    let y = b.add("Conv", ["x", weight("c1", [16, 1, 3, 3])], { pads });
    const bend = smooth ? "Tanh" : "Relu";
    y = b.add(smooth ? "AveragePool" : "MaxPool", [b.add(bend, [batchNorm(y, "n1", 16)])], half);
    y = b.add("Conv", [y, weight("c2", [32, 16, 3, 3]), weight("d2", [32])], { pads });
    y = b.add("AveragePool", [b.add(bend, [y])], half);
    y = batchNorm(b.add("Flatten", [y]), "n2", 128);
    if (dropout > 0) y = b.add("Dropout", [y, b.scalar(dropout)]);
    return b.add("Gemm", [y, weight("w", [3, 128]), weight("b", [3])], { transB: attribute.int(1) });
  });
