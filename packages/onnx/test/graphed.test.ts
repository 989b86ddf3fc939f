import { readdirSync, readFileSync } from "node:fs";
import { crossEntropy, type LayerGraph, type NdArray, ndArray } from "@parapet/core";
import { assertClose } from "@parapet/testing";
import * as runtime from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { fromOnnx, sgd } from "../src/index.ts";
import { inputs, mlp, normalised } from "./helpers/networks.ts";

const bounds = { lower: -100, upper: 100 };
const session = { intraOpNumThreads: 1 };

const folder = new URL("./vectors/models/", import.meta.url);
const networks = readdirSync(folder)
  .filter((file) => /\.json$/.test(file) && !/sklearn|text|sigmoid/.test(file))
  .map((file) => file.slice(0, -5));

describe.each(networks)("%s", (name) => {
  it("its graph compiles to the same answers and gradients", async () => {
    const given = JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8"));
    const file = new Uint8Array(readFileSync(new URL(`${name}.onnx`, folder)));
    const model = await fromOnnx(file, { runtime, bounds, session, inputShape: given.input.shape.slice(1) });
    const graph = await model.graph();
    // What only computes shapes from the batch is gone, but for tokens and sizes that are repeated along it.
    const operators = new Set(graph.nodes.map(({ op }) => op));
    if (!/vit|less-common/.test(name)) expect(operators).not.toContain("Shape");
    expect(operators).not.toContain("Constant");
    const again = await model.compile(structuredClone(graph));
    const x = ndArray(given.input.values as number[], given.input.shape);
    const loss = crossEntropy(given.labels);
    const [one, two] = [await model.gradient(x, loss), await again.gradient(x, loss)];
    // Probabilities are shown as they are in a graph, which knows no head.
    if (name !== "keras-separable-softmax") {
      assertClose(two.logits, one.logits.data, { absolute: 1e-5 });
      assertClose(two.gradient, one.gradient.data, { absolute: 1e-5 });
    }
    await model.release();
  });
});

describe("graph and compile", () => {
  const x = inputs(4, [6]);

  it("a perceptron's graph is what one would write", async () => {
    const model = await fromOnnx(mlp(), { runtime, bounds, session });
    const { nodes, input, inputShape, output, parameters } = await model.graph();
    expect(nodes.map(({ op }) => op)).toEqual(["Gemm", "Tanh", "Gemm"]);
    expect([input, inputShape, output === nodes[2]!.outputs[0]]).toEqual(["x", [6], true]);
    expect([...parameters.keys()].sort()).toEqual(["b1", "b2", "w1", "w2"]);
    expect(nodes[0]!.attributes).toEqual({ transB: 1 });
    await model.release();
  });

  it("weights are shared by name: a step of the one moves the other", async () => {
    const model = await fromOnnx(mlp(), { runtime, bounds, session, optimizer: sgd(0.5) });
    const twin = await model.compile(await model.graph());
    const before = await twin.logits(x);
    await model.step(x, crossEntropy([0, 1, 2, 0]));
    const after = await twin.logits(x);
    expect(after.data).not.toEqual(before.data);
    assertClose(after, (await model.logits(x)).data, { absolute: 1e-6 });
    await model.release();
    await expect(twin.logits(x)).rejects.toMatchObject({ code: "onnx/model-disposed" });
  });

  it("another graph on the same weights, with another input: bounds by interval arithmetic", async () => {
    // [l | u] -> the bounds of the first layer's values: W+ l + W- u + b and W+ u + W- l + b.
    const model = await fromOnnx(mlp(), { runtime, bounds, session });
    const { parameters } = await model.graph();
    const gemm = (a: string, b: string, c: string, y: string) =>
      ({ op: "Gemm", inputs: [a, b, ...(c === "" ? [] : [c])], outputs: [y], attributes: { transB: 1 } }) as const;
    const node = (op: string, ins: string[], outs: string[], attributes = {}) => ({
      op,
      inputs: ins,
      outputs: outs,
      attributes,
    });
    const zero = ndArray([0], []);
    const graph: LayerGraph = {
      input: "box",
      inputShape: [12],
      output: "bounds",
      nodes: [
        node("Split", ["box"], ["l", "u"], { axis: 1, num_outputs: 2 }),
        node("Max", ["w1", "zero"], ["plus"]),
        node("Min", ["w1", "zero"], ["minus"]),
        gemm("l", "plus", "b1", "a"),
        gemm("u", "minus", "", "b"),
        gemm("u", "plus", "b1", "c"),
        gemm("l", "minus", "", "d"),
        node("Add", ["a", "b"], ["low"]),
        node("Add", ["c", "d"], ["high"]),
        node("Concat", ["low", "high"], ["bounds"], { axis: 1 }),
      ],
      parameters: new Map([...parameters, ["zero", zero]]),
    };
    const box = await model.compile(graph);
    const l = x.data;
    const both = ndArray(
      Array.from({ length: 4 }, (_, row) => [
        ...Array.from(l.slice(6 * row, 6 * row + 6), (v) => v - 0.1),
        ...Array.from(l.slice(6 * row, 6 * row + 6), (v) => v + 0.1),
      ]).flat(),
      [4, 12],
    );
    const { data } = await box.logits(both);
    const [{ data: middle }] = (await model.activations(x, [model.layers[0]!.name])) as [NdArray];
    const w = parameters.get("w1")!.data;
    for (let row = 0; row < 4; row++) {
      for (let k = 0; k < 12; k++) {
        const radius = 0.1 * [...w.slice(6 * k, 6 * k + 6)].reduce((sum, v) => sum + Math.abs(v), 0);
        expect(data[24 * row + k]).toBeCloseTo(middle[12 * row + k]! - radius, 4);
        expect(data[24 * row + 12 + k]).toBeCloseTo(middle[12 * row + k]! + radius, 4);
      }
    }
    await model.release();
  });

  it("what does not fit is refused", async () => {
    const model = await fromOnnx(normalised(), { runtime, bounds, session, optimizer: sgd(0.1) });
    const graph = await model.graph();
    const wrong = new Map([...graph.parameters, ["w", ndArray(new Float32Array(6), [2, 3])]]);
    await expect(model.compile({ ...graph, parameters: wrong })).rejects.toThrow(
      /"parameter "w"" expected|parameter "w"/,
    );
    await expect(model.compile({ ...graph, output: "nothing" })).rejects.toThrow();
    const cyclic = { ...graph, nodes: [...graph.nodes].reverse() };
    await expect(model.compile(cyclic)).rejects.toMatchObject({ code: "onnx/runtime" });
    await model.release();
  });
});
