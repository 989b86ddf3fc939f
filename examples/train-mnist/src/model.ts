import type { TrainableClassifier } from "@parapet/core";
import { fromLayersModel } from "@parapet/tfjs";
import * as tf from "@tensorflow/tfjs";

/**
 * The CNN of fast adversarial training on MNIST: two convolutions with stride 2, two dense layers, 166,406 weights. The
 * initial weights come from the seed.
 */
export function createModel(seed: number, learningRate = 1e-3): TrainableClassifier {
  const start = (layer: number) => tf.initializers.glorotUniform({ seed: 1 + seed * 8 + layer });
  const conv = { kernelSize: 4, strides: 2, padding: "same", activation: "relu" } as const;
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({ ...conv, inputShape: [28, 28, 1], filters: 16, kernelInitializer: start(0) }),
      tf.layers.conv2d({ ...conv, filters: 32, kernelInitializer: start(1) }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 100, activation: "relu", kernelInitializer: start(2) }),
      tf.layers.dense({ units: 10, kernelInitializer: start(3) }),
    ],
  });
  return fromLayersModel(model, { bounds: { lower: 0, upper: 1 }, optimizer: tf.train.adam(learningRate) });
}
