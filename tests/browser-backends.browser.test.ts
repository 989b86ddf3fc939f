import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { backends, useBackend } from "./helpers/browser-backends.ts";

// The browser here has the backends that the packages are tested on.
test.each(backends)("%s multiplies matrices", async (backend) => {
  await useBackend(backend);
  const a = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]);
  const b = tf.tensor2d([1, 0, 0, 1, 1, 1], [3, 2]);
  const product = tf.matMul(a, b);
  expect(Array.from(await product.data())).toEqual([4, 5, 10, 11]);
  tf.dispose([a, b, product]);
});

test("the software adapter answers for webgpu", async () => {
  const gpu = (navigator as unknown as { gpu: { requestAdapter(): Promise<object | null> } }).gpu;
  expect(await gpu.requestAdapter()).not.toBeNull();
});
