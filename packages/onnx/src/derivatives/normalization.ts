import type { Derivatives } from "../derivative.ts";
import { attribute, float, int } from "../graph.ts";
import {
  axisOf,
  type Context,
  floats,
  has,
  isStatic,
  range,
  rankOf,
  reduceMean,
  reduceSum,
  refuse,
  reshape,
  reshapeLike,
  type Shape,
  scalar,
  shapeOf,
  unbroadcastTo,
} from "./shared.ts";

const op =
  (name: string) =>
  (c: Context, ...inputs: string[]): string =>
    c.b.add(name, inputs);
const mul = op("Mul");
const sub = op("Sub");

const numbers = (c: Context, shape: Shape): number[] =>
  shape.map((dim) => (isStatic(dim) ? dim : refuse(c, "it normalises over the batch")));

interface Normalized {
  /** (x - mean) / deviation. */
  readonly value: string;
  /** 1 / deviation. */
  readonly inverse: string;
}

/** x normalised over the axes from `axis` on: one kernel, which hands out the deviation, too. */
function normalized(c: Context, x: string, shape: Shape, axis: number, epsilon: number): Normalized {
  const inner = numbers(c, shape.slice(axis));
  const size = inner.reduce((a, d) => a * d, 1);
  const ones = floats(c, c.type(c.node.inputs[0]!).dtype, inner, new Array(size).fill(1));
  const [value, , inverse] = c.b.addMany("LayerNormalization", [x, ones], 3, {
    axis: attribute.int(axis),
    epsilon: attribute.float(epsilon),
  });
  return { value: value!, inverse: inverse! };
}

/** inverse (g - mean(g) - value mean(g value)): back through (x - mean) / deviation. */
function through(c: Context, g: string, { value, inverse }: Normalized, axes: readonly number[]): string {
  const along = mul(c, value, reduceMean(c, mul(c, g, value), axes));
  return mul(c, inverse, sub(c, sub(c, g, reduceMean(c, g, axes)), along));
}

/** Normalisations over the entries of one example. */
export const normalization: Derivatives = {
  // y = value scale + bias
  LayerNormalization: (c, [dy, dMean, dInverse]) => {
    const [x, scale, bias] = c.node.inputs as [string, string, string];
    const shape = shapeOf(c, x);
    const axis = axisOf(int(c.node, "axis", -1), shape.length);
    const axes = range(axis, shape.length);
    const n = normalized(c, x, shape, axis, float(c.node, "epsilon", 1e-5));
    const parts: string[] = [];
    if (c.needs(0)) {
      const size = numbers(c, shape.slice(axis)).reduce((a, d) => a * d, 1);
      const share = (value: string, factor: number): string => mul(c, value, scalar(c, x, factor / size));
      if (dy !== undefined) parts.push(through(c, mul(c, dy, scale), n, axes));
      if (dMean !== undefined) {
        const even = share(dMean, 1);
        parts.push(parts.length > 0 ? even : c.b.add("Expand", [even, c.b.add("Shape", [x])]));
      }
      // the inverse deviation's own slope: -inverse^2 value / size
      if (dInverse !== undefined)
        parts.push(mul(c, share(mul(c, dInverse, mul(c, n.inverse, n.inverse)), -1), n.value));
    }
    return [
      parts.length === 0 ? undefined : parts.reduce((a, b) => c.b.add("Add", [a, b])),
      c.needs(1) && dy !== undefined ? unbroadcastTo(c, mul(c, dy, n.value), shape, shapeOf(c, scale)) : undefined,
      has(c, 2) && c.needs(2) && dy !== undefined ? unbroadcastTo(c, dy, shape, shapeOf(c, bias)) : undefined,
    ];
  },

  // every channel of every example for itself
  InstanceNormalization: (c, [dy]) => grouped(c, dy!, undefined),

  // groups of channels of every example; scale and bias are per group in opset 18, per channel since 21
  GroupNormalization: (c, [dy]) => grouped(c, dy!, int(c.node, "num_groups", 1)),

  // y = x inverse scale, inverse = 1 / sqrt(mean(x^2) + epsilon)
  RMSNormalization: (c, [dy]) => {
    const [x, scale] = c.node.inputs as [string, string];
    const shape = shapeOf(c, x);
    const axis = axisOf(int(c.node, "axis", -1), shape.length);
    const axes = range(axis, shape.length);
    const square = c.b.add("Add", [reduceMean(c, mul(c, x, x), axes), scalar(c, x, float(c.node, "epsilon", 1e-5))]);
    const inverse = c.b.add("Reciprocal", [c.b.add("Sqrt", [square])]);
    const value = mul(c, x, inverse);
    const dx = (): string => {
      const g = mul(c, dy!, scale);
      return mul(c, inverse, sub(c, g, mul(c, value, reduceMean(c, mul(c, g, value), axes))));
    };
    return [
      c.needs(0) ? dx() : undefined,
      c.needs(1) ? unbroadcastTo(c, mul(c, dy!, value), shape, shapeOf(c, scale)) : undefined,
    ];
  },

  // p = 2: (dy - y sum(dy y)) / norm; p = 1: (dy - sign(x) sum(dy y)) / norm
  LpNormalization: (c, [dy]) => {
    const [x, y] = [c.node.inputs[0]!, c.node.outputs[0]!];
    const p = int(c.node, "p", 2);
    const axes = [axisOf(int(c.node, "axis", -1), rankOf(c, x))];
    const norm = c.b.add(p === 1 ? "ReduceL1" : "ReduceL2", [x, c.b.int64(axes)]);
    const along = reduceSum(c, mul(c, dy!, y), axes);
    const direction = p === 1 ? c.b.add("Sign", [x]) : y;
    // A vector of zeros stays one: its slope is taken as zero, as its norm's is.
    const safe = c.b.add("Where", [c.b.add("Equal", [norm, scalar(c, x, 0)]), scalar(c, x, Infinity), norm]);
    return [c.b.add("Div", [sub(c, dy!, mul(c, direction, along)), safe])];
  },
};

function grouped(c: Context, dy: string, groups: number | undefined): readonly (string | undefined)[] {
  const [x, scale, bias] = c.node.inputs as [string, string, string];
  const shape = shapeOf(c, x);
  const [channels, ...space] = numbers(c, shape.slice(1)) as [number, ...number[]];
  const size = space.reduce((a, d) => a * d, 1);
  const parts = groups ?? channels;
  const width = channels / parts;
  const each = shapeOf(c, scale)[0] === channels;
  // [example and group, channel within it, place]
  const rows: Shape = [{ scale: 1, offset: 0 }, width * size];
  const n = normalized(c, reshape(c, x, rows), rows, 1, float(c.node, "epsilon", 1e-5));
  // As [example, group, channel within it, place], the parameters broadcast.
  const blocks: Shape = [shape[0]!, parts, width, size];
  const own = each ? [parts, width, 1] : [parts, 1, 1];
  const dyBlocks = reshape(c, dy, blocks);
  const sum = (value: string): string => reduceSum(c, value, each ? [0, 3] : [0, 2, 3], false);
  const parameter = (value: string, name: string): string => reshapeLike(c, sum(value), name);
  const dx = (): string => {
    const g = reshape(c, mul(c, dyBlocks, reshape(c, scale, own)), rows);
    return reshapeLike(c, through(c, g, n, [1]), x);
  };
  return [
    c.needs(0) ? dx() : undefined,
    c.needs(1) ? parameter(mul(c, dyBlocks, reshape(c, n.value, blocks)), scale) : undefined,
    c.needs(2) ? parameter(dyBlocks, bias) : undefined,
  ];
}
