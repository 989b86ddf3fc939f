import type { Derivative, Derivatives, Dim } from "../derivative.ts";
import { attribute, int, ints, string } from "../graph.ts";
import {
  axisOf,
  type Context,
  constantInts,
  difference,
  END,
  has,
  isStatic,
  numbersOf,
  pad,
  range,
  rankOf,
  reduceSum,
  refuse,
  reshape,
  reshapeLike,
  type Shape,
  scalar,
  shapeOf,
  slice,
  toFloat,
  transposedAlong,
  unary,
  unbroadcast,
  zeroMatrix,
  zerosLike,
} from "./shared.ts";

// the same entries in another shape
const reshaped: Derivative = unary((c, dy, x) => reshapeLike(c, dy, x));

/** Operators that move, repeat, cut or pad entries. */
export const layout: Derivatives = {
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,

  // the inverse permutation
  Transpose: unary((c, dy, x) => {
    const rank = rankOf(c, x);
    const perm = ints(c.node, "perm") ?? range(0, rank).reverse();
    return c.b.add("Transpose", [dy], { perm: attribute.ints(range(0, rank).map((i) => perm.indexOf(i))) });
  }),

  // each input's part
  Concat: (c, [dy]) => {
    const { inputs, outputs } = c.node;
    const axis = axisOf(int(c.node, "axis", 0), rankOf(c, outputs[0]!));
    if (inputs.length === 1) return [dy];
    const lengths = inputs.map((x) => shapeOf(c, x)[axis]!);
    const wanted = inputs.flatMap((_, i) => (c.needs(i) ? [i] : []));
    if (wanted.length === 1 && lengths.every(isStatic)) {
      const i = wanted[0]!;
      const start = lengths.slice(0, i).reduce((a, d) => a + d, 0);
      return inputs.map((_, j) => (j === i ? slice(c, dy!, [axis], [start], [start + lengths[i]!]) : undefined));
    }
    const sizes = lengths.every(isStatic)
      ? c.b.int64(lengths)
      : c.b.add(
          "Concat",
          inputs.map((x) => lengthOf(c, x, axis)),
          { axis: attribute.int(0) },
        );
    return c.b.addMany("Split", [dy!, sizes], inputs.length, { axis: attribute.int(axis) });
  },

  // the parts side by side, zeros for those that do not matter
  Split: (c, dys) => {
    const [x, outputs] = [c.node.inputs[0]!, c.node.outputs];
    const rank = rankOf(c, x);
    const axis = axisOf(int(c.node, "axis", 0), rank);
    const known = dys.flatMap((dy, j) => (dy === undefined ? [] : [j]));
    const lengths = outputs.map((y) => (y === "" ? undefined : shapeOf(c, y)[axis]));
    const dim = shapeOf(c, x)[axis]!;
    if (outputs.length === 1) return [dys[0]];
    if (known.length === 1 && isStatic(dim) && lengths.every(isStatic)) {
      const j = known[0]!;
      const before = range(0, rank).map((i) => (i === axis ? lengths.slice(0, j).reduce((a, d) => a + d, 0) : 0));
      const after = range(0, rank).map((i) => (i === axis ? dim - before[axis]! - lengths[j]! : 0));
      return [pad(c, dys[j]!, before, after)];
    }
    const parts = outputs.map((y, j) => dys[j] ?? (y === "" ? refuse(c, "an output is left out") : zerosLike(c, y)));
    return [c.b.add("Concat", parts, { axis: attribute.int(axis) })];
  },

  // put back among zeros
  Slice: (c, [dy]) => [slicePads(c, dy!) ?? sliceScatter(c, dy!)],

  // summed over the axes that were repeated
  Expand: (c, [dy]) => [unbroadcast(c, dy!, c.node.inputs[0]!)],

  // the copies, as an axis of their own, summed
  Tile: (c, [dy]) => {
    const x = c.node.inputs[0]!;
    const shape = shapeOf(c, x);
    const repeats = constantInts(c, 1)!;
    const split = shape.flatMap((dim, i): Dim[] => (repeats[i] === 1 ? [dim] : [repeats[i]!, dim]));
    const axes = shape.flatMap((_, i) =>
      repeats[i] === 1 ? [] : [i + repeats.slice(0, i).filter((repeat) => repeat !== 1).length],
    );
    if (axes.length === 0) return [dy];
    return [reduceSum(c, reshape(c, dy!, split), axes, false)];
  },

  // constant: the part within; reflect, edge, wrap: every copy added to what it was copied from
  Pad: (c, [dy]) => {
    const mode = string(c.node, "mode", "constant");
    const x = c.node.inputs[0]!;
    const shape = shapeOf(c, x);
    const [before, after] = padding(c, shape.length);
    if (mode !== "constant") {
      const open = shape.some((dim, i) => !isStatic(dim) && (before[i] !== 0 || after[i] !== 0));
      if (!open) return [repeatedPad(c, dy!, mode, before, after)];
      const again = (numbers: string): string =>
        c.b.add("Pad", [numbers, ...c.node.inputs.slice(1)], c.node.attributes);
      return [scatterFlat(c, dy!, again, x)];
    }
    const cut = range(0, shape.length).filter((i) => before[i]! > 0 || after[i]! > 0);
    const inner = slice(
      c,
      dy!,
      cut,
      cut.map((i) => Math.max(0, before[i]!)),
      cut.map((i) => (after[i]! > 0 ? -after[i]! : END)),
    );
    const lost = (sizes: readonly number[]): number[] => sizes.map((size) => Math.max(0, -size));
    const dx = pad(c, inner, lost(before), lost(after));
    if (!has(c, 2) || !c.needs(2)) return [dx];
    const all = range(0, shape.length);
    const border = c.b.add("Sub", [reduceSum(c, dy!, all, false), reduceSum(c, inner, all, false)]);
    return [dx, undefined, reshapeLike(c, border, c.node.inputs[2]!)];
  },

  // the same triangle
  Trilu: (c, [dy]) => [
    c.b.add("Trilu", [dy!, ...c.node.inputs.slice(1)], { upper: attribute.int(int(c.node, "upper", 1)) }),
  ],

  DepthToSpace: (c, [dy]) => {
    const size = int(c.node, "blocksize", 1);
    if (string(c.node, "mode", "DCR") === "DCR") {
      return [c.b.add("SpaceToDepth", [dy!], { blocksize: attribute.int(size) })];
    }
    const [n, channels, height, width] = shapeOf(c, c.node.outputs[0]!) as [Dim, Dim, Dim, Dim];
    if (![channels, height, width].every(isStatic)) return refuse(c, "only the first axis may depend on the batch");
    const blocks = reshape(c, dy!, [n, channels, Number(height) / size, size, Number(width) / size, size]);
    const turned = c.b.add("Transpose", [blocks], { perm: attribute.ints([0, 1, 3, 5, 2, 4]) });
    return [reshapeLike(c, turned, c.node.inputs[0]!)];
  },

  SpaceToDepth: (c, [dy]) => [
    c.b.add("DepthToSpace", [dy!], {
      blocksize: attribute.int(int(c.node, "blocksize", 1)),
      mode: attribute.string("DCR"),
    }),
  ],

  // dy; while training dy mask / (1 - ratio)
  Dropout: (c, [dy]) => {
    const [, ratio = "", mode = ""] = c.node.inputs;
    if (mode === "") return [dy];
    const training = c.constant(mode);
    if (training !== undefined && numbersOf(training)[0] === 0) return [dy];
    const mask = c.node.outputs[1] ?? "";
    if (mask === "") return refuse(c, "it drops out at random and its mask is not among its outputs");
    const kept = c.b.add("Mul", [dy!, toFloat(c, mask, c.node.inputs[0]!)]);
    return [c.b.add("Mul", [kept, dropoutScale(c, ratio, training === undefined ? mode : "")])];
  },
};

/** 1 / (1 - ratio) while training, 1 otherwise; `mode` where only the run tells which. */
function dropoutScale(c: Context, ratio: string, mode: string): string {
  const x = c.node.inputs[0]!;
  const value = ratio === "" ? undefined : c.constant(ratio);
  const share = ratio === "" ? 0.5 : value === undefined ? undefined : numbersOf(value)[0]!;
  const one = scalar(c, x, 1);
  const scale =
    share !== undefined
      ? scalar(c, x, share >= 1 ? 0 : 1 / (1 - share))
      : c.b.add("Div", [
          one,
          c.b.add("Sub", [one, c.type(ratio).dtype === c.type(x).dtype ? ratio : toFloat(c, ratio, x)]),
        ]);
  return mode === "" ? scale : c.b.add("Where", [mode, scale, one]);
}

const lengthOf = (c: Context, x: string, axis: number): string =>
  c.b.add("Shape", [x], { start: attribute.int(axis), end: attribute.int(axis + 1) });

/** A slice's cotangent by Pad, where everything but the batch is known; undefined where that does not do. */
function slicePads(c: Context, dy: string): string | undefined {
  const [x, y] = [c.node.inputs[0]!, c.node.outputs[0]!];
  const [shape, cut] = [shapeOf(c, x), shapeOf(c, y)];
  const given = [1, 2, 3, 4].map((i) => ((c.node.inputs[i] ?? "") === "" ? null : c.constant(c.node.inputs[i]!)));
  if (given.includes(undefined)) return undefined;
  const [starts, , axes, steps] = given.map((tensor) => (tensor ? numbersOf(tensor) : undefined));
  const before = shape.map(() => 0);
  const after = shape.map(() => 0);
  const turned: number[] = [];
  let value = dy;
  for (let k = 0; k < starts!.length; k++) {
    const axis = axisOf(axes?.[k] ?? k, shape.length);
    const step = steps?.[k] ?? 1;
    const [dim, length] = [shape[axis]!, cut[axis]!];
    const spare = difference(dim, length);
    if (length === 0) return undefined;
    if (step === 1) {
      const start = starts![k]!;
      if (spare === undefined) return undefined;
      if (start >= 0) before[axis] = Math.min(start, spare);
      else if (isStatic(dim)) before[axis] = Math.max(0, dim + start);
      else return undefined;
      after[axis] = spare - before[axis]!;
      continue;
    }
    if (!isStatic(dim) || !isStatic(length)) return undefined;
    const size = Math.abs(step);
    const from = starts![k]! < 0 ? starts![k]! + dim : starts![k]!;
    const first = step > 0 ? from : Math.min(from, dim - 1) - (length - 1) * size;
    if (step < 0) turned.push(axis);
    before[axis] = first;
    after[axis] = dim - first - ((length - 1) * size + 1);
  }
  if (turned.length > 0) {
    const back = turned.map(() => -1);
    value = slice(
      c,
      value,
      turned,
      back,
      back.map(() => -END),
      back,
    );
  }
  for (let k = 0; k < starts!.length; k++) {
    const axis = axisOf(axes?.[k] ?? k, shape.length);
    const size = Math.abs(steps?.[k] ?? 1);
    if (size > 1) value = spread(c, value, cut, axis, size);
  }
  return pad(c, value, before, after);
}

/** Puts size - 1 zeros between the entries of an axis. */
function spread(c: Context, value: string, shape: Shape, axis: number, size: number): string {
  const length = shape[axis] as number;
  if (length === 1) return value;
  const split = c.b.add("Unsqueeze", [value, c.b.int64([axis + 1])]);
  const rank = shape.length + 1;
  const padded = pad(
    c,
    split,
    range(0, rank).map(() => 0),
    range(0, rank).map((i) => (i === axis + 1 ? size - 1 : 0)),
  );
  // 0 copies a length; the two axes become one, and one length of those behind it may be open.
  const tail = shape.slice(axis + 1);
  if (!tail.every(isStatic)) refuse(c, "the batch is behind the axis cut");
  const joined = c.b.add("Reshape", [
    padded,
    c.b.int64([...range(0, axis).map(() => 0), length * size, ...(tail as number[])]),
  ]);
  return slice(c, joined, [axis], [0], [(length - 1) * size + 1]);
}

/** A slice's cotangent for any starts, ends and steps, known or not: the same slice of the entries' numbers says where. */
function sliceScatter(c: Context, dy: string): string {
  const x = c.node.inputs[0]!;
  return scatterFlat(c, dy, (numbers) => c.b.add("Slice", [numbers, ...c.node.inputs.slice(1)]), x);
}

/** Adds the entries of dy to where they came from: `pick` is applied to the numbers of the entries of x. */
export function scatterFlat(c: Context, dy: string, pick: (numbers: string) => string, x: string): string {
  const int64 = (value: number): string =>
    c.b.constant({ dtype: "int64", shape: [], data: BigInt64Array.of(BigInt(value)) });
  const count = c.b.add("Size", [x]);
  const numbers = c.b.add("Reshape", [c.b.add("Range", [int64(0), count, int64(1)]), c.b.add("Shape", [x])]);
  const flat = c.b.int64([-1]);
  const zeros = c.b.add("Reshape", [zerosLike(c, x), flat]);
  const places = c.b.add("Reshape", [pick(numbers), flat]);
  const scattered = c.b.add("ScatterElements", [zeros, places, c.b.add("Reshape", [dy, flat])], {
    reduction: attribute.string("add"),
  });
  return reshapeLike(c, scattered, x);
}

/** What a Pad adds before and after each axis. */
function padding(c: Context, rank: number): [number[], number[]] {
  const pads = ints(c.node, "pads") ?? constantInts(c, 1)!;
  const axes = (constantInts(c, 3) ?? range(0, rank)).map((axis) => axisOf(axis, rank));
  const before = range(0, rank).map(() => 0);
  const after = [...before];
  axes.forEach((axis, k) => {
    before[axis] = pads[k]!;
    after[axis] = pads[k + axes.length]!;
  });
  return [before, after];
}

function repeatedPad(c: Context, dy: string, mode: string, before: number[], after: number[]): string {
  const x = c.node.inputs[0]!;
  const shape: Dim[] = [...shapeOf(c, c.node.outputs[0]!)];
  return before.reduce((value, front, axis) => {
    if (front === 0 && after[axis] === 0) return value;
    const length = shapeOf(c, x)[axis] as number;
    const rows = front + length + after[axis]!;
    const values = zeroMatrix(c, rows, length);
    for (let row = 0; row < rows; row++) values[row * length + source(row - front, length, mode)] = 1;
    const turned = transposedAlong(c, value, shape, axis, { rows, columns: length, values });
    shape[axis] = length;
    return turned;
  }, dy);
}

/** The entry that a padded one is a copy of. */
function source(i: number, length: number, mode: string): number {
  if (mode === "edge") return Math.min(Math.max(i, 0), length - 1);
  if (mode === "wrap") return ((i % length) + length) % length;
  const period = Math.max(1, 2 * (length - 1));
  const at = ((i % period) + period) % period;
  return at < length ? at : period - at;
}
