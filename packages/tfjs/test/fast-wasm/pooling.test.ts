import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registerFastGradients } from "../../src/fast-wasm/index.ts";
import { runKernel, tf, useBackend, type Values } from "./backends.ts";
import { absolute, centralDifferences, expectWithin, values } from "./oracles.ts";

let undo: () => void;
beforeAll(async () => {
  await useBackend("wasm");
  undo = registerFastGradients();
});
afterAll(() => undo());

interface Case {
  readonly shape: [number, number, number, number];
  readonly filterSize: [number, number];
  readonly strides: [number, number];
  readonly pad: "same" | "valid" | number;
}

/** The gradient of tf.maxPool or tf.avgPool on the named backend. */
async function poolGradient(backend: "cpu" | "wasm", kernel: string, c: Case, x: Values, dy: Values): Promise<Values> {
  const { filterSize, strides, pad } = c;
  return runKernel(backend, kernel, { dy, input: x, output: dy }, { filterSize, strides, pad });
}

function prepare(c: Case): { x: Values; dy: Values; outShape: number[] } | undefined {
  const info = tf.backend_util.computePool2DInfo(c.shape, c.filterSize, c.strides, 1, c.pad as "same");
  if (info.outHeight < 1 || info.outWidth < 1) return undefined;
  return { x: values(c.shape, 1 + c.shape[1]), dy: values(info.outShape, 2), outShape: info.outShape };
}

/** The average pooling of the cpu backend's definition, in float64: the mean over what lies inside the input. */
function averages(
  c: Case,
  outShape: readonly number[],
  x: ArrayLike<number>,
  visit: (y: number, mean: number) => void,
) {
  const info = tf.backend_util.computePool2DInfo(c.shape, c.filterSize, c.strides, 1, c.pad as "same");
  const [batch, height, width, channels] = c.shape;
  let y = 0;
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < outShape[1]!; i++) {
      for (let j = 0; j < outShape[2]!; j++) {
        for (let ch = 0; ch < channels; ch++, y++) {
          let sum = 0;
          let count = 0;
          for (let k = 0; k < c.filterSize[0]; k++) {
            for (let l = 0; l < c.filterSize[1]; l++) {
              const row = i * c.strides[0] + k - info.padInfo.top;
              const column = j * c.strides[1] + l - info.padInfo.left;
              if (row < 0 || row >= height || column < 0 || column >= width) continue;
              sum += x[((n * height + row) * width + column) * channels + ch]!;
              count++;
            }
          }
          if (count > 0) visit(y, sum / count);
        }
      }
    }
  }
}

const anyCase: fc.Arbitrary<Case> = fc
  .record({
    shape: fc.tuple(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 5 }),
    ),
    filterSize: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
    strides: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    pad: fc.constantFrom<"same" | "valid" | 1>("same", "valid", 1),
  })
  // A numeric padding is computed by tfjs from the height's window alone.
  .map((c) =>
    c.pad === 1 ? { ...c, filterSize: [c.filterSize[0], c.filterSize[0]], strides: [c.strides[0], c.strides[0]] } : c,
  ) as fc.Arbitrary<Case>;

describe("MaxPoolGrad", () => {
  it("equals the cpu backend for any window, ties included", async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, fc.boolean(), async (c, ties) => {
        const prepared = prepare(c);
        if (prepared === undefined) return;
        const { dy } = prepared;
        const x = ties
          ? { ...prepared.x, data: prepared.x.data.map((v) => Math.max(0, Math.round(2 * v))) }
          : prepared.x;
        const actual = await poolGradient("wasm", "MaxPoolGrad", c, x, dy);
        const expected = await poolGradient("cpu", "MaxPoolGrad", c, x, dy);
        const magnitude = await poolGradient("cpu", "MaxPoolGrad", c, x, absolute(dy));
        expectWithin(actual, expected, magnitude, c.filterSize[0] * c.filterSize[1]);
      }),
      { seed: 20240610, numRuns: 300 },
    );
  });

  it("finds the maximum where all are negative; the stock kernel takes the first element of the input", async () => {
    const x = { shape: [1, 2, 4, 1], data: Float32Array.of(-5, -4, -3, -2, -6, -7, -8, -9) };
    const dy = { shape: [1, 1, 2, 1], data: Float32Array.of(10, 20) };
    const c: Case = { shape: [1, 2, 4, 1], filterSize: [2, 2], strides: [2, 2], pad: "valid" };
    const { data } = await poolGradient("wasm", "MaxPoolGrad", c, x, dy);
    expect([...data]).toEqual([0, 10, 0, 20, 0, 0, 0, 0]);
  });
});

describe("AvgPoolGrad", () => {
  it("equals the cpu backend where no window hangs over the edge", async () => {
    for (const [filter, stride] of [
      [2, 2],
      [3, 1],
      [3, 2],
    ] as const) {
      const c: Case = { shape: [2, 7, 8, 3], filterSize: [filter, filter], strides: [stride, stride], pad: "valid" };
      const { x, dy } = prepare(c)!;
      const actual = await poolGradient("wasm", "AvgPoolGrad", c, x, dy);
      const expected = await poolGradient("cpu", "AvgPoolGrad", c, x, dy);
      const magnitude = await poolGradient("cpu", "AvgPoolGrad", c, x, absolute(dy));
      expectWithin(actual, expected, magnitude, filter * filter);
    }
  });

  it("is the derivative of the average over what a window has, by central differences", async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, async (c) => {
        const prepared = prepare(c);
        if (prepared === undefined) return;
        const { x, dy, outShape } = prepared;
        const small = { ...c, shape: c.shape };
        const functional = (weights: Float32Array) => (at: ArrayLike<number>) => {
          let sum = 0;
          averages(small, outShape, at, (y, mean) => {
            sum += mean * weights[y]!;
          });
          return sum;
        };
        const actual = await poolGradient("wasm", "AvgPoolGrad", c, x, dy);
        const expected = centralDifferences(functional(dy.data), x);
        const magnitude = centralDifferences(functional(absolute(dy).data), x);
        expectWithin(actual, expected, magnitude, c.filterSize[0] * c.filterSize[1]);
      }),
      { seed: 20240611, numRuns: 60 },
    );
  });

  it("differentiates what the wasm backend's own forward op computes", async () => {
    const c: Case = { shape: [1, 5, 5, 2], filterSize: [3, 3], strides: [2, 2], pad: "same" };
    const { x, outShape } = prepare(c)!;
    const { filterSize, strides, pad } = c;
    const forward = await runKernel("wasm", "AvgPool", { x }, { filterSize, strides, pad });
    averages(c, outShape, x.data, (y, mean) => {
      expect(Math.abs(forward.data[y]! - mean)).toBeLessThanOrEqual(11 * 2 ** -24);
    });
  });
});

describe("UnsortedSegmentSum", () => {
  it("equals the cpu backend, and leaves out ids that name no segment", async () => {
    const x = values([7, 3], 1);
    const segmentIds = { shape: [7], data: Float32Array.of(0, 2, 2, 5, -1, 9, 0), dtype: "int32" as const };
    const actual = await runKernel("wasm", "UnsortedSegmentSum", { x, segmentIds }, { numSegments: 6 });
    const expected = await runKernel("cpu", "UnsortedSegmentSum", { x, segmentIds }, { numSegments: 6 });
    const magnitude = await runKernel("cpu", "UnsortedSegmentSum", { x: absolute(x), segmentIds }, { numSegments: 6 });
    expectWithin(actual, expected, magnitude, 7);
  });
});
