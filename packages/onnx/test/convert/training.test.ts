import { crossEntropy, ndArray } from "@parapet/core";
import * as runtime from "onnxruntime-node";
import { beforeAll, expect, it } from "vitest";
import { convertLayersModel, fromOnnx, sgd, toOnnx, weightsToArtifacts } from "../../src/index.ts";
import { artifactsOf, randomize, tf } from "./helpers.ts";

beforeAll(() => tf.setBackend("cpu"));

const bounds = { lower: -9, upper: 9 };

async function converted(make: () => tf.LayersModel) {
  const model = make();
  randomize(model, 3);
  const artifacts = (await artifactsOf(model)) as Parameters<typeof convertLayersModel>[0];
  return { artifacts, bytes: convertLayersModel(artifacts) };
}

const { dense, dropout, batchNormalization } = tf.layers;
const x = ndArray(
  Float32Array.from({ length: 20 }, (_, i) => Math.sin(i)),
  [4, 5],
);
const loss = crossEntropy([0, 1, 2, 0]);
const keys = Uint32Array.of(1, 2, 3, 4);

it("layers that are not trainable stay as they are, also when saved and opened again", async () => {
  const { artifacts, bytes } = await converted(() =>
    tf.sequential({
      layers: [
        dense({ inputShape: [5], units: 8, activation: "relu", trainable: false, name: "still" }),
        dense({ units: 3, name: "moving" }),
      ],
    }),
  );
  let file = bytes;
  for (let round = 0; round < 2; round++) {
    const model = await fromOnnx(file, { runtime, bounds, optimizer: sgd(0.5) });
    expect([...(await model.snapshot()).weights.keys()]).toEqual(["moving/kernel", "moving/bias"]);
    await model.step(x, loss);
    file = toOnnx(model);
    await model.release();
  }
  const trained = weightsToArtifacts(artifacts, file);
  const [before, after] = [artifacts.weightData as ArrayBuffer, trained.weightData].map(
    (data) => new Float32Array(data),
  );
  let at = 0;
  for (const { name, shape } of trained.weightSpecs) {
    const end = at + shape.reduce((size, length) => size * length, 1);
    const same = after!.slice(at, end).every((value, i) => value === before![at + i]);
    expect(same, name).toBe(name.startsWith("still"));
    at = end;
  }
});

it("so do all layers of a model within, and what the caller names", async () => {
  const { artifacts } = await converted(() => {
    const inner = tf.sequential({ layers: [dense({ inputShape: [5], units: 4, name: "inner" })], name: "within" });
    return tf.sequential({ layers: [inner, dense({ units: 3, name: "outer" })] });
  });
  // As Keras writes it; tfjs forgets that a model within another is not trainable.
  const topology = JSON.parse(JSON.stringify(artifacts.modelTopology));
  topology.config.layers.find(({ config }: { config: { name: string } }) => config.name === "within").config.trainable =
    false;
  const bytes = convertLayersModel({ ...artifacts, modelTopology: topology });
  const names = async (frozen: readonly string[]) => {
    const model = await fromOnnx(bytes, { runtime, bounds, optimizer: sgd(0.5), frozen });
    const found = [...(await model.snapshot()).weights.keys()];
    await model.release();
    return found;
  };
  const all = await names([]);
  expect(all).toEqual(["outer/kernel", "outer/bias"]);
  expect(await names(["outer/bias"])).toEqual(all.filter((name) => name !== "outer/bias"));
  await expect(names(["nothing"])).rejects.toThrow(/"frozen" expected names of initializers, got "nothing"/);
  await expect(names(all)).rejects.toThrow(/at least one trainable weight/);
});

it("dropout and batch normalisation do what they do while training", async () => {
  const { bytes } = await converted(() =>
    tf.sequential({
      layers: [
        dense({ inputShape: [5], units: 8 }),
        batchNormalization({ momentum: 0.9 }),
        dropout({ rate: 0.5 }),
        dense({ units: 3 }),
      ],
    }),
  );
  const model = await fromOnnx(bytes, { runtime, bounds, optimizer: sgd(0.1) });
  await expect(model.step(x, loss)).rejects.toThrow(/"keys" expected/);
  const { buffers } = await model.snapshot();
  expect([...buffers.keys()].map((name) => name.replace(/^.*\//, "")).sort()).toEqual([
    "moving_mean",
    "moving_variance",
  ]);
  await model.step(x, loss, { keys });
  const moved = (await model.snapshot()).buffers;
  for (const [name, { data }] of buffers) expect(moved.get(name)!.data).not.toEqual(data);
  const [one, two] = [await model.logits(x), await model.logits(x, { mode: "training", keys })];
  expect(one.data).not.toEqual(two.data);
  await model.release();
});
