/// <reference types="node" />
import { createRequire } from "node:module";
import { join } from "node:path";
import { tf } from "./backends.ts";

/**
 * The classifiers inside npm `nsfwjs` 4.4: MobileNetV2 as a Keras layers model (224 x 224 x 3 in [0, 1], five classes,
 * dropout, a softmax) and a larger one as a converted graph of fused operations. They were trained by others.
 */
export async function loadLayers(): Promise<tf.LayersModel> {
  return tf.loadLayersModel(tf.io.fromMemory(artifacts("mobilenet_v2", ["group1-shard1of1"])));
}

export async function loadGraph(): Promise<tf.GraphModel> {
  return tf.loadGraphModel(tf.io.fromMemory(artifacts("mobilenet_v2_mid", ["group1-shard1of2", "group1-shard2of2"])));
}

function artifacts(name: string, shards: readonly string[]): tf.io.ModelArtifacts {
  const require = createRequire(import.meta.url);
  const folder = join(require.resolve("nsfwjs"), "../../models", name);
  const model = require(join(folder, "model.min.js")) as tf.io.ModelJSON;
  const bytes = shards.map((shard) => Buffer.from(require(join(folder, `${shard}.min.js`)) as string, "base64"));
  const { buffer, byteOffset, byteLength } = Buffer.concat(bytes);
  return {
    modelTopology: model.modelTopology,
    weightSpecs: model.weightsManifest.flatMap(({ weights }) => weights),
    weightData: buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer,
    ...(model.userDefinedMetadata ? { userDefinedMetadata: model.userDefinedMetadata } : {}),
    ...(model.format ? { format: model.format } : {}),
  };
}
