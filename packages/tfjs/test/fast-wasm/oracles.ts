import { expect } from "vitest";
import type { Values } from "./backends.ts";

/** Reproducible test values in [-1, 1): mulberry32. */
export function values(shape: number[], seed: number): Values {
  let state = (seed * 0x9e3779b9 + 1) >>> 0;
  const data = Float32Array.from({ length: sizeOf(shape) }, () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
  return { shape, data };
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

export const absolute = ({ shape, data }: Values): Values => ({ shape, data: data.map(Math.abs) });

/**
 * Asserts |actual - expected| <= (terms + 2) u magnitude, element by element, with u = 2^-24. A float32 sum of `terms`
 * products in any order errs by at most terms u / (1 - terms u) times the sum of their magnitudes (Higham, Accuracy and
 * Stability of Numerical Algorithms, 2002, section 3.1); the two more are for rounding the reference and for that quotient.
 */
export function expectWithin(actual: Values, expected: Values, magnitude: Values, terms: number): void {
  expect(actual.shape).toEqual(expected.shape);
  let worst = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const bound = (terms + 2) * 2 ** -24 * magnitude.data[i]!;
    const error = Math.abs(actual.data[i]! - expected.data[i]!);
    // Not `error > bound`, which NaN would pass.
    if (!(error <= bound))
      worst = Math.max(worst, bound === 0 ? Number.POSITIVE_INFINITY : error / bound) || Number.NaN;
  }
  expect(worst, "largest error over its bound").toBe(0);
}

/** What convolves: y(j) reads x(j stride + k dilation - before). */
export interface Layer {
  readonly input: [height: number, width: number];
  readonly output: [height: number, width: number];
  readonly taps: [height: number, width: number];
  readonly strides: [height: number, width: number];
  readonly dilations: [height: number, width: number];
  readonly before: [top: number, left: number];
}

type Visit = (x: number, w: number, y: number) => void;

/** Visits every product x[...] w[...] of a convolution and the y[...] it is added to, as flat indices. */
export function eachProduct(
  { input, output, taps, strides, dilations, before }: Layer,
  batch: number,
  inChannels: number,
  outChannels: number,
  depthwise: boolean,
  visit: Visit,
): void {
  const multiplier = outChannels / inChannels;
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < output[0]; i++) {
      for (let j = 0; j < output[1]; j++) {
        const y = ((n * output[0] + i) * output[1] + j) * outChannels;
        for (let k = 0; k < taps[0]; k++) {
          const row = i * strides[0] + k * dilations[0] - before[0];
          if (row < 0 || row >= input[0]) continue;
          for (let l = 0; l < taps[1]; l++) {
            const column = j * strides[1] + l * dilations[1] - before[1];
            if (column < 0 || column >= input[1]) continue;
            const x = ((n * input[0] + row) * input[1] + column) * inChannels;
            const w = (k * taps[1] + l) * inChannels;
            for (let c = 0; c < inChannels; c++) {
              if (depthwise) {
                for (let m = 0; m < multiplier; m++) visit(x + c, (w + c) * multiplier + m, y + c * multiplier + m);
              } else {
                for (let o = 0; o < outChannels; o++) visit(x + c, (w + c) * outChannels + o, y + o);
              }
            }
          }
        }
      }
    }
  }
}

/**
 * The derivative of a linear functional of `at` by central differences in float64. The functional is linear, so the step
 * need not be small and the difference is exact but for float64 rounding.
 */
export function centralDifferences(functional: (at: Float64Array) => number, at: Values): Values {
  const point = Float64Array.from(at.data);
  const data = at.data.map((_, i) => {
    const here = point[i]!;
    point[i] = here + 1;
    const up = functional(point);
    point[i] = here - 1;
    const down = functional(point);
    point[i] = here;
    return (up - down) / 2;
  });
  return { shape: at.shape, data };
}
