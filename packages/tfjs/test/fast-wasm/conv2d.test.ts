import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registerFastGradients } from "../../src/fast-wasm/index.ts";
import { runKernel, tf, useBackend, type Values } from "./backends.ts";
import { absolute, centralDifferences, eachProduct, expectWithin, type Layer, sizeOf, values } from "./oracles.ts";

let undo: () => void;
beforeAll(async () => {
  await useBackend("wasm");
  undo = registerFastGradients();
});
afterAll(() => undo());

type Pad = "same" | "valid" | number | [number, number][];

interface Case {
  readonly batch: number;
  readonly input: [number, number];
  readonly channels: [number, number];
  readonly taps: [number, number];
  readonly strides: [number, number];
  readonly dilations: [number, number];
  readonly pad: Pad;
}

/** Extents and tensors of a case, or undefined where the filter does not fit. */
function prepare(c: Case) {
  const inputShape: [number, number, number, number] = [c.batch, ...c.input, c.channels[0]];
  const filterShape: [number, number, number, number] = [...c.taps, ...c.channels];
  const info = tf.backend_util.computeConv2DInfo(inputShape, filterShape, c.strides, c.dilations, c.pad as "same");
  if (info.outHeight < 1 || info.outWidth < 1) return undefined;
  const layer: Layer = {
    input: c.input,
    output: [info.outHeight, info.outWidth],
    taps: c.taps,
    strides: c.strides,
    dilations: c.dilations,
    before: [info.padInfo.top, info.padInfo.left],
  };
  const attrs = { strides: c.strides, dilations: c.dilations, pad: c.pad, dataFormat: "NHWC", inputShape, filterShape };
  const seed = sizeOf(inputShape) + sizeOf(filterShape);
  return {
    layer,
    attrs,
    x: values(inputShape, seed),
    filter: values(filterShape, seed + 1),
    dy: values(info.outShape, seed + 2),
    dxTerms: sizeOf(c.taps) * c.channels[1],
    dwTerms: c.batch * info.outHeight * info.outWidth,
  };
}

/** Both gradients in float64, one product at a time. */
function reference(c: Case, layer: Layer, x: Values, filter: Values, dy: Values): { dx: Values; dw: Values } {
  const dx = new Float64Array(x.data.length);
  const dw = new Float64Array(filter.data.length);
  eachProduct(layer, c.batch, c.channels[0], c.channels[1], false, (xi, wi, yi) => {
    dx[xi] = dx[xi]! + filter.data[wi]! * dy.data[yi]!;
    dw[wi] = dw[wi]! + x.data[xi]! * dy.data[yi]!;
  });
  return {
    dx: { shape: x.shape, data: Float32Array.from(dx) },
    dw: { shape: filter.shape, data: Float32Array.from(dw) },
  };
}

async function check(c: Case, against: "cpu" | "float64"): Promise<void> {
  const prepared = prepare(c);
  if (prepared === undefined) return;
  const { layer, attrs, x, filter, dy, dxTerms, dwTerms } = prepared;
  const dx = await runKernel("wasm", "Conv2DBackpropInput", { dy, filter }, attrs);
  const dw = await runKernel("wasm", "Conv2DBackpropFilter", { x, dy }, attrs);
  const expected =
    against === "float64"
      ? reference(c, layer, x, filter, dy)
      : {
          dx: await runKernel("cpu", "Conv2DBackpropInput", { dy, filter }, attrs),
          dw: await runKernel("cpu", "Conv2DBackpropFilter", { x, dy }, attrs),
        };
  const magnitude = reference(c, layer, absolute(x), absolute(filter), absolute(dy));
  expectWithin(dx, expected.dx, magnitude.dx, dxTerms);
  expectWithin(dw, expected.dw, magnitude.dw, dwTerms);
}

const explicit: [number, number][] = [
  [0, 0],
  [1, 2],
  [0, 3],
  [0, 0],
];

describe("Conv2DBackpropInput and Conv2DBackpropFilter", () => {
  for (const stride of [1, 2, 3]) {
    for (const pad of ["same", "valid", explicit] as const) {
      it(`equals the cpu backend: stride ${stride}, padding ${pad}`, async () => {
        for (const taps of [
          [1, 1],
          [2, 3],
          [3, 3],
          [4, 4],
          [5, 1],
        ] as [number, number][]) {
          for (const channels of [
            [1, 1],
            [1, 16],
            [3, 5],
            [8, 1],
          ] as [number, number][]) {
            const strides: [number, number] = [stride, stride];
            await check({ batch: 3, input: [7, 10], channels, taps, strides, dilations: [1, 1], pad }, "cpu");
          }
        }
      });
    }
  }

  it("equals the cpu backend in the shapes that training meets", async () => {
    const one = { batch: 1, dilations: [1, 1] as [number, number], pad: "same" as const };
    await check({ ...one, input: [28, 28], channels: [1, 16], taps: [4, 4], strides: [2, 2] }, "cpu");
    await check({ ...one, input: [14, 14], channels: [16, 32], taps: [4, 4], strides: [2, 2] }, "cpu");
    await check({ ...one, input: [14, 14], channels: [1, 32], taps: [5, 5], strides: [1, 1] }, "cpu");
    await check({ ...one, input: [9, 9], channels: [33, 17], taps: [3, 3], strides: [2, 2] }, "cpu");
    await check({ ...one, input: [9, 9], channels: [64, 24], taps: [1, 1], strides: [2, 2] }, "cpu");
  });

  it("equals float64 sums over any geometry, dilated ones included", async () => {
    const extent = (most: number) => fc.integer({ min: 1, max: most });
    const pair = (most: number) => fc.tuple(extent(most), extent(most));
    const pad: fc.Arbitrary<Pad> = fc.oneof(
      fc.constantFrom<Pad>("same", "valid"),
      fc.array(fc.nat(6), { minLength: 4, maxLength: 4 }).map(
        (p): Pad => [
          [0, 0],
          [p[0]!, p[1]!],
          [p[2]!, p[3]!],
          [0, 0],
        ],
      ),
    );
    const anyCase: fc.Arbitrary<Case> = fc.record({
      batch: extent(3),
      input: pair(11),
      channels: pair(9),
      taps: pair(5),
      strides: pair(3),
      dilations: pair(2),
      pad,
    });
    await fc.assert(
      fc.asyncProperty(anyCase, (c) => check(c, "float64")),
      { seed: 20240607, numRuns: 400 },
    );
  });

  it("is the derivative of the convolution, by central differences", async () => {
    const cases: Case[] = [
      { batch: 2, input: [5, 6], channels: [2, 3], taps: [3, 2], strides: [2, 1], dilations: [1, 1], pad: "same" },
      { batch: 1, input: [7, 5], channels: [1, 2], taps: [3, 3], strides: [3, 2], dilations: [1, 1], pad: explicit },
      { batch: 1, input: [7, 7], channels: [2, 1], taps: [2, 3], strides: [1, 1], dilations: [2, 2], pad: "valid" },
      { batch: 2, input: [6, 4], channels: [1, 1], taps: [1, 1], strides: [2, 2], dilations: [1, 1], pad: "valid" },
    ];
    for (const c of cases) {
      const { layer, attrs, x, filter, dy, dxTerms, dwTerms } = prepare(c)!;
      const functional = (xs: ArrayLike<number>, ws: ArrayLike<number>): number => {
        let sum = 0;
        eachProduct(layer, c.batch, c.channels[0], c.channels[1], false, (xi, wi, yi) => {
          sum += xs[xi]! * ws[wi]! * dy.data[yi]!;
        });
        return sum;
      };
      const magnitude = reference(c, layer, absolute(x), absolute(filter), absolute(dy));
      const dx = await runKernel("wasm", "Conv2DBackpropInput", { dy, filter }, attrs);
      expectWithin(
        dx,
        centralDifferences((at) => functional(at, filter.data), x),
        magnitude.dx,
        dxTerms,
      );
      const dw = await runKernel("wasm", "Conv2DBackpropFilter", { x, dy }, attrs);
      expectWithin(
        dw,
        centralDifferences((at) => functional(x.data, at), filter),
        magnitude.dw,
        dwTerms,
      );
    }
  });

  it("gives a row the same bits in any batch", async () => {
    for (const [channels, size, taps, stride] of [
      [[1, 16], 28, 4, 2],
      [[16, 32], 14, 4, 2],
      [[3, 8], 9, 3, 1],
    ] as const) {
      const shape = (batch: number): [number, number, number, number] => [batch, size, size, channels[0]];
      const out = Math.ceil(size / stride);
      const filter = values([taps, taps, ...channels], 5);
      const all = values([100, out, out, channels[1]], 6);
      const run = async (batch: number) => {
        const dy = { shape: [batch, ...all.shape.slice(1)], data: all.data.slice(0, (all.data.length / 100) * batch) };
        const attrs = { strides: [stride, stride], pad: "same", dataFormat: "NHWC", inputShape: shape(batch) };
        return (await runKernel("wasm", "Conv2DBackpropInput", { dy, filter }, attrs)).data;
      };
      const whole = await run(100);
      for (const batch of [1, 5, 16]) {
        const part = await run(batch);
        expect(part.every((value, i) => Object.is(value, whole[i]))).toBe(true);
      }
    }
  });

  it("refuses channels first for the filter, which the forward convolution refuses too", async () => {
    const x = values([1, 2, 5, 5], 1);
    const dy = values([1, 3, 3, 3], 2);
    const attrs = { strides: [1, 1], pad: "valid", dataFormat: "NCHW", filterShape: [3, 3, 2, 3] };
    await expect(runKernel("wasm", "Conv2DBackpropFilter", { x, dy }, attrs)).rejects.toThrow('"dataFormat" expected');
  });
});
