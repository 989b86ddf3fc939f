import { attribute } from "../graph.ts";
import { grid, notNegative, product, type Windows } from "./conv-geometry.ts";
import { convolve } from "./conv-nodes.ts";
import { type Context, pad, range, slice } from "./shared.ts";

/** What the gradient of a filter is written for. */
export interface Sizes {
  readonly windows: Windows;
  readonly group: number;
  /** Channels of x. */
  readonly channels: number;
  /** Channels of dy. */
  readonly filters: number;
}

/**
 * dw of y = Conv(x, w): dw[o, i, t] = sum over n and windows p of dy[n, o, p] x[n, i, stride p + dilation t].
 *
 * In one of three ways: a convolution with batch and channels exchanged; one product with all windows written out; a
 * product for each tap. Milliseconds on one core, in this order:
 *
 * | channels, filters, output, kernel, stride, batch | convolution | windows | taps |
 * | --- | --- | --- | --- |
 * | 1, 32, 28x28, 5x5, 1, 64 | 3.2 | 3.4 | 4.2 |
 * | 3, 64, 32x32, 3x3, 1, 64 | 9.6 | 6.2 | 19 |
 * | 3, 64, 112x112, 7x7, 2, 8 | 40 | 55 | 192 |
 * | 16, 32, 7x7, 4x4, 2, 64 | 1.5 | 3.1 | 1.4 |
 * | 32, 64, 14x14, 5x5, 1, 64 | 24 | 25 | 16 |
 * | 64, 64, 56x56, 3x3, 1, 8 | 53 | 35 | 31 |
 * | 64, 128, 28x28, 3x3, 2, 8 | 21 | 18 | 14 |
 * | 256, 256, 14x14, 3x3, 1, 8 | 36 | 22.6 | 23.2 |
 * | 512, 512, 7x7, 3x3, 1, 8 | 38 | 23 | 30 |
 * | 64, 256, 56x56, 1x1, 1, 8 | 70 | 12.3 | 13.0 |
 * | 96 depthwise, 56x56, 3x3, 1, 8 | 66 | 41 | |
 */
export function filterGradient(c: Context, x: string, dy: string, sizes: Sizes): string {
  const taps = product(sizes.windows.kernel);
  if (sizes.group > 1 || taps === 1) return byWindows(c, x, dy, sizes);
  if (sizes.channels >= 16 && sizes.channels * sizes.filters < 2 ** 16) return byTaps(c, x, dy, sizes);
  return taps >= 16 && sizes.channels < 16 ? byConvolution(c, x, dy, sizes) : byWindows(c, x, dy, sizes);
}

function byConvolution(c: Context, x: string, dy: string, { windows }: Sizes): string {
  const { kernel, strides, dilations, output } = windows;
  const exchanged = { ...windows, kernel: output, strides: dilations, dilations: strides, output: kernel };
  const dw = convolve(c, swapFirst(c, x, kernel.length + 2), swapFirst(c, dy, kernel.length + 2), exchanged, 1);
  return swapFirst(c, dw, kernel.length + 2);
}

const swapFirst = (c: Context, value: string, rank: number): string =>
  c.b.add("Transpose", [value], { perm: attribute.ints([1, 0, ...range(2, rank)]) });

/** What each tap meets, for taps in row-major order; `first` is the first spatial axis of `padded`. */
function tapped(c: Context, padded: string, first: number, { kernel, strides, dilations, output }: Windows): string[] {
  const axes = kernel.map((_, i) => first + i);
  const steps = strides.every((stride) => stride === 1) ? undefined : strides;
  return grid(kernel).map((tap) => {
    const starts = tap.map((t, i) => t * dilations[i]!);
    const ends = starts.map((start, i) => start + (output[i]! - 1) * strides[i]! + 1);
    return slice(c, padded, axes, starts, ends, steps);
  });
}

/** For each tap [filters, n p] [n p, channels]. */
function byTaps(c: Context, x: string, dy: string, { windows, channels, filters }: Sizes): string {
  const { kernel, begin, end } = windows;
  const rank = kernel.length + 2;
  const last = c.b.add("Transpose", [x], { perm: attribute.ints([0, ...range(2, rank), 1]) });
  const padded = pad(c, last, [0, ...begin, 0], [0, ...notNegative(end), 0]);
  const rows = c.b.add("Reshape", [swapFirst(c, dy, rank), c.b.int64([filters, -1])]);
  const products = tapped(c, padded, 1, windows).map((met) => {
    const columns = c.b.add("Reshape", [met, c.b.int64([-1, channels])]);
    return c.b.add("Reshape", [c.b.add("MatMul", [rows, columns]), c.b.int64([1, filters, channels])]);
  });
  const all = c.b.add("Concat", products, { axis: attribute.int(0) });
  const dw = c.b.add("Transpose", [all], { perm: attribute.ints([1, 2, 0]) });
  return c.b.add("Reshape", [dw, c.b.int64([filters, channels, ...kernel])]);
}

/** For each group [outer, n p] [n p, taps inner], of `inner` channels and `outer` filters. */
function byWindows(c: Context, x: string, dy: string, sizes: Sizes): string {
  const { windows, group } = sizes;
  const { kernel, strides, begin, end, input, output } = windows;
  const [inner, outer, taps] = [sizes.channels / group, sizes.filters / group, product(kernel)];
  // [group, inner, n, ...]: a group's channels before the batch.
  const split = c.b.add("Reshape", [x, c.b.int64([-1, group, inner, ...input])]);
  const front = c.b.add("Transpose", [split], { perm: attribute.ints([1, 2, 0, ...kernel.map((_, i) => i + 3)]) });
  const padded = pad(c, front, [0, 0, 0, ...begin], [0, 0, 0, ...notNegative(end)]);
  const whole = taps === 1 && end.every((length) => length === 0) && strides.every((stride) => stride === 1);
  const parts = whole ? [padded] : tapped(c, padded, 3, windows);
  const joined = parts.length === 1 ? parts[0]! : c.b.add("Concat", parts, { axis: attribute.int(1) });
  const shape = [sizes.filters, inner, ...kernel];
  if (group === 1) {
    const columns = c.b.add("Reshape", [joined, c.b.int64([taps * inner, -1])]);
    const rows = c.b.add("Reshape", [swapFirst(c, dy, kernel.length + 2), c.b.int64([outer, -1])]);
    const dw = c.b.add("Gemm", [rows, columns], { transB: attribute.int(1) });
    if (taps === 1 || inner === 1) return c.b.add("Reshape", [dw, c.b.int64(shape)]);
    const apart = c.b.add("Reshape", [dw, c.b.int64([outer, taps, inner])]);
    const turned = c.b.add("Transpose", [apart], { perm: attribute.ints([0, 2, 1]) });
    return c.b.add("Reshape", [turned, c.b.int64(shape)]);
  }
  const columns = c.b.add("Reshape", [joined, c.b.int64([group, taps * inner, -1])]);
  const parted = c.b.add("Reshape", [dy, c.b.int64([-1, group, outer, product(output)])]);
  const behind = c.b.add("Transpose", [parted], { perm: attribute.ints([1, 0, 3, 2]) });
  const dw = c.b.add("MatMul", [columns, c.b.add("Reshape", [behind, c.b.int64([group, -1, outer])])]);
  const apart = c.b.add("Reshape", [dw, c.b.int64([group, taps, inner, outer])]);
  const turned = c.b.add("Transpose", [apart], { perm: attribute.ints([0, 3, 2, 1]) });
  return c.b.add("Reshape", [turned, c.b.int64(shape)]);
}
