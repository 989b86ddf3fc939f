import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { conv } from "../../src/derivatives/conv.ts";
import { convTranspose } from "../../src/derivatives/conv-transpose.ts";
import { type Case, disagreements } from "./harness.ts";

// The vectors have few channels: here are the paths that are taken for many, over random geometries, against loops.

interface Geometry {
  readonly n: number;
  readonly group: number;
  readonly inner: number;
  readonly outer: number;
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly input: readonly number[];
}

const pair = (low: number, high: number) =>
  fc.array(fc.integer({ min: low, max: high }), { minLength: 2, maxLength: 2 });

const geometries = (inner: fc.Arbitrary<number>, outer: fc.Arbitrary<number>, group: fc.Arbitrary<number>) =>
  fc
    .record({
      n: fc.integer({ min: 1, max: 3 }),
      group,
      inner,
      outer,
      kernel: pair(1, 4),
      strides: pair(1, 3),
      dilations: pair(1, 2),
      pads: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 4, maxLength: 4 }),
      more: pair(0, 5),
    })
    .map(({ more, ...rest }): Geometry => {
      const least = rest.kernel.map((k, i) => (k - 1) * rest.dilations[i]! + 1 - rest.pads[i]! - rest.pads[i + 2]!);
      return { ...rest, input: least.map((length, i) => Math.max(1, length) + more[i]!) };
    });

const outputOf = (g: Geometry): number[] =>
  g.input.map((length, i) => {
    const free = length + g.pads[i]! + g.pads[i + 2]! - (g.kernel[i]! - 1) * g.dilations[i]! - 1;
    return Math.floor(free / g.strides[i]!) + 1;
  });

/** Calls with flat positions in x [n, channels, ...], w [filters, inner, ...] and y [n, filters, ...] of every product. */
function everyProduct(g: Geometry, visit: (x: number, w: number, y: number) => void): void {
  const [height, width] = g.input as [number, number];
  const [rows, columns] = outputOf(g) as [number, number];
  const [kh, kw] = g.kernel as [number, number];
  const [channels, filters] = [g.group * g.inner, g.group * g.outer];
  for (let n = 0; n < g.n; n++) {
    for (let o = 0; o < filters; o++) {
      for (let c = 0; c < g.inner; c++) {
        const channel = Math.floor(o / g.outer) * g.inner + c;
        for (let i = 0; i < kh; i++) {
          for (let j = 0; j < kw; j++) {
            for (let r = 0; r < rows; r++) {
              for (let s = 0; s < columns; s++) {
                const h = r * g.strides[0]! - g.pads[0]! + i * g.dilations[0]!;
                const v = s * g.strides[1]! - g.pads[1]! + j * g.dilations[1]!;
                if (h < 0 || v < 0 || h >= height || v >= width) continue;
                visit(
                  ((n * channels + channel) * height + h) * width + v,
                  ((o * g.inner + c) * kh + i) * kw + j,
                  ((n * filters + o) * rows + r) * columns + s,
                );
              }
            }
          }
        }
      }
    }
  }
}

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Eighths between -1 and 1: their products and sums are exact. */
function eighths(length: number, seed: number): number[] {
  return Array.from({ length }, (_, i) => (((i + seed) * 7919 + ((i * i) % 31) * 13) % 17) / 8 - 1);
}

function caseOf(g: Geometry, transposed: boolean, constant: boolean): Case {
  const [small, large] = [
    [g.n, g.group * g.outer, ...outputOf(g)],
    [g.n, g.group * g.inner, ...g.input],
  ];
  const shape = [g.group * g.outer, g.inner, ...g.kernel];
  const [from, to] = transposed ? [small, large] : [large, small];
  const [x, w, dy] = [eighths(size(from), 1), eighths(size(shape), 5), eighths(size(to), 11)];
  const [dx, dw] = [new Array<number>(x.length).fill(0), new Array<number>(w.length).fill(0)];
  everyProduct(g, (a, t, b) => {
    const [p, q] = transposed ? [b, a] : [a, b];
    dx[p]! += dy[q]! * w[t]!;
    dw[t]! += dy[q]! * x[p]!;
  });
  const db = new Array<number>(to[1]!).fill(0);
  const plane = to[2]! * to[3]!;
  dy.forEach((value, i) => {
    db[Math.floor(i / plane) % to[1]!]! += value;
  });
  const rest = g.input.map((length, i) => {
    const covered = (outputOf(g)[i]! - 1) * g.strides[i]! + (g.kernel[i]! - 1) * g.dilations[i]! + 1;
    return length + g.pads[i]! + g.pads[i + 2]! - covered;
  });
  const input = (values: readonly number[], dims: readonly number[], fixed: boolean) =>
    ({ dtype: "float32", shape: dims, values, differentiable: true, constant: fixed }) as const;
  return {
    name: "random",
    op: transposed ? "ConvTranspose" : "Conv",
    opset: 18,
    attributes: {
      ...{ kernel_shape: g.kernel, strides: g.strides, dilations: g.dilations, pads: g.pads, group: g.group },
      ...(transposed ? { output_padding: rest } : {}),
    },
    inputs: [input(x, from, false), input(w, shape, constant), input(eighths(to[1]!, 3), [to[1]!], constant)],
    outputs: [{ dtype: "float32", shape: to, values: [] }],
    cotangents: [dy],
    gradients: [dx, dw, db],
  };
}

const wide = fc.integer({ min: 14, max: 20 });
const narrow = fc.integer({ min: 1, max: 3 });
const kinds = {
  "many channels": geometries(wide, narrow, fc.constant(1)),
  "few channels": geometries(narrow, narrow, fc.constant(1)),
  groups: geometries(narrow, narrow, fc.integer({ min: 2, max: 4 })),
  depthwise: geometries(fc.constant(1), fc.constant(1), fc.integer({ min: 2, max: 18 })),
} as const;

describe.each(Object.entries(kinds))("%s", (_, geometry) => {
  test.each([
    ["Conv", false],
    ["ConvTranspose", true],
  ] as const)("%s equals its loops", async (_, transposed) => {
    await fc.assert(
      fc.asyncProperty(geometry, fc.boolean(), fc.boolean(), async (g, constant, open) => {
        // The batch is found by a longer first axis of all that is no constant: a filter has none.
        const batch = constant && open;
        const one = caseOf(g, transposed, constant);
        expect(await disagreements(one, transposed ? convTranspose : conv, { batch, tolerance: 1e-5 })).toEqual([]);
      }),
      { seed: 20, numRuns: 40 },
    );
  });
});

test("a filter of many entries has its windows written out", async () => {
  const g: Geometry = {
    ...{ n: 2, group: 1, inner: 260, outer: 256, kernel: [2, 1], strides: [1, 2], dilations: [1, 1] },
    ...{ pads: [1, 0, 0, 0], input: [3, 3] },
  };
  expect(await disagreements(caseOf(g, false, true), conv, { batch: true })).toEqual([]);
});
