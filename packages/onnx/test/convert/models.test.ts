/// <reference types="node" />
import { createRequire } from "node:module";
import { join } from "node:path";
import { createRng } from "@parapet/core";
import { beforeAll, describe, expect, it } from "vitest";
import { convertLayersModel, weightsToArtifacts } from "../../src/convert/layers-model.ts";
import type { Graph, Tensor } from "../../src/graph.ts";
import { readModel } from "../../src/proto/read.ts";
import { writeModel } from "../../src/proto/write.ts";
import { artifactsOf, difference, disagreement, randomInputs, randomize, runOnnx, tf } from "./helpers.ts";
import { wholeModels } from "./whole-models.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** A model of `wholeModels` with random weights, and its artifacts. */
async function prepared(name: string) {
  const { make, words = 0 } = wholeModels[name]!;
  const model = make();
  randomize(model, 11);
  return { model, words, artifacts: await artifactsOf(model) };
}

function operators({ nodes }: Graph): readonly string[] {
  return nodes.map(({ op }) => op);
}

describe.each(Object.keys(wholeModels))("%s", (name) => {
  it("computes what tfjs predicts", async () => {
    const { model, artifacts, words } = await prepared(name);
    expect(await disagreement(model, artifacts, undefined, { words })).toBeLessThan(1e-5);
  });

  it("gets changed weights back into tfjs", async () => {
    const { artifacts, words } = await prepared(name);
    const file = readModel(convertLayersModel(artifacts));
    const rng = createRng(12);
    const weights = new Map<string, Tensor<"float32">>();
    for (const [key, tensor] of file.graph.initializers) {
      if (!key.includes("/")) continue;
      const change = () => (key.includes("variance") ? 0.1 * rng.next() : 0.1 * rng.normal());
      weights.set(key, {
        ...(tensor as Tensor<"float32">),
        data: (tensor.data as Float32Array).map((v) => v + change()),
      });
    }
    const graph = { ...file.graph, initializers: new Map([...file.graph.initializers, ...weights]) };
    const changed = writeModel({ ...file, graph });
    const byName = weightsToArtifacts(artifacts, weights);
    const byFile = weightsToArtifacts(artifacts, changed);
    expect(Buffer.compare(Buffer.from(byFile.weightData), Buffer.from(byName.weightData))).toBe(0);
    const loaded = await tf.loadLayersModel(tf.io.fromMemory(byName));
    expect(await disagreement(loaded, byName, changed, { words })).toBeLessThan(1e-5);
    expect(Buffer.compare(convertLayersModel(byName), convertLayersModel(artifacts))).not.toBe(0);
  });
});

describe("the layout", () => {
  it("of a CNN on grey images needs no transpose", async () => {
    const { artifacts } = await prepared("mnist");
    const { graph } = readModel(convertLayersModel(artifacts));
    expect(operators(graph)).toEqual(["Reshape", "Conv", "Relu", "Conv", "Relu", "Flatten", "Gemm", "Relu", "Gemm"]);
    expect(graph.inputs[0]!.shape).toEqual(["batch", 28, 28, 1]);
    expect(graph.outputs[0]!.shape).toEqual(["batch", 10]);
  });

  it("of a CNN on photos needs one, at its start", async () => {
    const { artifacts } = await prepared("residual");
    const { graph } = readModel(convertLayersModel(artifacts));
    expect(operators(graph).indexOf("Transpose")).toBe(0);
    expect(operators(graph).filter((op) => op === "Transpose")).toHaveLength(1);
    expect(graph.inputs.map(({ name }) => name)).toEqual(["photo"]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(["classes"]);
  });

  it("pads as tfjs does, in numbers", async () => {
    const { artifacts } = await prepared("mnist");
    const { graph } = readModel(convertLayersModel(artifacts));
    const pads = graph.nodes.filter(({ op }) => op === "Conv").map(({ attributes }) => attributes.pads);
    expect(pads).toEqual([
      { kind: "ints", value: [1, 1, 1, 1] },
      { kind: "ints", value: [1, 1, 1, 1] },
    ]);
  });

  it("names weights as tfjs does, and their layout", async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({ name: "conv", filters: 3, kernelSize: 2, inputShape: [5, 5, 2] }),
        tf.layers.flatten(),
        tf.layers.dense({ name: "dense", units: 4 }),
      ],
    });
    const { graph } = readModel(convertLayersModel(await artifactsOf(model)));
    const names = [...graph.initializers.keys()].filter((name) => name.includes("/"));
    expect(names).toEqual(["conv/kernel#2x2x2x3:3,2,0,1", "conv/bias", "dense/kernel#4x4x3x4:2,0,1,3", "dense/bias"]);
  });
});

describe("a model that others trained", () => {
  it("converts with its quantized weights", { timeout: 120_000 }, async () => {
    const artifacts = nsfw();
    const model = await tf.loadLayersModel(tf.io.fromMemory(artifacts));
    const { graph } = readModel(convertLayersModel(artifacts));
    expect(operators(graph).filter((op) => op === "Transpose")).toHaveLength(1);
    const [x] = randomInputs(model, 2, createRng(4));
    const inside = tf.sigmoid(x!);
    const [got] = await runOnnx(convertLayersModel(artifacts), [inside]);
    const wanted = (model.predict(inside) as tf.Tensor).dataSync();
    expect(difference(wanted, got!.data as Float32Array)).toBeLessThan(1e-5);
  });
});

function nsfw(): tf.io.ModelArtifacts {
  const require = createRequire(join(import.meta.dirname, "../../../tfjs/package.json"));
  const folder = join(require.resolve("nsfwjs"), "../../models/mobilenet_v2");
  const model = require(join(folder, "model.min.js")) as tf.io.ModelJSON;
  const bytes = Buffer.from(require(join(folder, "group1-shard1of1.min.js")) as string, "base64");
  const start = bytes.byteOffset;
  return {
    modelTopology: model.modelTopology,
    weightSpecs: model.weightsManifest.flatMap(({ weights }) => weights),
    weightData: bytes.buffer.slice(start, start + bytes.byteLength) as ArrayBuffer,
  };
}
