import type { KernelFunc, NamedAttrMap } from "@tensorflow/tfjs-core";
import { type Axis, type Geometry, poolGeometry } from "./geometry.ts";
import { allocate, floats, integers, type WasmBackend } from "./heap.ts";

/** The half-open range of window positions k whose input lies inside, for output `j`. */
const inside = (axis: Axis, j: number): [first: number, end: number] => {
  const corner = j * axis.stride - axis.before;
  return [Math.max(0, -corner), Math.min(axis.taps, axis.input - corner)];
};

/** MaxPoolGrad: dy goes to the first largest element of each window, as on the cpu backend. */
export const maxPoolGradient: KernelFunc = (args) => {
  const backend = args.backend as WasmBackend;
  const x = args.inputs.input!;
  const dy = args.inputs.dy!;
  const geometry = poolGeometry(x.shape, dy.shape, args.attrs as NamedAttrMap);
  const dx = allocate(backend, x.shape);
  const to = floats(backend, dx);
  to.fill(0);
  routeToMaxima(integers(backend, x), floats(backend, dy), to, geometry);
  return dx;
};

/**
 * Which element is largest is as good as random, and a branch on it is mispredicted half the time: so floats are compared
 * as integers in the same order (both zeros are 0, a NaN lies beyond infinity), and the choice is made by masks.
 */
function routeToMaxima(x: Int32Array, dy: Float32Array, dx: Float32Array, geometry: Geometry): void {
  const { batch, rows, columns, inChannels: channels } = geometry;
  const rowSize = columns.input * channels;
  let at = 0;
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < rows.output; i++) {
      const [top, bottom] = inside(rows, i);
      for (let j = 0; j < columns.output; j++) {
        const [left, right] = inside(columns, j);
        if (top >= bottom || left >= right) {
          at += channels;
          continue;
        }
        const corner =
          ((n * rows.input + i * rows.stride - rows.before) * columns.input + j * columns.stride - columns.before) *
          channels;
        for (let c = 0; c < channels; c++, at++) {
          let largest = -0x80000000;
          let where = 0;
          for (let k = top; k < bottom; k++) {
            let place = (corner + k * rowSize + left * channels + c) | 0;
            for (let l = left; l < right; l++) {
              const bits = x[place]!;
              const sign = bits >> 31;
              const key = (((bits & 0x7fffffff) ^ sign) - sign) | 0;
              // All ones where largest < key: the sign of their difference, unless that overflows.
              const larger = ((largest & ~key) | (~(largest ^ key) & (largest - key))) >> 31;
              largest ^= (largest ^ key) & larger;
              where ^= (where ^ place) & larger;
              place = (place + channels) | 0;
            }
          }
          dx[where] = dx[where]! + dy[at]!;
        }
      }
    }
  }
}

/** AvgPoolGrad: dy shared among the elements of the window that lie inside the input, which is what the forward op averages. */
export const avgPoolGradient: KernelFunc = (args) => {
  const backend = args.backend as WasmBackend;
  const x = args.inputs.input!;
  const dy = args.inputs.dy!;
  const geometry = poolGeometry(x.shape, dy.shape, args.attrs as NamedAttrMap);
  const dx = allocate(backend, x.shape);
  const to = floats(backend, dx);
  to.fill(0);
  shareEvenly(floats(backend, dy), to, geometry);
  return dx;
};

function shareEvenly(dy: Float32Array, dx: Float32Array, geometry: Geometry): void {
  const { batch, rows, columns, inChannels: channels } = geometry;
  const rowSize = columns.input * channels;
  let at = 0;
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < rows.output; i++) {
      const [top, bottom] = inside(rows, i);
      for (let j = 0; j < columns.output; j++, at += channels) {
        const [left, right] = inside(columns, j);
        const share = 1 / ((bottom - top) * (right - left));
        const corner =
          ((n * rows.input + i * rows.stride - rows.before) * columns.input + j * columns.stride - columns.before) *
          channels;
        for (let k = top; k < bottom; k++) {
          let place = corner + k * rowSize + left * channels;
          for (let l = left; l < right; l++) {
            for (let c = 0; c < channels; c++, place++) dx[place] = dx[place]! + share * dy[at + c]!;
          }
        }
      }
    }
  }
}
