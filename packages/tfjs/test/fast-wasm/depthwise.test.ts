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

interface Case {
  readonly batch: number;
  readonly input: [number, number];
  readonly channels: number;
  readonly multiplier: number;
  readonly taps: [number, number];
  readonly strides: [number, number];
  readonly dilations: [number, number];
  readonly pad: "same" | "valid" | [number, number][];
}

function prepare(c: Case) {
  const inputShape: [number, number, number, number] = [c.batch, ...c.input, c.channels];
  const filterShape: [number, number, number, number] = [...c.taps, c.channels, c.multiplier];
  const { strides, dilations, pad } = c;
  const info = tf.backend_util.computeConv2DInfo(
    inputShape,
    filterShape,
    strides,
    dilations,
    pad as "same",
    undefined,
    true,
  );
  if (info.outHeight < 1 || info.outWidth < 1) return undefined;
  const layer: Layer = {
    input: c.input,
    output: [info.outHeight, info.outWidth],
    taps: c.taps,
    strides,
    dilations,
    before: [info.padInfo.top, info.padInfo.left],
  };
  const outputs = c.channels * c.multiplier;
  const x = values(inputShape, sizeOf(inputShape));
  const filter = values(filterShape, sizeOf(filterShape) + 1);
  const dy = values([c.batch, info.outHeight, info.outWidth, outputs], 2);
  const sums = (xs: Values, ws: Values, dys: Values) => {
    const dx = new Float64Array(xs.data.length);
    const dw = new Float64Array(ws.data.length);
    eachProduct(layer, c.batch, c.channels, outputs, true, (xi, wi, yi) => {
      dx[xi] = dx[xi]! + ws.data[wi]! * dys.data[yi]!;
      dw[wi] = dw[wi]! + xs.data[xi]! * dys.data[yi]!;
    });
    return {
      dx: { shape: inputShape, data: Float32Array.from(dx) },
      dw: { shape: filterShape, data: Float32Array.from(dw) },
    };
  };
  return {
    layer,
    x,
    filter,
    dy,
    attrs: { strides, dilations, pad, inputShape, filterShape },
    expected: sums(x, filter, dy),
    magnitude: sums(absolute(x), absolute(filter), absolute(dy)),
    dxTerms: sizeOf(c.taps) * c.multiplier,
    dwTerms: c.batch * info.outHeight * info.outWidth,
  };
}

describe("DepthwiseConv2dNativeBackpropInput and ...Filter", () => {
  for (const multiplier of [1, 2, 3]) {
    it(`equals the cpu backend: multiplier ${multiplier}`, async () => {
      for (const pad of ["same", "valid"] as const) {
        for (const [stride, dilation] of [
          [1, 1],
          [2, 1],
          [3, 1],
        ] as const) {
          for (const taps of [
            [1, 1],
            [3, 3],
            [2, 5],
          ] as [number, number][]) {
            for (const channels of [1, 5]) {
              const strides: [number, number] = [stride, stride];
              const dilations: [number, number] = [dilation, dilation];
              const c = { batch: 2, input: [7, 10] as [number, number], channels, multiplier, taps };
              const p = prepare({ ...c, strides, dilations, pad })!;
              const { dy, filter, x, attrs, magnitude } = p;
              const dx = await runKernel("wasm", "DepthwiseConv2dNativeBackpropInput", { dy, filter }, attrs);
              const dxCpu = await runKernel("cpu", "DepthwiseConv2dNativeBackpropInput", { dy, filter }, attrs);
              expectWithin(dx, dxCpu, magnitude.dx, p.dxTerms);
              const dw = await runKernel("wasm", "DepthwiseConv2dNativeBackpropFilter", { x, dy }, attrs);
              const dwCpu = await runKernel("cpu", "DepthwiseConv2dNativeBackpropFilter", { x, dy }, attrs);
              expectWithin(dw, dwCpu, magnitude.dw, p.dwTerms);
            }
          }
        }
      }
    });
  }

  it("equals float64 sums over any geometry; the cpu backend ignores dilations here", async () => {
    const extent = (most: number) => fc.integer({ min: 1, max: most });
    const pair = (most: number) => fc.tuple(extent(most), extent(most));
    const pad = fc.oneof(
      fc.constantFrom<"same" | "valid">("same", "valid"),
      fc.array(fc.nat(5), { minLength: 4, maxLength: 4 }).map(([t, b, l, r]): [number, number][] => [
        [0, 0],
        [t!, b!],
        [l!, r!],
        [0, 0],
      ]),
    );
    const movement = fc.oneof(
      pair(3).map((strides) => ({ strides, dilations: [1, 1] as [number, number] })),
      pair(3).map((dilations) => ({ strides: [1, 1] as [number, number], dilations })),
    );
    const shape = { batch: extent(3), input: pair(10), channels: extent(9), multiplier: extent(3), taps: pair(5), pad };
    await fc.assert(
      fc.asyncProperty(fc.record(shape), movement, async (rest, { strides, dilations }) => {
        const p = prepare({ ...rest, strides, dilations });
        if (p === undefined) return;
        const { dy, filter, x, attrs } = p;
        const dx = await runKernel("wasm", "DepthwiseConv2dNativeBackpropInput", { dy, filter }, attrs);
        expectWithin(dx, p.expected.dx, p.magnitude.dx, p.dxTerms);
        const dw = await runKernel("wasm", "DepthwiseConv2dNativeBackpropFilter", { x, dy }, attrs);
        expectWithin(dw, p.expected.dw, p.magnitude.dw, p.dwTerms);
      }),
      { seed: 20240609, numRuns: 400 },
    );
  });

  it("is the derivative of the depthwise convolution, by central differences", async () => {
    const one = { batch: 2, input: [6, 5] as [number, number], channels: 3, taps: [3, 2] as [number, number] };
    const cases: Case[] = [
      { ...one, multiplier: 1, strides: [2, 2], dilations: [1, 1], pad: "same" },
      { ...one, multiplier: 2, strides: [1, 1], dilations: [2, 2], pad: "valid" },
    ];
    for (const c of cases) {
      const { layer, x, filter, dy, attrs, magnitude, dxTerms, dwTerms } = prepare(c)!;
      const functional = (xs: ArrayLike<number>, ws: ArrayLike<number>): number => {
        let sum = 0;
        eachProduct(layer, c.batch, c.channels, c.channels * c.multiplier, true, (xi, wi, yi) => {
          sum += xs[xi]! * ws[wi]! * dy.data[yi]!;
        });
        return sum;
      };
      const dx = await runKernel("wasm", "DepthwiseConv2dNativeBackpropInput", { dy, filter }, attrs);
      expectWithin(
        dx,
        centralDifferences((at) => functional(at, filter.data), x),
        magnitude.dx,
        dxTerms,
      );
      const dw = await runKernel("wasm", "DepthwiseConv2dNativeBackpropFilter", { x, dy }, attrs);
      expectWithin(
        dw,
        centralDifferences((at) => functional(x.data, at), filter),
        magnitude.dw,
        dwTerms,
      );
    }
  });

  it("gives a row the same bits in any batch", async () => {
    const filter = values([3, 3, 8, 1], 5);
    const all = values([100, 7, 7, 8], 6);
    const run = async (batch: number) => {
      const dy = { shape: [batch, 7, 7, 8], data: all.data.slice(0, batch * 392) };
      const attrs = { strides: [2, 2], dilations: [1, 1], pad: "same", inputShape: [batch, 14, 14, 8] };
      return (await runKernel("wasm", "DepthwiseConv2dNativeBackpropInput", { dy, filter }, attrs)).data;
    };
    const whole = await run(100);
    for (const batch of [1, 5, 16]) {
      expect((await run(batch)).every((value, i) => Object.is(value, whole[i]))).toBe(true);
    }
  });
});
