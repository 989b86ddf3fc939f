import { attribute, type Tensor } from "../graph.ts";
import { grid, notNegative, product, type Windows } from "./conv-geometry.ts";
import { type Context, isStatic, pad, range, refuse, shapeOf, slice } from "./shared.ts";

/** Conv of `x` with `w` along windows: [n, channels, ...input] to [n, filters, ...output]. */
export function convolve(c: Context, x: string, w: string, windows: Windows, group: number): string {
  const { strides, dilations, begin, end, output } = windows;
  const y = c.b.add("Conv", [x, w], {
    strides: attribute.ints(strides),
    dilations: attribute.ints(dilations),
    pads: attribute.ints([...begin, ...notNegative(end)]),
    group: attribute.int(group),
  });
  // Entries behind the last window make a further one only where they are as many as a stride.
  const over = range(0, end.length).filter((i) => -end[i]! >= strides[i]!);
  if (over.length === 0) return y;
  const ends = over.map((i) => output[i]!);
  return slice(
    c,
    y,
    over.map((i) => i + 2),
    over.map(() => 0),
    ends,
  );
}

/** The transpose of `convolve` in x: [n, filters, ...output] to [n, channels, ...input]. */
export function spread(c: Context, dy: string, w: string, windows: Windows, group: number): string {
  const { strides, dilations, begin, end } = windows;
  const trim = [...begin, ...notNegative(end)];
  const rest = notNegative(end.map((length) => -length));
  const short = rest.some((length, i) => length >= strides[i]!);
  const dx = c.b.add("ConvTranspose", [dy, w], {
    strides: attribute.ints(strides),
    dilations: attribute.ints(dilations),
    pads: attribute.ints(trim),
    ...(rest.some((length) => length > 0) && !short ? { output_padding: attribute.ints(rest) } : {}),
    group: attribute.int(group),
  });
  return short ? pad(c, dx, [0, 0, ...rest.map(() => 0)], [0, 0, ...rest]) : dx;
}

/**
 * dx of y = Conv(x, w), by one of two nodes. Measured on one core at batch 64 or 8, ConvTranspose against Conv with the
 * filter turned over: 32 channels 14x14 from 64, 5x5: 17.8 ms, 14.0; 64 channels 56x56, 3x3: 28.9, 24.5; depthwise 96
 * channels 56x56: 10.6, 4.9; 16 channels 32x32: 7.9, 4.5; but 12: 7.2, 7.6; 3: 5.9, 14.4; 1 channel 28x28 from 32, 5x5:
 * 2.1, 13.7; 1x1: 13.1, 19.7. With a stride, sub-pixel convolutions lose everywhere: 64 channels 56x56 from 128, stride
 * 2, 3x3: 14.6, 19.6; 16 channels 14x14, 4x4: 1.1, 1.4. With filters that are computed: 64 channels 56x56: 29.4, 24.1.
 */
export function inputGradient(c: Context, dy: string, w: string, windows: Windows, group: number): string {
  const { kernel, strides, dilations, begin, end } = windows;
  const reach = kernel.map((length, i) => (length - 1) * dilations[i]!);
  const turned = {
    ...windows,
    begin: reach.map((length, i) => length - begin[i]!),
    end: reach.map((length, i) => length - end[i]!),
    input: windows.output,
    output: windows.input,
  };
  const possible = strides.every((s) => s === 1) && [...turned.begin, ...turned.end].every((length) => length >= 0);
  const wide = group > 1 || (shapeOf(c, w)[1] as number) >= 16;
  if (possible && wide && product(kernel) > 1) return convolve(c, dy, turnedFilter(c, w, group), turned, group);
  return spread(c, dy, w, windows, group);
}

/** w[o, i, t] as w'[i, o, -t], within each group: once, where the filter is constant. */
function turnedFilter(c: Context, w: string, group: number): string {
  const [filters, inner, ...kernel] = lengths(c, w);
  const outer = filters! / group;
  const shape = [group * inner!, outer, ...kernel];
  const known = c.constant(w);
  if (known !== undefined) return c.b.constant(turnedOver(known, [group, outer, inner!, product(kernel)], shape));
  const axes = range(2, 2 + kernel.length).filter((axis) => kernel[axis - 2]! > 1);
  const last = axes.map(() => -1);
  const ends = axes.map((axis) => -kernel[axis - 2]! - 1);
  const turned = slice(c, w, axes, last, ends, last);
  const rest = range(2, 2 + kernel.length);
  if (group === 1) return c.b.add("Transpose", [turned], { perm: attribute.ints([1, 0, ...rest]) });
  if (outer === 1 && inner === 1) return turned;
  const split = c.b.add("Reshape", [turned, c.b.int64([group, outer, inner!, ...kernel])]);
  const swapped = c.b.add("Transpose", [split], { perm: attribute.ints([0, 2, 1, ...rest.map((axis) => axis + 1)]) });
  return c.b.add("Reshape", [swapped, c.b.int64(shape)]);
}

function turnedOver(w: Tensor, sizes: readonly number[], shape: readonly number[]): Tensor {
  const [groups, outer, inner, taps] = sizes as [number, number, number, number];
  const from = w.data as Float32Array;
  const data = from.slice();
  for (let g = 0; g < groups; g++) {
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const [source, target] = [((g * outer + o) * inner + i) * taps, ((g * inner + i) * outer + o) * taps];
        for (let t = 0; t < taps; t++) data[target + t] = from[source + taps - 1 - t]!;
      }
    }
  }
  return { dtype: w.dtype, shape, data } as Tensor;
}

/**
 * dw of y = Conv(x, w): dw[o, i, t] = sum over n and windows p of dy[n, o, p] x[n, i, stride p + dilation t]. As a
 * convolution with batch and channels exchanged, or as one product with the windows written out. Measured on one core:
 * 16 to 32 channels, 4x4, stride 2, batch 64: 1.4 ms against 2.7; 7x7, stride 2 at 224x224, batch 8: 40 against 53; 32
 * to 64, 5x5 at 14x14, batch 64: 24 both; but 3x3 at 56x56, 64 to 64, batch 8: 51 against 37; 512 to 512 at 7x7: 41
 * against 23; depthwise 3x3: 66 against 41. So by the number of taps, which is the width of the first one's products.
 */
export function filterGradient(c: Context, x: string, dy: string, sizes: Sizes): string {
  return sizes.group === 1 && product(sizes.windows.kernel) >= 16
    ? byConvolution(c, x, dy, sizes)
    : byProduct(c, x, dy, sizes);
}

export interface Sizes {
  readonly windows: Windows;
  readonly group: number;
  /** Channels of x. */
  readonly channels: number;
  /** Channels of dy. */
  readonly filters: number;
}

function byConvolution(c: Context, x: string, dy: string, { windows }: Sizes): string {
  const { kernel, strides, dilations, output } = windows;
  const exchanged = { ...windows, kernel: output, strides: dilations, dilations: strides, output: kernel };
  const dw = convolve(c, swapFirst(c, x, kernel.length + 2), swapFirst(c, dy, kernel.length + 2), exchanged, 1);
  return swapFirst(c, dw, kernel.length + 2);
}

const swapFirst = (c: Context, value: string, rank: number): string =>
  c.b.add("Transpose", [value], { perm: attribute.ints([1, 0, ...range(2, rank)]) });

function byProduct(c: Context, x: string, dy: string, sizes: Sizes): string {
  const { windows, group } = sizes;
  const { kernel, strides, dilations, begin, end, input, output } = windows;
  const [inner, outer, taps] = [sizes.channels / group, sizes.filters / group, product(kernel)];
  const space = range(0, kernel.length);
  // [group, inner, n, ...]: a group's channels before the batch.
  const split = c.b.add("Reshape", [x, c.b.int64([-1, group, inner, ...input])]);
  const front = c.b.add("Transpose", [split], { perm: attribute.ints([1, 2, 0, ...space.map((i) => i + 3)]) });
  const padded = pad(c, front, [0, 0, 0, ...begin], [0, 0, 0, ...notNegative(end)]);
  const axes = space.map((i) => i + 3);
  const whole = taps === 1 && end.every((length) => length === 0) && strides.every((s) => s === 1);
  const windowed = whole
    ? [padded]
    : grid(kernel).map((tap) => {
        const starts = tap.map((t, i) => t * dilations[i]!);
        const ends = starts.map((start, i) => start + (output[i]! - 1) * strides[i]! + 1);
        return slice(c, padded, axes, starts, ends, strides);
      });
  const joined = windowed.length === 1 ? windowed[0]! : c.b.add("Concat", windowed, { axis: attribute.int(1) });
  let dw: string;
  if (group === 1) {
    const columns = c.b.add("Reshape", [joined, c.b.int64([taps * inner, -1])]);
    const rows = c.b.add("Reshape", [swapFirst(c, dy, kernel.length + 2), c.b.int64([outer, -1])]);
    dw = c.b.add("Gemm", [rows, columns], { transB: attribute.int(1) });
    dw = c.b.add("Reshape", [dw, c.b.int64([outer, taps, inner])]);
    if (taps > 1 && inner > 1) dw = c.b.add("Transpose", [dw], { perm: attribute.ints([0, 2, 1]) });
  } else {
    const columns = c.b.add("Reshape", [joined, c.b.int64([group, taps * inner, -1])]);
    const parted = c.b.add("Reshape", [dy, c.b.int64([-1, group, outer, product(output)])]);
    const behind = c.b.add("Transpose", [parted], { perm: attribute.ints([1, 0, 3, 2]) });
    const rows = c.b.add("Reshape", [behind, c.b.int64([group, -1, outer])]);
    dw = c.b.add("MatMul", [columns, rows]);
    dw = c.b.add("Reshape", [dw, c.b.int64([group, taps, inner, outer])]);
    dw = c.b.add("Transpose", [dw], { perm: attribute.ints([0, 3, 2, 1]) });
  }
  return c.b.add("Reshape", [dw, c.b.int64([sizes.filters, inner, ...kernel])]);
}

function lengths(c: Context, name: string): readonly number[] {
  return shapeOf(c, name).map((dim) => (isStatic(dim) ? dim : refuse(c, `the shape of "${name}" is not known`)));
}
