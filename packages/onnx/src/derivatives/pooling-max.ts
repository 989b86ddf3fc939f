import type { Derivative } from "../derivative.ts";
import { attribute, ints } from "../graph.ts";
import { grid, notNegative, product, spatial, type Windows, windowsOf } from "./conv-geometry.ts";
import { spread } from "./conv-nodes.ts";
import {
  type Context,
  floats,
  pad,
  range,
  reduceSum,
  refuse,
  reshapeLike,
  scalar,
  shapeOf,
  toFloat,
} from "./shared.ts";

/*
 * dx = dy where x is its window's maximum. Equal maxima share dy equally, so that nothing is counted twice; PyTorch gives
 * it all to the first. They differ at plateaus only, where both are subgradients: the common one, zeros behind Relu,
 * sends nothing back in either.
 *
 * Measured at [64, 32, 28, 28], 2x2, one core, forward pass left out: by Resize (below) 2.7 ms; the same with the first
 * maximum by a product with a triangular matrix 4.3; Resize and Where 3.8; by broadcasting over [.., 14, 2, 14, 2] 22;
 * MaxPool's indices and ScatterElements 9.0, of which 7.2 is MaxPool with indices; MaxUnpool 8.3, and not everywhere.
 * Overlapping, [8, 64, 112, 112], 3x3, stride 2: with windows written out (below) 62 ms; indices and ScatterElements 62,
 * and providers lack them; tap by tap with Slice 90.
 */
export const maxPool: Derivative = (c, [dy]) => {
  const { node } = c;
  const [x, y] = [node.inputs[0]!, node.outputs[0]!];
  if (dy === undefined || !c.needs(0)) return [];
  const [from, to] = [spatial(c, shapeOf(c, x)), spatial(c, shapeOf(c, y))];
  const kernel = kernelOf(c);
  const windows = windowsOf(node, kernel, from, to);
  if (isWhole(windows)) return [fromWhole(c, dy, x, y)];
  return [isTiling(windows) ? fromTiles(c, dy, x, y, windows) : fromWindows(c, dy, x, y, windows)];
};

/** dx = dy where x is the maximum of its channel. */
export const globalMaxPool: Derivative = (c, [dy]) =>
  dy === undefined || !c.needs(0) ? [] : [fromWhole(c, dy, c.node.inputs[0]!, c.node.outputs[0]!)];

export const kernelOf = (c: Context): readonly number[] => ints(c.node, "kernel_shape") ?? [];

/** One window, over everything. */
export const isWhole = ({ output, kernel, input, begin }: Windows): boolean =>
  output.every((length, i) => length === 1 && kernel[i] === input[i] && begin[i] === 0);

/** Windows side by side from the start, none beyond the end. */
export const isTiling = ({ kernel, strides, dilations, begin, end }: Windows): boolean =>
  kernel.every((k, i) => k === strides[i] && (k === 1 || dilations[i] === 1) && begin[i] === 0 && end[i]! <= 0);

/** Every value repeated over its tile, zeros behind the last. */
export function repeat(c: Context, value: string, { kernel, end }: Windows): string {
  const scales = c.b.constant({ dtype: "float32", shape: [kernel.length + 2], data: Float32Array.of(1, 1, ...kernel) });
  const large = c.b.add("Resize", [value, "", scales], {
    mode: attribute.string("nearest"),
    coordinate_transformation_mode: attribute.string("asymmetric"),
    nearest_mode: attribute.string("floor"),
  });
  return pad(c, large, [0, 0, ...kernel.map(() => 0)], [0, 0, ...end.map((length) => -length)]);
}

function fromWhole(c: Context, dy: string, x: string, y: string): string {
  const top = toFloat(c, c.b.add("Equal", [x, y]), x);
  const count = reduceSum(c, top, range(2, shapeOf(c, x).length));
  return c.b.add("Mul", [top, c.b.add("Div", [dy, count])]);
}

function fromTiles(c: Context, dy: string, x: string, y: string, windows: Windows): string {
  const { kernel } = windows;
  const top = toFloat(c, c.b.add("Equal", [x, repeat(c, y, windows)]), x);
  // The mean of 0s and 1s, for the kernel that every provider has made fast.
  const share = c.b.add("AveragePool", [top], {
    kernel_shape: attribute.ints(kernel),
    strides: attribute.ints(kernel),
  });
  const part = c.b.add("Div", [c.b.add("Mul", [dy, scalar(c, x, 1 / product(kernel))]), share]);
  return c.b.add("Mul", [top, repeat(c, part, windows)]);
}

/** Writes the windows out by a convolution with a filter for each tap, and adds them up again by its transpose. */
function fromWindows(c: Context, dy: string, x: string, y: string, windows: Windows): string {
  const { kernel, strides, dilations, begin, end, input, output } = windows;
  if (product(kernel) > 2 ** 12) refuse(c, `its windows have ${product(kernel)} entries`);
  const taps = grid(kernel);
  const { dtype } = c.type(x);
  const identity = taps.flatMap((_, i) => taps.map((_, j) => (i === j ? 1 : 0)));
  const filter = floats(c, dtype, [taps.length, 1, ...kernel], identity);
  const planes = c.b.add("Reshape", [x, c.b.int64([-1, 1, ...input])]);
  const padded = padLow(c, planes, [0, 0, ...begin], [0, 0, ...notNegative(end)], x);
  const columns = c.b.add("Conv", [padded, filter], {
    strides: attribute.ints(strides),
    dilations: attribute.ints(dilations),
  });
  const positions = product(output);
  const flat = (value: string, rows: number): string => c.b.add("Reshape", [value, c.b.int64([-1, rows, positions])]);
  const top = toFloat(c, c.b.add("Equal", [flat(columns, taps.length), flat(y, 1)]), x);
  // A window that lies in the padding has no maximum.
  const count = c.b.add("Max", [reduceSum(c, top, [1]), scalar(c, x, 1)]);
  const parts = c.b.add("Mul", [top, c.b.add("Div", [flat(dy, 1), count])]);
  const back = c.b.add("Reshape", [parts, c.b.int64([-1, taps.length, ...output])]);
  return reshapeLike(c, spread(c, back, filter, windows, 1), x);
}

const LOWEST = { float16: -65504, float32: -3.4028234663852886e38, float64: -Number.MAX_VALUE } as const;

function padLow(c: Context, value: string, before: number[], after: number[], like: string): string {
  if ([...before, ...after].every((length) => length === 0)) return value;
  const lowest = scalar(c, like, LOWEST[c.type(like).dtype as keyof typeof LOWEST]);
  return c.b.add("Pad", [value, c.b.int64([...before, ...after]), lowest]);
}
