import { createRng, type NdArray, type TrainableClassifier } from "@parapet/core";
import { fromFunction } from "../../src/from-function.ts";
import { fromLayersModel } from "../../src/from-layers-model.ts";
import { tf } from "./backends.ts";

const bounds = { lower: 0, upper: 1 };
const disposals = new WeakMap<TrainableClassifier, () => void>();

/** Frees a model of this file, with its optimizer. */
export function dispose(model: TrainableClassifier): void {
  disposals.get(model)?.();
}

function wrapped(model: tf.LayersModel, optimizer: tf.Optimizer): TrainableClassifier {
  const classifier = fromLayersModel(model, { bounds, optimizer });
  disposals.set(classifier, () => {
    model.dispose();
    optimizer.dispose();
    (optimizer as unknown as { c?: tf.Tensor }).c?.dispose(); // momentum of tfjs forgets its learning rate
  });
  return classifier;
}

const start = (seed: number) => tf.initializers.glorotUniform({ seed });

/** 6 features, 3 classes; ends in a softmax. */
export function mlp(): TrainableClassifier {
  const layers = [
    tf.layers.dense({ inputShape: [6], units: 12, activation: "tanh", kernelInitializer: start(1) }),
    tf.layers.dense({ units: 3, activation: "softmax", kernelInitializer: start(2) }),
  ];
  return wrapped(tf.sequential({ layers }), tf.train.adam(0.05));
}

/** 6 features, one sigmoid unit. */
export function binary(): TrainableClassifier {
  const layers = [
    tf.layers.dense({ inputShape: [6], units: 8, activation: "tanh", kernelInitializer: start(3) }),
    tf.layers.dense({ units: 1, activation: "sigmoid", kernelInitializer: start(4) }),
  ];
  return wrapped(tf.sequential({ layers }), tf.train.momentum(0.1, 0.9));
}

/** 8 x 8 x 1, 3 classes: strides, a linear convolution, batch-norm, pooling, a functional model with a softmax layer. */
export function cnn(): TrainableClassifier {
  const input = tf.input({ shape: [8, 8, 1] });
  const conv = (filters: number, strides: number, seed: number, activation?: "tanh") =>
    tf.layers.conv2d({
      filters,
      strides,
      kernelSize: 3,
      padding: "same",
      kernelInitializer: start(seed),
      // A bias before batch-norm has no effect: its gradient is rounding, and nothing to compare.
      useBias: activation !== undefined,
      ...(activation ? { activation } : {}),
    });
  let y = conv(4, 1, 5, "tanh").apply(input) as tf.SymbolicTensor;
  y = conv(6, 2, 6).apply(y) as tf.SymbolicTensor;
  y = tf.layers.batchNormalization().apply(y) as tf.SymbolicTensor;
  y = tf.layers.averagePooling2d({ poolSize: 2 }).apply(y) as tf.SymbolicTensor;
  y = tf.layers.flatten().apply(y) as tf.SymbolicTensor;
  y = tf.layers.dense({ units: 3, kernelInitializer: start(7) }).apply(y) as tf.SymbolicTensor;
  y = tf.layers.softmax().apply(y) as tf.SymbolicTensor;
  return wrapped(tf.model({ inputs: input, outputs: y }), tf.train.adam(0.02));
}

/** A function of tensors with its variables. */
export function handMade(): TrainableClassifier {
  const weights = tf.tidy(() => tf.variable(tf.randomUniform([6, 3], -1, 1, "float32", 8)));
  const bias = tf.tidy(() => tf.variable(tf.zeros([3])));
  const optimizer = tf.train.sgd(0.3);
  const model = fromFunction((x) => tf.add(tf.matMul(tf.sin(x) as tf.Tensor2D, weights as tf.Tensor2D), bias), {
    inputShape: [6],
    numClasses: 3,
    bounds,
    variables: [weights, bias],
    optimizer,
  });
  disposals.set(model, () => {
    tf.dispose([weights, bias]);
    optimizer.dispose();
  });
  return model;
}

/** n rows of numbers in [0, 1). */
export function inputs(n: number, shape: readonly number[], seed = 0): NdArray {
  const rng = createRng(seed).derive("inputs");
  const size = n * shape.reduce((product, length) => product * length, 1);
  return { dtype: "float32", shape: [n, ...shape], data: Float32Array.from({ length: size }, () => rng.next()) };
}
