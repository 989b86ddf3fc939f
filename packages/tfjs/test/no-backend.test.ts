import { ndArray } from "@parapet/core";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { fromFunction } from "../src/index.ts";

// This file loads tfjs-core alone: no backend, no gradients. Every test file has a process of its own.

const options = { inputShape: [2], numClasses: 2, bounds: { lower: 0, upper: 1 } };
const x = ndArray([0.1, 0.2], [1, 2]);

it("without a backend, the error says how to get one", async () => {
  const model = fromFunction((v) => v, options);
  await expect(model.logits(x)).rejects.toMatchObject({ code: "tfjs/backend-missing" });
  await expect(model.logits(x)).rejects.toThrow(/"backend" expected one that is set.*setBackend/);
});

it("with a backend but without gradients, the error says where they are", async () => {
  await import("@tensorflow/tfjs-backend-cpu");
  await tf.setBackend("cpu");
  const model = fromFunction((v) => tf.square(v), options);
  const { linear } = await import("@parapet/core");
  const loss = linear(ndArray([1, 0], [1, 2]));
  await expect(model.gradient(x, loss)).rejects.toMatchObject({ code: "tfjs/gradients-missing" });
  await expect(model.gradient(x, loss)).rejects.toThrow("import one of them first");
  expect(tf.memory().numTensors).toBe(0);
});
