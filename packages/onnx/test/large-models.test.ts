/// <reference types="node" />
import { createHash } from "node:crypto";
import { crossEntropy, type NdArray, ndArray, takeRows } from "@parapet/core";
import { assertClose } from "@parapet/testing";
import * as runtime from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { fromOnnx, sgd } from "../src/index.ts";
import { readModel } from "../src/proto/read.ts";
import { type Large, largeReference, seededImages, seededModel, seededText } from "./helpers/seeded.ts";

// Networks of full size, as PyTorch's exporters write them, with weights from a seed, and what PyTorch answers in float64:
// vectors/README.md says how.

interface Reference extends Large {
  readonly labels: number[];
  readonly logits: { readonly shape: number[]; readonly values: number[] };
  readonly crossEntropy: number[];
  readonly inputGradient: {
    readonly norm: number[];
    readonly largest: number[];
    readonly every: number;
    readonly values: number[][];
  };
  readonly weightsSha256: string;
  readonly inputsSha256: string;
  readonly differentiateAt?: string;
}

const bounds = { lower: -100, upper: 100 };
const session = { intraOpNumThreads: 1 };
const largest = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
const sha256 = (parts: Iterable<Float32Array | BigInt64Array>) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};

/** The weights in the order of the file, as they are in the bytes that the tests open. */
function weightsOf(file: Uint8Array, { weights }: Reference): Float32Array[] {
  const { initializers } = readModel(file).graph;
  return weights.map(({ initializer }) => initializers.get(initializer)!.data as Float32Array);
}

function compareGradient(gradient: NdArray, { inputGradient }: Reference, first = 0): void {
  for (let row = 0; row < gradient.shape[0]!; row++) {
    const { data } = takeRows(gradient, Int32Array.of(row));
    const expected = inputGradient.norm[first + row]!;
    expect(Math.abs(norm(data) - expected)).toBeLessThan(1e-3 * expected);
    const some = data.filter((_, i) => i % inputGradient.every === 0);
    assertClose(some, inputGradient.values[first + row]!, { absolute: 1e-3 * inputGradient.largest[first + row]! });
  }
}

function compareWeights(gradients: ReadonlyMap<string, Float32Array>, { weights }: Reference): void {
  // A gradient that cancels to nothing (the bias of keys) is rounding, measured by the network's largest.
  const rounding = 1e-5 * largest(weights.map(({ gradient }) => gradient?.norm ?? 0));
  for (const { initializer, gradient } of weights) {
    if (gradient === undefined) continue;
    const found = gradients.get(initializer);
    expect(found, initializer).toBeDefined();
    const tolerance = 1e-3 * gradient.norm + rounding;
    expect(Math.abs(norm(found!) - gradient.norm), initializer).toBeLessThan(tolerance);
    const some = gradient.at.map((i) => found![i]!);
    assertClose(some, gradient.values, { absolute: 1e-3 * gradient.largest + rounding });
  }
}

describe.each(["madry-cnn", "resnet18", "mobilenet-v2", "vit-tiny"])("%s", (name) => {
  const given = largeReference<Reference>(name);
  const { rows, shape } = given.input;
  const options = { runtime, bounds, session, inputShape: shape };
  const file = seededModel(name);
  const x = seededImages(name, rows);
  const loss = crossEntropy(given.labels);

  it("weights and inputs are Python's, bit for bit", () => {
    expect(sha256(weightsOf(file, given))).toBe(given.weightsSha256);
    expect(sha256([x.data])).toBe(given.inputsSha256);
  });

  it("logits are PyTorch's to 1e-4, the input gradient to 1e-3", async () => {
    const model = await fromOnnx(file, options);
    try {
      const { logits, value, gradient } = await model.gradient(x, loss);
      assertClose(logits, given.logits.values, { absolute: 1e-4 * largest(given.logits.values) });
      assertClose(value, given.crossEntropy, { absolute: 1e-4 * largest(given.logits.values) });
      compareGradient(gradient, given);
    } finally {
      await model.release();
    }
  });

  it("parameter gradients are PyTorch's to 1e-3", async () => {
    const model = await fromOnnx(file, { ...options, optimizer: sgd(0.1) });
    try {
      const { gradients } = await model.parameterGradients(x, loss, { mode: "inference" });
      const sums = [...gradients].map(([key, { data }]) => [key, data.map((each) => each * rows.length)] as const);
      compareWeights(new Map(sums), given);
    } finally {
      await model.release();
    }
  });
});

describe("text", () => {
  const given = largeReference<Reference>("text");
  const { rows } = given.input;
  const texts = rows.map((row) => seededText("text", row));
  const file = seededModel("text");

  it("weights and inputs are Python's, bit for bit", () => {
    expect(sha256(weightsOf(file, given))).toBe(given.weightsSha256);
    expect(sha256([...texts.map(({ ids }) => ids.data), ...texts.map(({ mask }) => mask.data)])).toBe(
      given.inputsSha256,
    );
  });

  it("at the embedding, logits are PyTorch's to 1e-4, gradients to 1e-3", async () => {
    const { initializers } = readModel(file).graph;
    const { initializer, shape } = given.weights.find(({ parameter }) => parameter === "embedding.weight")!;
    const table = ndArray(initializers.get(initializer)!.data as Float32Array, shape);
    const k = given.logits.shape[1]!;
    const sums = new Map<string, Float32Array>();
    for (const [row, inputs] of texts.entries()) {
      const model = await fromOnnx(file, {
        runtime,
        bounds,
        session,
        inputs: { ...inputs },
        differentiateAt: given.differentiateAt!,
        optimizer: sgd(0.1),
      });
      try {
        const words = takeRows(table, Int32Array.from(inputs.ids.data, Number));
        const x = ndArray(words.data, [1, ...model.inputShape]);
        const loss = crossEntropy([given.labels[row]!]);
        const { logits, gradient } = await model.gradient(x, loss);
        assertClose(logits, given.logits.values.slice(row * k, (row + 1) * k), {
          absolute: 1e-4 * largest(given.logits.values),
        });
        compareGradient(gradient, given, row);
        const { gradients } = await model.parameterGradients(x, loss, { mode: "inference" });
        for (const [key, { data }] of gradients) {
          const sum = sums.get(key);
          sums.set(key, sum === undefined ? data : sum.map((before, i) => before + data[i]!));
        }
      } finally {
        await model.release();
      }
    }
    compareWeights(sums, given);
  });
});
