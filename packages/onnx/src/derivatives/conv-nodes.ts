import { convolution, isBlockable } from "../blocked.ts";
import { attribute, type Tensor } from "../graph.ts";
import { notNegative, product, type Windows } from "./conv-geometry.ts";
import { type Context, isStatic, pad, range, refuse, shapeOf, slice } from "./shared.ts";

/**
 * Conv of `x` with `w` along windows: [n, channels, ...input] to [n, filters, ...output]. In blocks of channels where the
 * filter's shape is given and they are faster.
 */
export function convolve(
  c: Context,
  x: string,
  w: string,
  windows: Windows,
  group: number,
  filter: readonly number[] = [],
): string {
  const { strides, dilations, begin, end, output } = windows;
  const attributes = {
    strides: attribute.ints(strides),
    dilations: attribute.ints(dilations),
    pads: attribute.ints([...begin, ...notNegative(end)]),
    group: attribute.int(group),
  };
  const y = isBlockable(c.b.block, filter, group)
    ? convolution(c.b, [x, w], filter, attributes)
    : c.b.add("Conv", [x, w], attributes);
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
  if (possible && wide && product(kernel) > 1) {
    const [filters, inner, ...rest] = lengths(c, w);
    // A constant one is laid out by onnxruntime itself.
    const shape = c.constant(w) === undefined ? [group * inner!, filters! / group, ...rest] : [];
    return convolve(c, dy, turnedFilter(c, w, group), turned, group, shape);
  }
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

function lengths(c: Context, name: string): readonly number[] {
  return shapeOf(c, name).map((dim) => (isStatic(dim) ? dim : refuse(c, `the shape of "${name}" is not known`)));
}
