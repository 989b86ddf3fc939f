import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { inspectOnnx } from "../../src/inspect.ts";
import { readModel } from "../../src/proto/read.ts";
import * as m from "./messages.ts";

const load = (name: string) => readFileSync(new URL(`../vectors/models/${name}.onnx`, import.meta.url));

describe("inspectOnnx", () => {
  test("says what a scikit-learn classifier is, its map of probabilities included", () => {
    expect(inspectOnnx(load("sklearn-logistic-zipmap"))).toEqual({
      irVersion: 8,
      opsets: { "": 17, "ai.onnx.ml": 1 },
      producer: "skl2onnx",
      inputs: [{ name: "X", dtype: "float32", shape: [undefined, expect.any(Number)] }],
      outputs: [
        { name: "output_label", dtype: "int64", shape: [undefined] },
        { name: "output_probability", dtype: undefined, shape: undefined },
      ],
      operators: { "ai.onnx.ml.LinearClassifier": 1, Cast: 1, "ai.onnx.ml.Normalizer": 1, "ai.onnx.ml.ZipMap": 1 },
      parameters: 0,
      withoutDerivative: expect.arrayContaining([
        { node: "LinearClassifier", operator: "ai.onnx.ml.LinearClassifier" },
        { node: "ZipMap", operator: "ai.onnx.ml.ZipMap" },
      ]),
    });
  });

  test("counts the weights of a network", () => {
    const bytes = load("mnist-cnn");
    const weights = [...readModel(bytes).graph.initializers.values()].filter(({ dtype }) => dtype === "float32");
    expect(inspectOnnx(bytes).parameters).toBe(weights.reduce((sum, { data }) => sum + data.length, 0));
    expect(inspectOnnx(bytes).parameters).toBeGreaterThan(10_000);
  });

  test("looks into subgraphs, and names nodes that have no name by what they give", () => {
    const body = m.inside(6, m.constant("w", 1, [2], m.float(4, 1), m.float(4, 2)), m.node("Relu", ["x"], ["z"]));
    const bytes = m.file(
      m.graph(
        m.input("x"),
        m.node("Loop", ["x"], ["y"], m.inside(5, m.text(1, "body"), body)),
        m.inside(1, m.text(2, "u"), m.text(4, "constructor")),
        m.inside(1, m.text(2, "v"), m.text(4, "Foo"), m.text(7, "com.example")),
      ),
    );
    const { operators, parameters, withoutDerivative } = inspectOnnx(bytes);
    expect(operators).toEqual({ Loop: 1, Relu: 1, constructor: 1, "com.example.Foo": 1 });
    expect(parameters).toBe(2);
    expect(withoutDerivative).toEqual([
      { node: "the Loop", operator: "Loop" },
      { node: "u", operator: "constructor" },
      { node: "v", operator: "com.example.Foo" },
    ]);
  });

  test("refuses what is no file", () => {
    expect(() => inspectOnnx(new Uint8Array(3))).toThrow(expect.objectContaining({ code: "onnx/malformed" }));
    expect(() => inspectOnnx(undefined as never)).toThrow(TypeError);
  });
});
