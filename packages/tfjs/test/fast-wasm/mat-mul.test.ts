import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registerFastGradients } from "../../src/fast-wasm/index.ts";
import { runKernel, tf, useBackend, type Values } from "./backends.ts";
import { absolute, expectWithin, values } from "./oracles.ts";

let undo: () => void;
beforeAll(async () => {
  await useBackend("wasm");
  undo = registerFastGradients();
});
afterAll(() => undo());

async function broadcast({ data, shape }: Values, outer: number[]): Promise<Values> {
  await useBackend("cpu");
  const whole = [...outer, ...shape.slice(-2)];
  return {
    shape: whole,
    data: tf.tidy(() => tf.broadcastTo(tf.tensor(data, shape), whole).dataSync() as Float32Array),
  };
}

/** Checks one product, whose operands lie transposed where marked, against the cpu backend. */
async function check(
  outer: [a: number[], b: number[]],
  [m, k, n]: [number, number, number],
  transposeA: boolean,
  transposeB: boolean,
): Promise<void> {
  const a = values([...outer[0], ...(transposeA ? [k, m] : [m, k])], m + k);
  const b = values([...outer[1], ...(transposeB ? [n, k] : [k, n])], k + n + 1);
  const attrs = { transposeA, transposeB };
  const actual = await runKernel("wasm", "BatchMatMul", { a, b }, attrs);
  // Broadcast beforehand: the cpu and the stock wasm kernel both go wrong where each side repeats, as in [2, 1] and [1, 3].
  const whole = tf.broadcast_util.assertAndGetBroadcastShape(outer[0], outer[1]);
  const [wholeA, wholeB] = [await broadcast(a, whole), await broadcast(b, whole)];
  const expected = await runKernel("cpu", "BatchMatMul", { a: wholeA, b: wholeB }, attrs);
  const magnitude = await runKernel("cpu", "BatchMatMul", { a: absolute(wholeA), b: absolute(wholeB) }, attrs);
  expectWithin(actual, expected, magnitude, k);
}

describe("BatchMatMul", () => {
  it("equals the cpu backend for any extents, transposes and batches", async () => {
    const extent = fc.integer({ min: 1, max: 40 });
    const outers: [number[], number[]][] = [
      [[], []],
      [[1], [1]],
      [[3], [3]],
      [[1], [4]],
      [[4], [1]],
      [
        [2, 3],
        [2, 3],
      ],
      [
        [2, 1],
        [1, 3],
      ],
      [[2], [3, 2]],
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...outers),
        fc.tuple(extent, extent, extent),
        fc.boolean(),
        fc.boolean(),
        (outer, extents, transposeA, transposeB) => check(outer, extents, transposeA, transposeB),
      ),
      { seed: 20240608, numRuns: 300 },
    );
  });

  it("equals the cpu backend in the shapes that dense layers meet", async () => {
    await check([[], []], [100, 1568, 100], true, false);
    await check([[], []], [1568, 100, 100], true, false);
    await check([[], []], [100, 100, 1568], false, true);
    await check([[], []], [1, 300, 700], false, true);
    await check([[], []], [64, 10, 1024], false, true);
    await check([[], []], [300, 40, 200], true, true);
  });

  it("gives a row the same bits in any batch, whichever way the product is turned", async () => {
    for (const [k, n] of [
      [100, 1568],
      [1024, 300],
      [10, 100],
      [3, 5],
    ] as const) {
      const b = values([n, k], 3);
      const all = values([100, k], 4).data;
      const run = async (batch: number) => {
        const a = { shape: [batch, k], data: all.slice(0, batch * k) };
        return (await runKernel("wasm", "BatchMatMul", { a, b }, { transposeA: false, transposeB: true })).data;
      };
      const whole = await run(100);
      for (const batch of [1, 5, 7, 16, 31]) {
        expect((await run(batch)).every((value, i) => Object.is(value, whole[i]))).toBe(true);
      }
    }
  });

  it("gives one of several products the bits it has alone", async () => {
    for (const [m, k, n] of [
      [5, 7, 3],
      [20, 30, 40],
    ] as const) {
      const a = values([3, m, k], 1);
      const b = values([3, k, n], 2);
      const attrs = { transposeA: false, transposeB: false };
      const whole = (await runKernel("wasm", "BatchMatMul", { a, b }, attrs)).data;
      for (let i = 0; i < 3; i++) {
        const own = {
          a: { shape: [1, m, k], data: a.data.slice(i * m * k, (i + 1) * m * k) },
          b: { shape: [1, k, n], data: b.data.slice(i * k * n, (i + 1) * k * n) },
        };
        const alone = (await runKernel("wasm", "BatchMatMul", own, attrs)).data;
        expect(alone.every((value, j) => Object.is(value, whole[i * m * n + j]))).toBe(true);
      }
    }
  });

  it("reads a matrix anew after it was reshaped, although the backend caches packed weights by data id", async () => {
    await useBackend("wasm");
    tf.tidy(() => {
      const flat = tf.tensor(values([24 * 50], 1).data);
      const a = tf.tensor2d(values([30, 24], 2).data, [30, 24]);
      const c = tf.tensor2d(values([30, 50], 3).data, [30, 50]);
      tf.matMul(a, flat.reshape([24, 50]));
      const transposed = tf.matMul(c, flat.reshape([24, 50]), false, true);
      const again = tf.matMul(c, flat.reshape([50, 24]).transpose(), false, true);
      expect(transposed.shape).toEqual([30, 24]);
      const expected = tf.matMul(c, tf.transpose(flat.reshape([24, 50])));
      expect(transposed.sub(expected).abs().max().dataSync()[0]).toBe(0);
      const other = tf.matMul(c, tf.tensor2d(flat.dataSync() as Float32Array, [50, 24]));
      expect(again.sub(other).abs().max().dataSync()[0]).toBe(0);
    });
  });

  it("refuses what the stock kernel refuses", async () => {
    const attrs = { transposeA: true, transposeB: false };
    const int32 = { ...values([2, 2], 1), dtype: "int32" as const };
    await expect(runKernel("wasm", "BatchMatMul", { a: int32, b: int32 }, attrs)).rejects.toThrow("float32");
    const pair = { a: values([2, 3], 1), b: values([3, 2], 2) };
    await expect(runKernel("wasm", "BatchMatMul", pair, attrs)).rejects.toThrow("inner shapes");
  });
});

describe("_FusedMatMul", () => {
  it("equals the cpu backend with transposes, bias and activation", async () => {
    for (const transposeA of [false, true]) {
      for (const transposeB of [false, true]) {
        for (const batch of [1, 2]) {
          const [m, k, n] = [9, 20, 13];
          const a = values([batch, ...(transposeA ? [k, m] : [m, k])], 1);
          const b = values([batch, ...(transposeB ? [n, k] : [k, n])], 2);
          // The stock kernel adds a bias wrongly to a batch of products, or to one it does as a scalar loop.
          const bias = batch === 1 ? { bias: values([n], 3) } : {};
          const attrs = { transposeA, transposeB, activation: batch === 1 ? "relu" : "linear", leakyreluAlpha: 0 };
          const actual = await runKernel("wasm", "_FusedMatMul", { a, b, ...bias }, attrs);
          const expected = await runKernel("cpu", "_FusedMatMul", { a, b, ...bias }, attrs);
          const size = { a: absolute(a), b: absolute(b), ...(bias.bias && { bias: absolute(bias.bias) }) };
          const magnitude = await runKernel("cpu", "_FusedMatMul", size, { ...attrs, activation: "linear" });
          expectWithin(actual, expected, magnitude, k + 1);
        }
      }
    }
  });
});
