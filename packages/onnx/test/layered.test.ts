import { readFileSync } from "node:fs";
import { crossEntropy, linear, type NdArray, ndArray, weightedSum } from "@parapet/core";
import { assertClose, classifierLaws } from "@parapet/testing";
import * as runtime from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { fromOnnx, type OnnxClassifier, sgd } from "../src/index.ts";
import { binary, cnn, inputs, mlp, normalised } from "./helpers/networks.ts";

const bounds = { lower: 0, upper: 1 };
const session = { intraOpNumThreads: 1 };
const x = inputs(5, [1, 8, 8]);
const labels = [0, 1, 2, 0, 1];
const loss = crossEntropy(labels);
const release = (model: object) => (model as OnnxClassifier).release();

describe("layers", () => {
  it("are the values between input and logits, by the names of the file", async () => {
    const model = await fromOnnx(normalised(), { runtime, bounds, session });
    expect(model.layers.map(({ name, shape }) => `${name.replace(/_\d+$/, "")} ${shape.join("x")}`)).toEqual([
      ...["Conv 16x8x8", "BatchNormalization 16x8x8", "Relu 16x8x8", "MaxPool 16x4x4", "Conv 32x4x4", "Relu 32x4x4"],
      ...["AveragePool 32x2x2", "Flatten 128", "BatchNormalization 128", "Gemm 3"],
    ]);
    await model.release();
  });

  it("activations are what onnxruntime itself computes there, also of what is otherwise rewritten or fused", async () => {
    for (const optimizer of [undefined, sgd(0.1)]) {
      const options = { runtime, bounds, session };
      const model = await (optimizer
        ? fromOnnx(normalised(), { ...options, optimizer })
        : fromOnnx(normalised(), options));
      const names = model.layers.map(({ name }) => name);
      const found = await model.activations(x, names);
      const [before, after, pooled] = ["BatchNormalization", "Relu", "MaxPool"].map(
        (op) => found[names.findIndex((name) => name.startsWith(op))]!,
      ) as [NdArray, NdArray, NdArray];
      assertClose(
        after,
        before.data.map((v) => Math.max(0, v)),
        { absolute: 0 },
      );
      const largest = pooled.data.map((_, k) => {
        const [plane, row, column] = [Math.floor(k / 16), Math.floor((k % 16) / 4), k % 4];
        const at = (i: number, j: number) => after.data[plane * 64 + (2 * row + i) * 8 + 2 * column + j]!;
        return Math.max(at(0, 0), at(0, 1), at(1, 0), at(1, 1));
      });
      assertClose(pooled, largest, { absolute: 0 });
      assertClose(found.at(-1)!, (await model.logits(x)).data, { absolute: 1e-5 });
      await model.release();
    }
  });

  it("one row alone is the same row", async () => {
    const model = await fromOnnx(cnn(), { runtime, bounds, session });
    const name = model.layers[1]!.name;
    const [all] = await model.activations(x, [name]);
    const row = { ...x, shape: [1, 1, 8, 8], data: x.data.slice(64, 128) };
    const [one] = await model.activations(row, [name]);
    const size = one!.data.length;
    expect(one!.data).toEqual(all!.data.slice(size, 2 * size));
    await model.release();
  });

  it("a gradient at a layer is the derivative of the rest of the network", async () => {
    const model = await fromOnnx(normalised({ smooth: true }), { runtime, bounds, session });
    for (const { name } of model.layers) {
      const { logits, activation, gradient } = await model.gradientAt(x, loss, name);
      expect(gradient.shape).toEqual(activation.shape);
      assertClose(logits, (await model.logits(x)).data, { absolute: 1e-5 });
    }
    // At the logits it is the loss's own cotangent, for losses with a form and without.
    const end = model.layers.at(-1)!.name;
    const cotangent = loss.cotangent(await model.logits(x)).data;
    for (const [same, factor] of [
      [loss, 1],
      [weightedSum([[2, loss]]), 2],
    ] as const) {
      const { gradient } = await model.gradientAt(x, same, end);
      assertClose(
        gradient,
        cotangent.map((v) => factor * v),
        { absolute: 1e-6 },
      );
    }
    // Through the layers before it, it is the input's gradient: checked at a model that begins there.
    const middle = model.layers.find(({ name }) => name.startsWith("AveragePool"))!.name;
    const { activation, gradient } = await model.gradientAt(x, loss, middle);
    const rest = await fromOnnx(normalised({ smooth: true }), {
      runtime,
      bounds: { lower: -9, upper: 9 },
      session,
      differentiateAt: middle,
      inputShape: activation.shape.slice(1),
      inputs: { x: { dtype: "float32", shape: [1, 1, 8, 8], data: new Float32Array(64) } },
    });
    assertClose(gradient, (await rest.gradient(activation, loss)).gradient.data, { absolute: 1e-6 });
    await release(model);
    await release(rest);
  });

  it("a name that is no layer is refused", async () => {
    const model = await fromOnnx(mlp(), { runtime, bounds, session });
    const rows = inputs(2, [6]);
    await expect(model.activations(rows, ["x"])).rejects.toThrow(/"name" expected one of .*, got "x"/);
    await expect(model.gradientAt(rows, crossEntropy([0, 1]), "none")).rejects.toThrow(TypeError);
    expect(() => model.tapped(["none"])).toThrow(TypeError);
    await model.release();
  });
});

describe("tapped", () => {
  it("has the logits and the layers side by side, on the same weights", async () => {
    const model = await fromOnnx(normalised(), { runtime, bounds, session, optimizer: sgd(0.1) });
    const names = model.layers.filter(({ name }) => /Relu|Flatten/.test(name)).map(({ name }) => name);
    const tapped = model.tapped(names);
    for (let round = 0; round < 2; round++) {
      const rows = await tapped.logits(x);
      const parts = [await model.logits(x), ...(await model.activations(x, names))];
      expect(rows.shape).toEqual([5, parts.reduce((sum, { data }) => sum + data.length / 5, 0)]);
      for (let row = 0; row < 5; row++) {
        const wanted = parts.flatMap(({ data }) => [
          ...data.slice((row * data.length) / 5, ((row + 1) * data.length) / 5),
        ]);
        assertClose(rows.data.slice(row * rows.shape[1]!, (row + 1) * rows.shape[1]!), wanted, { absolute: 1e-5 });
      }
      await model.step(x, loss);
    }
    await model.release();
    await expect(tapped.logits(x)).rejects.toMatchObject({ code: "onnx/model-disposed" });
  });

  it("a loss of layers has a gradient", async () => {
    const model = await fromOnnx(mlp(), { runtime, bounds, session });
    const rows = inputs(5, [6]);
    const name = model.layers.find((layer) => layer.name.startsWith("Tanh"))!.name;
    const tapped = model.tapped([name]);
    const cotangent = ndArray(
      Float32Array.from({ length: 5 * 15 }, (_, i) => (i % 15 === 7 ? 1 : 0)),
      [5, 15],
    );
    const { gradient } = await tapped.gradient(rows, linear(cotangent));
    for (const feature of [0, 3, 8, 29]) {
      const at = async (by: number) => {
        const moved = { ...rows, data: rows.data.map((v, i) => (i === feature ? v + by : v)) };
        const [values] = await model.activations(moved, [name]);
        return values!.data.reduce((sum, v, i) => sum + (i % 12 === 4 ? v : 0), 0);
      };
      expect(gradient.data[feature]!).toBeCloseTo(((await at(1e-2)) - (await at(-1e-2))) / 2e-2, 3);
    }
    await model.release();
  });

  it("shows a single logit z as [0, z]", async () => {
    const model = await fromOnnx(binary(), { runtime, bounds, session });
    const rows = inputs(3, [6]);
    const tapped = model.tapped([model.layers[0]!.name]);
    const { data } = await tapped.logits(rows);
    const [logits, layer] = [await model.logits(rows), (await model.activations(rows, [model.layers[0]!.name]))[0]!];
    assertClose(data.slice(0, 10), [...logits.data.slice(0, 2), ...layer.data.slice(0, 8)], { absolute: 1e-6 });
    await model.release();
  });

  it("shows logarithms where the model answers with probabilities", async () => {
    const file = new Uint8Array(
      readFileSync(new URL("./vectors/models/keras-separable-softmax.onnx", import.meta.url)),
    );
    const model = await fromOnnx(file, { runtime, bounds, session });
    const rows = inputs(2, model.inputShape);
    const name = model.layers[0]!.name;
    const { data, shape } = await model.tapped([name]).logits(rows);
    assertClose(data.slice(0, model.numClasses), (await model.logits(rows)).data.slice(0, model.numClasses), {
      absolute: 1e-5,
    });
    expect(shape[1]).toBe(model.numClasses + model.layers[0]!.shape.reduce((a, b) => a * b, 1));
    await model.release();
  });

  describe("obeys the laws", () => {
    const make = async () => {
      const model = await fromOnnx(cnn(), { runtime, bounds, session });
      const tapped = model.tapped([model.layers.at(-2)!.name]);
      return { ...tapped, release: () => model.release() };
    };
    const options = { dispose: release, inputs: x, labels };
    for (const law of classifierLaws(make, options)) it(law.name, () => law.run());
  });
});
