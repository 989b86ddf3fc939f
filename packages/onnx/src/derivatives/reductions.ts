import type { Derivative, Derivatives } from "../derivative.ts";
import { attribute, int, ints } from "../graph.ts";
import {
  axisOf,
  type Context,
  constantInts,
  expandLike,
  isStatic,
  range,
  reduceSum,
  type Shape,
  scalar,
  shapeOf,
  toFloat,
  unsqueeze,
} from "./shared.ts";

interface Reduction {
  readonly axes: readonly number[];
  /** The shape of the input, with 1 along the axes reduced. */
  readonly kept: Shape;
  /** A value of the output's shape, in the shape `kept`. */
  keep(value: string): string;
}

/** The axes of a reduction, from the attribute or the input; undefined where nothing is reduced. */
function reduction(c: Context): Reduction | undefined {
  const shape = shapeOf(c, c.node.inputs[0]!);
  const given = ints(c.node, "axes") ?? constantInts(c, 1) ?? [];
  if (given.length === 0 && int(c.node, "noop_with_empty_axes", 0) === 1) return undefined;
  const all = given.length === 0 ? range(0, shape.length) : given.map((axis) => axisOf(axis, shape.length));
  const axes = [...new Set(all)].sort((p, q) => p - q);
  const kept = shape.map((dim, i) => (axes.includes(i) ? 1 : dim));
  const keepdims = int(c.node, "keepdims", 1) === 1;
  return { axes, kept, keep: (value) => (keepdims ? value : unsqueeze(c, value, axes)) };
}

/** A derivative given by dy and y in the shape `kept`. */
const reduced =
  (write: (c: Context, dy: string, x: string, y: string, r: Reduction) => string): Derivative =>
  (c, [dy]) => {
    if (!c.needs(0) || dy === undefined) return [undefined];
    const r = reduction(c);
    const [x, y] = [c.node.inputs[0]!, c.node.outputs[0]!];
    // Without axes every entry is its own group.
    if (r === undefined) return [write(c, dy, x, y, { axes: [], kept: shapeOf(c, x), keep: (value) => value })];
    return [write(c, r.keep(dy), x, y, r)];
  };

const op =
  (name: string) =>
  (c: Context, ...inputs: string[]): string =>
    c.b.add(name, inputs);
const mul = op("Mul");
const div = op("Div");

/** dy [x = y], shared evenly among the entries that are. */
const extremum = reduced((c, dy, x, y, r) => {
  const mask = toFloat(c, c.b.add("Equal", [x, r.keep(y)]), x);
  return mul(c, mask, div(c, dy, reduceSum(c, mask, r.axes)));
});

/** The number of entries that one output is made of. */
function count(c: Context, x: string, axes: readonly number[]): string {
  const dims = axes.map((axis) => shapeOf(c, x)[axis]!);
  if (dims.every(isStatic))
    return scalar(
      c,
      x,
      dims.reduce((a, d) => a * d, 1),
    );
  const lengths = c.b.add("Gather", [c.b.add("Shape", [x]), c.b.int64(axes)]);
  return toFloat(c, c.b.add("ReduceProd", [lengths, c.b.int64([0])], { keepdims: attribute.int(0) }), x);
}

/** Sums and the like over axes. */
export const reductions: Derivatives = {
  // dy
  ReduceSum: reduced((c, dy, x, _, r) => expandLike(c, dy, r.kept, x)),
  // dy / count
  ReduceMean: reduced((c, dy, x, _, r) => expandLike(c, div(c, dy, count(c, x, r.axes)), r.kept, x)),
  ReduceMax: extremum,
  ReduceMin: extremum,
  // dy sign(x)
  ReduceL1: reduced((c, dy, x) => mul(c, dy, c.b.add("Sign", [x]))),
  // dy x / y, 0 where y is 0
  ReduceL2: reduced((c, dy, x, y, r) => {
    const norm = r.keep(y);
    const safe = c.b.add("Where", [c.b.add("Equal", [norm, scalar(c, x, 0)]), scalar(c, x, 1), norm]);
    return mul(c, x, div(c, dy, safe));
  }),
  // dy / e^y
  ReduceLogSum: reduced((c, dy, x, y, r) => expandLike(c, div(c, dy, c.b.add("Exp", [r.keep(y)])), r.kept, x)),
  // dy e^(x - y)
  ReduceLogSumExp: reduced((c, dy, x, y, r) => mul(c, dy, c.b.add("Exp", [c.b.add("Sub", [x, r.keep(y)])]))),
  // 2 dy x
  ReduceSumSquare: reduced((c, dy, x) => mul(c, mul(c, dy, scalar(c, x, 2)), x)),
  // dy times the product of the others, zeros among them
  ReduceProd: reduced((c, dy, x, _, r) => {
    const zero = c.b.add("Equal", [x, scalar(c, x, 0)]);
    const isZero = toFloat(c, zero, x);
    const safe = c.b.add("Where", [zero, scalar(c, x, 1), x]);
    const product = r.axes.length === 0 ? safe : c.b.add("ReduceProd", [safe, c.b.int64(r.axes)]);
    const otherZeros = c.b.add("Sub", [reduceSum(c, isZero, r.axes), isZero]);
    const alone = toFloat(c, c.b.add("Equal", [otherZeros, scalar(c, x, 0)]), x);
    return mul(c, mul(c, alone, dy), div(c, product, safe));
  }),
  // the cotangent runs backwards along the axis
  CumSum: (c, [dy]) => {
    const flags = {
      exclusive: attribute.int(int(c.node, "exclusive", 0)),
      reverse: attribute.int(1 - int(c.node, "reverse", 0)),
    };
    return [c.b.add("CumSum", [dy!, c.node.inputs[1]!], flags)];
  },
};
