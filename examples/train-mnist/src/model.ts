import type { TrainableClassifier } from "@parapet/core";
import { adam, convertLayersModel, fromOnnx } from "@parapet/onnx";
import { fromLayersModel } from "@parapet/tfjs";
import * as tf from "@tensorflow/tfjs";
import * as runtime from "onnxruntime-node";
import { useFastWasm } from "./backend.ts";

/** What computes: onnxruntime, or the wasm backend of TensorFlow.js with fast gradients. */
export type EngineName = "onnx" | "tfjs";

/** Makes ready what computes, and says what it is. */
export async function startEngine(engine: EngineName): Promise<string> {
  if (engine === "tfjs") {
    await useFastWasm();
    return `tfjs ${tf.version_core}, wasm with fast gradients, 1 thread`;
  }
  await tf.setBackend("cpu"); // only lays out the network and its first weights
  return `onnxruntime ${runtime.env.versions.node}, 1 thread`;
}

/**
 * The CNN of fast adversarial training on MNIST: two convolutions with stride 2, two dense layers, 166,406 weights. The
 * initial weights come from the seed. Images are `[28, 28, 1]` for both engines.
 */
export async function createModel(seed: number, engine: EngineName, learningRate = 1e-3): Promise<TrainableClassifier> {
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
  const bounds = { lower: 0, upper: 1 };
  if (engine === "tfjs") return fromLayersModel(model, { bounds, optimizer: tf.train.adam(learningRate) });
  const artifacts = await artifactsOf(model);
  // A network this small gains nothing from more threads, and one thread is not slowed down by a busy machine.
  const session = { intraOpNumThreads: 1 };
  return fromOnnx(convertLayersModel(artifacts), { runtime, bounds, session, optimizer: adam(learningRate) });
}

async function artifactsOf(model: tf.LayersModel): Promise<Parameters<typeof convertLayersModel>[0]> {
  return new Promise((resolve, reject) => {
    const handler = tf.io.withSaveHandler(async (artifacts) => {
      resolve(artifacts as Parameters<typeof convertLayersModel>[0]);
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    });
    model.save(handler).catch(reject);
  });
}
