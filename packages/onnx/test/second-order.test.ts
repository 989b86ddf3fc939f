/// <reference types="node" />
import { readFileSync } from "node:fs";
import { crossEntropy, linear, margin, type NdArray, ndArray, weightedSum } from "@parapet/core";
import { assertClose } from "@parapet/testing";
import * as runtime from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { type Attribute, attribute, type Tensor } from "../src/graph.ts";
import { fromOnnx, sgd } from "../src/index.ts";
import { writeModel } from "../src/proto/write.ts";
import { inputs, mlp } from "./helpers/networks.ts";

// Gradients of |gradient|^2 by PyTorch in float64: vectors/README.md says how they were made.

interface Values {
  readonly shape: number[];
  readonly values: number[];
}
interface Case {
  readonly name: string;
  readonly opset: number;
  readonly nodes: {
    readonly op: string;
    readonly inputs: string[];
    readonly outputs: string[];
    readonly attributes: Record<string, number | number[] | string>;
    readonly attributeTypes: Record<string, string>;
  }[];
  readonly x: Values;
  readonly labels: number[];
  readonly weights: Record<string, Values & { readonly trainable: boolean }>;
  readonly inputGradient: Values;
  readonly penalty: number;
  readonly penaltyInputGradient: Values;
  readonly penaltyWeightGradients: Record<string, Values | number[]>;
}

const { cases } = JSON.parse(readFileSync(new URL("./vectors/second.json", import.meta.url), "utf8")) as {
  cases: Case[];
};
const bounds = { lower: -100, upper: 100 };
const session = { intraOpNumThreads: 1 };

function fileOf({ opset, nodes, x, weights }: Case): Uint8Array {
  const attributes = (given: Case["nodes"][number]): Record<string, Attribute> =>
    Object.fromEntries(
      Object.entries(given.attributes).map(([name, value]): [string, Attribute] => {
        if (typeof value === "string") return [name, attribute.string(value)];
        if (typeof value !== "number") return [name, attribute.ints(value)];
        return [name, given.attributeTypes[name] === "float" ? attribute.float(value) : attribute.int(value)];
      }),
    );
  const initializers = new Map<string, Tensor>(
    Object.entries(weights).map(([name, { shape, values }]) => [
      name,
      { dtype: "float32", shape, data: Float32Array.from(values) },
    ]),
  );
  return writeModel({
    irVersion: 8,
    opsets: new Map([["", opset]]),
    producer: "",
    graph: {
      name: "case",
      inputs: [{ name: "x", dtype: "float32", shape: ["n", ...x.shape.slice(1)] }],
      outputs: [{ name: "logits", dtype: "float32", shape: ["n", undefined] }],
      initializers,
      nodes: nodes.map((node) => ({ ...node, name: node.outputs[0]!, domain: "", attributes: attributes(node) })),
    },
  });
}

const numbers = (values: Values | number[]): number[] => (Array.isArray(values) ? values : values.values);
const largest = (values: readonly number[]): number => Math.max(...values.map(Math.abs));

describe.each(cases.map((one) => [one.name, one] as const))("gradient penalty: %s", (name, one) => {
  const mode = name === "batch-norm-training" ? "training" : "inference";
  const x = ndArray(one.x.values, one.x.shape);
  const loss = crossEntropy(one.labels);

  it.each(["constants", "state"])("derivatives are PyTorch's, weights as %s", async (weights) => {
    const options = { runtime, bounds, session };
    const model = await (weights === "state"
      ? fromOnnx(fileOf(one), { ...options, optimizer: sgd(0.1) })
      : fromOnnx(fileOf(one), options));
    const { gradient } = await model.gradient(x, loss, { mode });
    const scale = largest(one.inputGradient.values);
    assertClose(gradient, one.inputGradient.values, { absolute: 1e-4 * scale });
    const direction: NdArray = { ...gradient, data: gradient.data.map((v) => 2 * v) };
    const { input, parameters } = await model.hessianProduct(x, loss, direction, { mode });
    const wanted = numbers(one.penaltyInputGradient);
    assertClose(input, wanted, { absolute: 1e-3 * largest(wanted) });
    const trained = Object.entries(one.weights).filter(([, { trainable }]) => trainable);
    expect([...parameters.keys()].sort()).toEqual(weights === "state" ? trained.map(([key]) => key).sort() : []);
    const most = largest(Object.values(one.penaltyWeightGradients).flatMap(numbers));
    for (const [key, array] of parameters) {
      const values = numbers(one.penaltyWeightGradients[key]!);
      assertClose(array, values, { absolute: 1e-3 * largest(values) + 1e-5 * most });
    }
    await model.release();
  });
});

describe("hessianProduct", () => {
  const x = inputs(3, [6]);
  const direction = inputs(3, [6]);

  it("follows the weights, and is symmetric", async () => {
    const model = await fromOnnx(mlp(), { runtime, bounds, session, optimizer: sgd(0.5) });
    const loss = crossEntropy([0, 1, 2]);
    const before = await model.hessianProduct(x, loss, direction);
    await model.step(x, loss);
    const after = await model.hessianProduct(x, loss, direction);
    expect(after.input.data).not.toEqual(before.input.data);
    const other: NdArray = { ...direction, data: direction.data.map((v, i) => Math.cos(7 * i) * v) };
    const dot = (a: NdArray, b: NdArray) => a.data.reduce((sum, v, i) => sum + v * b.data[i]!, 0);
    const turned = await model.hessianProduct(x, loss, other);
    expect(dot(after.input, other)).toBeCloseTo(dot(turned.input, direction), 4);
    await model.release();
  });

  it("knows the losses with a form, and refuses others", async () => {
    const model = await fromOnnx(mlp(), { runtime, bounds, session });
    const cotangent = ndArray(new Float32Array(9).fill(0.5), [3, 3]);
    for (const loss of [margin([0, 1, 2]), linear(cotangent)]) {
      const { input } = await model.hessianProduct(x, loss, direction);
      const moved = (by: number): NdArray => ({ ...x, data: x.data.map((v, i) => v + by * direction.data[i]!) });
      const [ahead, behind] = [await model.gradient(moved(1e-2), loss), await model.gradient(moved(-1e-2), loss)];
      const slope = ahead.gradient.data.map((v, i) => (v - behind.gradient.data[i]!) / 2e-2);
      assertClose(input, slope, { absolute: 1e-3 * Math.max(1, largest([...slope])) });
    }
    const unknown = weightedSum([[1, crossEntropy([0, 1, 2])]]);
    await expect(model.hessianProduct(x, unknown, direction)).rejects.toThrow(/"loss" expected one with a form/);
    const wrong = ndArray(new Float32Array(6), [1, 6]);
    await expect(model.hessianProduct(x, crossEntropy([0, 1, 2]), wrong)).rejects.toThrow(/"direction" expected/);
    await model.release();
  });
});
