import { createRng, crossEntropy, type NdArray, ndArray } from "@parapet/core";
import { assertClose } from "@parapet/testing";
import * as runtime from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { blockOf, isBlockable } from "../src/blocked.ts";
import { createBuilder } from "../src/builder.ts";
import { attribute, type Tensor } from "../src/graph.ts";
import { fromOnnx, type OnnxClassifier, sgd } from "../src/index.ts";
import { readModel } from "../src/proto/read.ts";
import { writeModel } from "../src/proto/write.ts";

// Convolutions whose filters are state are written in onnxruntime's own layout where it has one; with providers named,
// they never are, which is what they are compared with.

const bounds = { lower: -9, upper: 9 };

interface Geometry {
  readonly channels: number;
  readonly filters: number;
  readonly kernel?: readonly [number, number];
  readonly strides?: readonly [number, number];
  readonly pads?: readonly [number, number, number, number];
  readonly dilations?: readonly [number, number];
  readonly auto?: string;
  readonly bias?: boolean;
  readonly relu?: boolean;
  readonly group?: number;
}

function file(geometry: Geometry): Uint8Array {
  const {
    channels,
    filters,
    kernel = [3, 3],
    strides = [1, 1],
    dilations = [1, 1],
    bias = true,
    relu = true,
  } = geometry;
  const { pads = [1, 1, 1, 1], auto, group = 1 } = geometry;
  const b = createBuilder(["x"]);
  const rng = createRng(3);
  const weights = new Map<string, Tensor>();
  const weight = (name: string, shape: readonly number[]): string => {
    const size = shape.reduce((a, c) => a * c, 1);
    const data = Float32Array.from({ length: size }, () => rng.normal() / Math.sqrt(size / shape[0]!));
    weights.set(name, { dtype: "float32", shape, data });
    return name;
  };
  const place = auto === undefined ? { pads: attribute.ints(pads) } : { auto_pad: attribute.string(auto) };
  const settings = { ...place, strides: attribute.ints(strides), dilations: attribute.ints(dilations) };
  const conv = (x: string, name: string, from: number, to: number, more = {}) => {
    const ins = [x, weight(`${name}/w`, [to, from, ...kernel]), ...(bias ? [weight(`${name}/b`, [to])] : [])];
    const y = b.add("Conv", ins, { ...settings, ...more });
    return relu ? b.add("Relu", [y]) : b.add("Tanh", [y]);
  };
  let y = conv("x", "one", channels, filters);
  y = conv(y, "two", filters / group, filters, { group: attribute.int(group) });
  y = b.add("Flatten", [b.add("GlobalAveragePool", [y])]);
  y = b.add("Gemm", [y, weight("w", [4, filters])], { transB: attribute.int(1) });
  return writeModel({
    irVersion: 8,
    opsets: new Map([["", 18]]),
    producer: "",
    graph: {
      name: "conv",
      inputs: [{ name: "x", dtype: "float32", shape: ["n", channels, 11, 9] }],
      outputs: [{ name: y, dtype: "float32", shape: ["n", 4] }],
      initializers: new Map([...b.initializers, ...weights]),
      nodes: b.nodes,
    },
  });
}

/** The runtime, with the operators of the graphs that it is given. */
function watched(): { runtime: typeof runtime; operators: string[] } {
  const operators: string[] = [];
  const create = (bytes: Uint8Array, options: object) => {
    // The types of outputs are left to onnxruntime; our own reader wants them.
    const text = Buffer.from(bytes).toString("latin1");
    if (text.includes("com.microsoft.nchwc")) operators.push("blocked");
    return runtime.InferenceSession.create(bytes, options as never);
  };
  return { runtime: { ...runtime, InferenceSession: { ...runtime.InferenceSession, create } } as never, operators };
}

const block = await blockOf(runtime, undefined);

describe.skipIf(block === 0)(`in blocks of ${block} channels`, () => {
  const geometries: Record<string, Geometry> = {
    "3x3": { channels: 2 * block, filters: block },
    "few channels": { channels: 3, filters: block },
    "one channel, 5x5": { channels: 1, filters: 2 * block, kernel: [5, 5], pads: [2, 2, 2, 2] },
    "no bias, no Relu": { channels: block, filters: block, bias: false, relu: false },
    strides: { channels: block, filters: 2 * block, strides: [2, 1] },
    "asymmetric padding": { channels: block, filters: block, pads: [0, 2, 1, 0] },
    dilations: { channels: block, filters: block, dilations: [2, 1], pads: [2, 1, 2, 1] },
    "SAME_LOWER with strides": { channels: block, filters: block, kernel: [4, 3], strides: [2, 2], auto: "SAME_LOWER" },
    SAME_UPPER: { channels: block, filters: block, kernel: [2, 2], auto: "SAME_UPPER" },
    "1x1": { channels: block, filters: 2 * block, kernel: [1, 1], pads: [0, 0, 0, 0] },
    "groups beside": { channels: block, filters: 2 * block, group: 2 },
    "channels that fill no block": { channels: block + 4, filters: block },
  };
  it.each(Object.entries(geometries))("%s: step and gradients are those of the plain layout", async (_, geometry) => {
    const bytes = file(geometry);
    const seen = watched();
    const fast = await fromOnnx(bytes, { runtime: seen.runtime, bounds, optimizer: sgd(0.1) });
    const plain = await fromOnnx(bytes, {
      runtime,
      bounds,
      optimizer: sgd(0.1),
      session: { executionProviders: ["cpu", { name: "cpu" }] },
    });
    const rng = createRng(5);
    const x: NdArray = ndArray(
      Float32Array.from({ length: 3 * geometry.channels * 99 }, () => rng.normal()),
      [3, geometry.channels, 11, 9],
    );
    const loss = crossEntropy([0, 1, 3]);
    const scale = (array: NdArray) => Math.max(...array.data.map(Math.abs));
    for (let round = 0; round < 2; round++) {
      const [one, two] = [await fast.gradient(x, loss), await plain.gradient(x, loss)];
      assertClose(one.logits, two.logits.data, { absolute: 1e-5 });
      assertClose(one.gradient, two.gradient.data, { absolute: 1e-4 * scale(two.gradient) });
      const [a, c] = [await fast.parameterGradients(x, loss), await plain.parameterGradients(x, loss)];
      for (const [name, array] of c.gradients) {
        assertClose(a.gradients.get(name)!, array.data, { absolute: 1e-4 * scale(array) });
      }
      await fast.step(x, loss, { inputGradient: true });
      await plain.step(x, loss);
    }
    expect(seen.operators).toContain("blocked");
    await fast.release();
    await (plain as OnnxClassifier).release();
  });
});

describe("where convolutions are written blocked", () => {
  it("never without a block, for groups, or for channels that do not fit", () => {
    expect(isBlockable(0, [16, 16, 3, 3], 1)).toBe(false);
    expect(isBlockable(16, [16, 8, 3, 3], 2)).toBe(false);
    expect(isBlockable(16, [24, 16, 3, 3], 1)).toBe(false);
    expect(isBlockable(16, [32, 24, 3, 3], 1)).toBe(false);
    expect(isBlockable(16, [32, 16, 3], 1)).toBe(false);
    expect(isBlockable(16, [32, 16, 3, 3], 1)).toBe(true);
    expect(isBlockable(16, [32, 3, 7, 7], 1)).toBe(true);
  });

  it("never where a provider other than the CPU is named, or the runtime has none", async () => {
    expect(await blockOf(runtime, { executionProviders: ["webgpu", "cpu"] })).toBe(0);
    const refusing = { ...runtime, InferenceSession: { create: () => Promise.reject(new Error("no such operator")) } };
    expect(await blockOf(refusing as never, undefined)).toBe(0);
  });

  it("a saved file has none of it", async () => {
    const { toOnnx } = await import("../src/index.ts");
    const model = await fromOnnx(file({ channels: 16, filters: 16 }), { runtime, bounds, optimizer: sgd(0.1) });
    expect([...readModel(toOnnx(model)).opsets.keys()]).toEqual([""]);
    await model.release();
  });
});
