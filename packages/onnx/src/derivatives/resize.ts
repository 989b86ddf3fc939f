import type { Derivatives, Dim } from "../derivative.ts";
import { float, int, ints, string } from "../graph.ts";
import {
  axisOf,
  type Context,
  isStatic,
  numbersOf,
  range,
  reduceSum,
  refuse,
  reshape,
  sameDim,
  shapeOf,
  transposedAlong,
  zeroMatrix,
} from "./shared.ts";

/** Resampling: linear in its input, axis by axis, so that each axis is a product with a matrix. */
export const resize: Derivatives = {
  Resize: (c, [dy]) => [resized(c, dy!, string(c.node, "mode", "nearest"))],
};

function resized(c: Context, dy: string, mode: string): string {
  const [x, y] = [c.node.inputs[0]!, c.node.outputs[0]!];
  const [from, to] = [shapeOf(c, x), shapeOf(c, y)];
  if (int(c.node, "antialias", 0) !== 0) refuse(c, "antialias");
  const axes = (ints(c.node, "axes") ?? range(0, from.length)).map((axis) => axisOf(axis, from.length));
  const scales = constantScales(c);
  const shape: Dim[] = [...to];
  const changed = axes.flatMap((axis, k) => {
    const [input, output] = [from[axis]!, to[axis]!];
    if (sameDim(input, output) && (scales[k] ?? 1) === 1) return [];
    if (!isStatic(input) || !isStatic(output)) return refuse(c, "it resizes the batch");
    return [{ axis, input, output, scale: scales[k] ?? output / input }];
  });
  const factors = changed.map(({ input, output, scale }) =>
    output === input * scale && Number.isInteger(scale) ? scale : 0,
  );
  if (mode === "nearest" && !factors.includes(0) && changed.every((one) => copies(c, one))) {
    // Every entry is a block of copies: their sum.
    const split = to.flatMap((dim, axis): Dim[] => {
      const one = changed.find((candidate) => candidate.axis === axis);
      return one === undefined ? [dim] : [one.input, one.scale];
    });
    const sums = changed.map(({ axis }) => axis + changed.filter((one) => one.axis <= axis).length);
    if (split.filter((dim) => !isStatic(dim)).length <= 1) return reduceSum(c, reshape(c, dy, split), sums, false);
  }
  let value = dy;
  for (const { axis, input, output, scale } of changed) {
    const values = matrix(c, mode, input, output, scale);
    value = transposedAlong(c, value, shape, axis, { rows: output, columns: input, values });
    shape[axis] = input;
  }
  return value;
}

/** The scales given, none where the sizes are. */
function constantScales(c: Context): readonly number[] {
  const name = c.node.inputs[2] ?? "";
  const tensor = name === "" ? undefined : c.constant(name);
  return tensor === undefined ? [] : numbersOf(tensor);
}

interface Axis {
  readonly input: number;
  readonly output: number;
  readonly scale: number;
}

/** Whether output o is a copy of input floor(o / scale). */
function copies(c: Context, { input, output, scale }: Axis): boolean {
  return range(0, output).every((o) => nearest(c, o, input, output, scale) === Math.floor(o / scale));
}

/** Where output `o` lies among the inputs. */
function coordinate(c: Context, o: number, input: number, output: number, scale: number): number {
  const mode = string(c.node, "coordinate_transformation_mode", "half_pixel");
  if (mode === "asymmetric") return o / scale;
  if (mode === "align_corners") return output === 1 ? 0 : (o * (input - 1)) / (output - 1);
  if (mode === "half_pixel") return (o + 0.5) / scale - 0.5;
  if (mode === "pytorch_half_pixel") return output > 1 ? (o + 0.5) / scale - 0.5 : 0;
  if (mode === "half_pixel_symmetric") {
    const adjustment = output / (scale * input);
    return (input / 2) * (1 - adjustment) + (o + 0.5) / scale - 0.5;
  }
  return refuse(c, `coordinate mode "${mode}"`);
}

function nearest(c: Context, o: number, input: number, output: number, scale: number): number {
  // onnxruntime reckons in float32: a coordinate that is whole but for the rounding is whole.
  const at = Math.fround(coordinate(c, o, input, output, scale));
  const mode = string(c.node, "nearest_mode", "round_prefer_floor");
  const round: Record<string, (v: number) => number> = {
    floor: Math.floor,
    ceil: Math.ceil,
    round_prefer_floor: (v) => Math.ceil(v - 0.5),
    round_prefer_ceil: (v) => Math.floor(v + 0.5),
  };
  const rounded = round[mode]?.(at) ?? refuse(c, `nearest mode "${mode}"`);
  return Math.min(Math.max(rounded, 0), input - 1);
}

/** The share of each input in each output: [output, input]. */
function matrix(c: Context, mode: string, input: number, output: number, scale: number): Float64Array {
  const values = zeroMatrix(c, output, input);
  const put = (o: number, i: number, weight: number): void => {
    values[o * input + Math.min(Math.max(i, 0), input - 1)]! += weight;
  };
  for (let o = 0; o < output; o++) {
    if (mode === "nearest") {
      put(o, nearest(c, o, input, output, scale), 1);
      continue;
    }
    const at = coordinate(c, o, input, output, scale);
    if (mode === "linear") {
      const within = Math.min(Math.max(at, 0), input - 1);
      const low = Math.floor(within);
      put(o, low, 1 - (within - low));
      put(o, low + 1, within - low);
    } else {
      for (const [i, weight] of cubic(c, at, input)) put(o, i, weight);
    }
  }
  return values;
}

/** The four taps of cubic convolution (Keys 1981, equation 4). */
function cubic(c: Context, at: number, input: number): [number, number][] {
  const a = float(c.node, "cubic_coeff_a", -0.75);
  const low = Math.floor(at);
  const weights = [-1, 0, 1, 2].map((k): [number, number] => {
    const s = Math.abs(at - low - k);
    const weight = s <= 1 ? ((a + 2) * s - (a + 3)) * s * s + 1 : s < 2 ? (((s - 5) * s + 8) * s - 4) * a : 0;
    return [low + k, weight];
  });
  if (int(c.node, "exclude_outside", 0) === 0) return weights;
  const inside = weights.filter(([i]) => i >= 0 && i < input);
  const total = inside.reduce((sum, [, weight]) => sum + weight, 0);
  return inside.map(([i, weight]) => [i, weight / total]);
}
