/// <reference types="node" />
import { readFileSync } from "node:fs";
import { crossEntropy, type Loss, type NdArray, ndArray, takeRows, weightedSum } from "@parapet/core";
import { assertClose, classifierLaws } from "@parapet/testing";
import * as runtime from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { adam, fromOnnx, momentum, type OnnxClassifier, sgd, toOnnx } from "../src/index.ts";
import { inputs, normalised } from "./helpers/networks.ts";

const bounds = { lower: 0, upper: 1 };
const session = { intraOpNumThreads: 1 };
const x = inputs(6, [1, 8, 8]);
const labels = [0, 1, 2, 0, 1, 2];
const loss = crossEntropy(labels);
const keys = (n = 6) => Uint32Array.from({ length: n }, (_, i) => i + 1);

describe("batch normalisation, adam", () => {
  const make = () => fromOnnx(normalised({ smooth: true }), { runtime, bounds, session, optimizer: adam(0.01) });
  const dispose = (model: object) => (model as OnnxClassifier).release();
  const options = { power: "trainable", dispose, inputs: x, labels } as const;
  for (const law of classifierLaws(make, options)) it(law.name, () => law.run());
});

describe("running statistics", () => {
  it("move as ONNX says, by PyTorch's batch statistics", async () => {
    const file = (name: string) => readFileSync(new URL(`./vectors/models/${name}`, import.meta.url));
    const given = JSON.parse(file("resnet-train.json").toString());
    const bytes = Uint8Array.from(file("resnet-train.onnx"));
    const inputShape = given.input.shape.slice(1);
    const model = await fromOnnx(bytes, {
      runtime,
      bounds: { lower: -100, upper: 100 },
      inputShape,
      optimizer: sgd(0.1),
    });
    const before = await model.snapshot();
    const batch = ndArray(given.input.values as number[], given.input.shape);
    await model.parameterGradients(batch, crossEntropy(given.labels));
    expect((await model.snapshot()).buffers).toEqual(before.buffers);
    await model.step(batch, crossEntropy(given.labels));
    const { buffers } = await model.snapshot();
    const nodes = given.batchNorm as { outputs: string[]; meanAfter: number[]; varianceAfter: number[] }[];
    expect(buffers.size).toBe(2 * nodes.length);
    const found = [...buffers.values()];
    const wanted = nodes.flatMap(({ meanAfter, varianceAfter }) => [meanAfter, varianceAfter]);
    const matched = wanted.filter((values) =>
      found.some(({ data }) => data.length === values.length && values.every((v, i) => Math.abs(v - data[i]!) < 1e-4)),
    );
    expect(matched.length).toBe(wanted.length);
    await model.release();
  });

  it("are those of each part where parts are separate", async () => {
    const open = () => fromOnnx(normalised(), { runtime, bounds, session, optimizer: sgd(0.1) });
    const [joint, separate, one, two] = await Promise.all([open(), open(), open(), open()]);
    const half: Loss = {
      count: 3,
      parts: 2,
      value: (logits) => ndArray(loss.value(logits).data.slice(0, 3), [3]),
      cotangent: (logits) => loss.cotangent(logits),
      take: () => half,
    };
    const rows = (from: number) => takeRows(x, Int32Array.of(from, from + 1, from + 2));
    const apart = await separate.step(x, half, { parts: "separate", learningRate: 0 });
    const together = await joint.step(x, half, { learningRate: 0 });
    // The parts one after the other, as two batches.
    const first = await one.step(rows(0), crossEntropy(labels.slice(0, 3)), { learningRate: 0 });
    await two.step(rows(0), crossEntropy(labels.slice(0, 3)), { learningRate: 0 });
    const second = await two.step(rows(3), crossEntropy(labels.slice(3)), { learningRate: 0 });
    assertClose(apart.logits.data.slice(0, 9), first.logits, { absolute: 1e-5 });
    assertClose(apart.logits.data.slice(9), second.logits, { absolute: 1e-5 });
    const off = Math.max(...apart.logits.data.map((v, i) => Math.abs(v - together.logits.data[i]!)));
    expect(off).toBeGreaterThan(1e-3);
    const [a, b] = [(await separate.snapshot()).buffers, (await two.snapshot()).buffers];
    for (const [name, { data }] of b) assertClose(a.get(name)!, data, { absolute: 1e-5 });
    for (const model of [joint, separate, one, two]) await model.release();
  });

  it("answer at inference, whichever mode the file was exported in, and are saved", async () => {
    const model = await fromOnnx(normalised(), { runtime, bounds, session, optimizer: momentum(0.01) });
    for (let i = 0; i < 5; i++) await model.step(x, loss);
    const again = await fromOnnx(toOnnx(model), { runtime, bounds, session });
    assertClose(await again.logits(x), (await model.logits(x)).data, { absolute: 1e-6 });
    // A row does not depend on the others.
    const one = await model.logits(takeRows(x, Int32Array.of(3)));
    assertClose(one, (await model.logits(x)).data.slice(9, 12), { absolute: 1e-6 });
    await model.release();
    await again.release();
  });

  it("are not spoilt by a batch that blew up", async () => {
    const model = await fromOnnx(normalised(), { runtime, bounds, session, optimizer: sgd(0.1) });
    const before = await model.snapshot({ optimizer: true });
    const { value } = await model.step(x, loss);
    await model.restore(before);
    await model.step(x, weightedSum([[1e38, loss]]), { learningRate: 1e38 });
    await model.step(x, loss);
    expect((await model.logits(x)).data.every(Number.isNaN)).toBe(true);
    await model.restore(before);
    expect((await model.step(x, loss)).value).toEqual(value);
    await model.release();
  });
});

describe("dropout", () => {
  const open = (dropout: number) =>
    fromOnnx(normalised({ dropout }), { runtime, bounds, session, optimizer: sgd(0.1) });

  it("asks for keys while training, and only then", async () => {
    const model = await open(0.5);
    await model.logits(x);
    for (const wrong of [undefined, keys(5)]) {
      const options = wrong === undefined ? {} : { keys: wrong };
      await expect(model.step(x, loss, options)).rejects.toThrow(/"keys" expected 6 random keys/);
      await expect(model.logits(x, { ...options, mode: "training" })).rejects.toThrow(TypeError);
    }
    await model.release();
  });

  it("depends on the key of the row alone, and leaves a half out", async () => {
    const model = await open(0.5);
    const call = async (given: Uint32Array, rows: NdArray) =>
      (await model.activations(rows, [dropped(model)], { mode: "training", keys: given }))[0]!;
    const all = await call(keys(), x);
    const order = Int32Array.of(5, 3, 1, 0, 2, 4);
    // Batch statistics are the same in another order, up to rounding.
    const turned = await call(
      Uint32Array.from(order, (row) => keys()[row]!),
      takeRows(x, order),
    );
    assertClose(turned, takeRows(all, order).data, { absolute: 1e-4 });
    const zeros = all.data.filter((v) => v === 0).length;
    // 768 numbers: a share beyond these bounds has a probability below 1e-8.
    expect(zeros / all.data.length).toBeGreaterThan(0.4);
    expect(zeros / all.data.length).toBeLessThan(0.6);
    const plain = await model.activations(x, [dropped(model)], { mode: "inference" });
    expect(plain[0]!.data.some((v) => v === 0)).toBe(false);
    await model.release();
  });

  it("has the gradient of its mask", async () => {
    const model = await open(0.25);
    const options = { mode: "training", keys: keys() } as const;
    const { gradient } = await model.gradient(x, loss, options);
    for (const pixel of [0, 27, 100, 200, 333]) {
      const at = async (by: number) => {
        const moved = { ...x, data: x.data.map((v, i) => (i === pixel ? v + by : v)) };
        return (await model.gradient(moved, loss, options)).value.data.reduce((sum, v) => sum + v, 0);
      };
      const slope = ((await at(2e-3)) - (await at(-2e-3))) / 4e-3;
      expect(Math.abs(slope - gradient.data[pixel]!)).toBeLessThan(2e-3 + 0.02 * Math.abs(slope));
    }
    await model.release();
  });
});

/** The layer behind the dropout. */
const dropped = (model: OnnxClassifier): string => model.layers.find(({ name }) => name.startsWith("Dropout"))!.name;
