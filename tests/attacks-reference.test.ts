import { readFileSync } from "node:fs";
import { autoAttack } from "@parapet/attacks";
import { type AttackResult, createRng, ndArray, untargeted } from "@parapet/core";
import { fromOnnx, type OnnxClassifier } from "@parapet/onnx";
import { assertClose } from "@parapet/testing";
import * as runtime from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import vectors from "./vectors/attacks-reference.json" with { type: "json" };

// 25 digits and what the AutoAttack repository says of them on the PGD-trained CNN: bench/models/vectors.ts made the file.
// The comparison on 1,000 images and three trainings is `npm run bench -- attacks-reference`.

const file = readFileSync(new URL("../bench/models/pgd.onnx", import.meta.url));
const { epsilon, labels, robust } = vectors;
const n = labels.length;
const pixels = Float32Array.from(Buffer.from(vectors.pixels, "base64"), (byte) => byte / 255);
const x = ndArray(pixels, [n, 28, 28, 1]);
const rows = labels.map((_, i) => i);

let model: OnnxClassifier;
let result: AttackResult;
beforeAll(async () => {
  const session = { intraOpNumThreads: 1 };
  model = await fromOnnx(file, { runtime, bounds: { lower: 0, upper: 1 }, session });
  result = await autoAttack({ norm: "linf", epsilon })(model, x, untargeted(labels), { rng: createRng(0) });
}, 120_000);
afterAll(() => model?.release());

describe("AutoAttack on 25 digits", () => {
  it("asks the network that the reference asked", async () => {
    assertClose(await model.logits(x), vectors.logits.flat(), { absolute: 1e-4 });
  });

  it("breaks every image that the reference breaks", () => {
    expect(rows.filter((i) => robust[i] === 0 && result.success.data[i] === 0)).toEqual([]);
  });

  it("breaks none of those that hold under the reference with three seeds", () => {
    expect(rows.filter((i) => robust[i] === 1 && result.success.data[i] === 1)).toEqual([]);
  });

  it("stays in the ball and the bounds, and what it breaks is broken", async () => {
    const answers = (await model.labels(result.adversarial)).data;
    for (const i of rows) {
      const points = result.adversarial.data.subarray(i * 784, (i + 1) * 784);
      const moved = Math.max(...points.map((value, j) => Math.abs(value - pixels[i * 784 + j]!)));
      expect(moved).toBeLessThanOrEqual(epsilon * (1 + 1e-6));
      expect(points.every((value) => value >= 0 && value <= 1)).toBe(true);
      expect(result.success.data[i]).toBe(Number(answers[i] !== labels[i]));
    }
  });
});
