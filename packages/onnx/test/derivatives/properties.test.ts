import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { differenceError, floats, given, integers, type Source, type Spec, source } from "./differences.ts";
import type { CaseInput } from "./harness.ts";

const axes = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i);
const shape = (s: Source, rank: number, least = 1): number[] => axes(rank).map(() => least + s.below(3));
const signed = (s: Source, axis: number, rank: number): number => (s.below(2) === 0 ? axis : axis - rank);
const some = (s: Source, rank: number): number[] => axes(rank).filter(() => s.below(2) === 0);

/** A shape that broadcasts to `full`. */
function narrower(s: Source, full: readonly number[]): number[] {
  return full.slice(s.below(full.length + 1)).map((dim) => (s.below(3) === 0 ? 1 : dim));
}

/** Two shapes, either of which may be the narrower one along an axis. */
function pair(s: Source): [number[], number[]] {
  const full = shape(s, s.below(5));
  return s.below(2) === 0 ? [full, narrower(s, full)] : [narrower(s, full), narrower(s, full)];
}

/** A number that moves; the values of `floats` keep away from whole ones. */
const bound = (value: number): CaseInput => ({ ...given("float32", [], [value], false), differentiable: true });

const binary =
  (ops: readonly string[], options = {}) =>
  (s: Source): Spec => {
    const [a, b] = pair(s);
    return { op: s.pick(ops), attributes: {}, inputs: [floats(s, a, options), floats(s, b, options)] };
  };

const specs: Record<string, (s: Source) => Spec> = {
  "Add, Sub, Mul": binary(["Add", "Sub", "Mul"]),
  "Div, Pow of positive numbers": binary(["Div", "Pow"], { low: 0.5, high: 2 }),
  Where: (s) => {
    const [a, b] = pair(s);
    const size = Math.max(a.at(-1) ?? 1, b.at(-1) ?? 1);
    const mask = given(
      "bool",
      [size],
      axes(size).map(() => s.below(2)),
      s.below(2) === 0,
    );
    return { op: "Where", attributes: {}, inputs: [mask, floats(s, a), floats(s, b)] };
  },
  "Sum, Mean": (s) => {
    const full = shape(s, 3);
    const inputs = axes(1 + s.below(4)).map(() => floats(s, narrower(s, full)));
    return { op: s.pick(["Sum", "Mean"]), attributes: {}, inputs };
  },
  MatMul: (s) => {
    const [m, k, n] = shape(s, 3) as [number, number, number];
    const full = shape(s, s.below(3));
    const a = s.below(5) === 0 ? [k] : [...narrower(s, full), m, k];
    const b = s.below(5) === 0 ? [k] : [...narrower(s, full), k, n];
    return { op: "MatMul", attributes: {}, inputs: [floats(s, a), floats(s, b, { constant: s.below(2) === 0 })] };
  },
  Gemm: (s) => {
    const [m, k, n] = shape(s, 3) as [number, number, number];
    const [transA, transB] = [s.below(2), s.below(2)];
    const c = s.pick([[], [1], [n], [1, n], [m, 1], [m, n]]);
    return {
      op: "Gemm",
      attributes: { transA, transB, alpha: s.pick([1, 0.5]), beta: s.pick([1, -2]) },
      attributeTypes: { transA: "int", transB: "int", alpha: "float", beta: "float" },
      inputs: [floats(s, transA ? [k, m] : [m, k]), floats(s, transB ? [n, k] : [k, n]), floats(s, c)],
    };
  },
  reductions: (s) => {
    const rank = 1 + s.below(4);
    const op = s.pick(["Sum", "Mean", "L2", "LogSum", "LogSumExp", "SumSquare", "Prod"].map((name) => `Reduce${name}`));
    const over = some(s, rank).map((axis) => signed(s, axis, rank));
    const attributes = { keepdims: s.below(2), ...(over.length === 0 ? { noop_with_empty_axes: s.below(2) } : {}) };
    const noop = { op, attributes, inputs: [floats(s, shape(s, rank), { low: 0.5, high: 2 }), integers(over)] };
    // onnxruntime's own kernels forget the function itself where no axis is given and nothing is to be reduced.
    return over.length === 0 ? { ...noop, op: "ReduceSum" } : noop;
  },
  "reductions of one extremum": (s) => {
    const rank = 1 + s.below(3);
    const over = [s.below(rank)];
    const op = s.pick(["ReduceMax", "ReduceMin", "ReduceL1"]);
    return { op, attributes: { keepdims: s.below(2) }, inputs: [floats(s, shape(s, rank)), integers(over)] };
  },
  "Softmax, LogSoftmax": (s) => {
    const rank = 1 + s.below(3);
    const attributes = { axis: signed(s, s.below(rank), rank) };
    return { op: s.pick(["Softmax", "LogSoftmax"]), attributes, inputs: [floats(s, shape(s, rank))] };
  },
  Slice: (s) => {
    const rank = 1 + s.below(3);
    const full = shape(s, rank, 2);
    const over = some(s, rank);
    const steps = over.map(() => s.pick([1, 1, 2, 3, -1, -2]));
    const starts = over.map((axis, k) =>
      steps[k]! > 0 ? s.pick([0, 1, -full[axis]!]) : s.pick([-1, full[axis]! - 1, 99]),
    );
    const ends = over.map((axis, k) => (steps[k]! > 0 ? s.pick([full[axis]!, 99]) : s.pick([-99, -full[axis]! - 1])));
    const constant = { constant: s.below(3) > 0 };
    const lists = [starts, ends, over.map((axis) => signed(s, axis, rank)), steps].map((list) =>
      integers(list, constant),
    );
    return { op: "Slice", attributes: {}, inputs: [floats(s, full), ...lists] };
  },
  "Slice of every axis": (s) => {
    const full = shape(s, 2, 2);
    const lists = [[s.below(2), s.below(2)], [99, -1].map((end, i) => (full[i] === 1 ? 99 : s.pick([end, 99])))];
    return {
      op: "Slice",
      attributes: {},
      inputs: [floats(s, [full[0]! + 1, full[1]! + 2]), ...lists.map((l) => integers(l))],
    };
  },
  Pad: (s) => {
    const rank = 1 + s.below(4);
    const full = shape(s, rank, 3);
    const mode = s.pick(["constant", "constant", "reflect", "edge"]);
    const over = some(s, rank);
    const pads = [...over, ...over].map(() => s.below(3) - (mode === "constant" ? 1 : 0));
    const value = mode === "constant" && s.below(2) === 0 ? floats(s, []) : null;
    return { op: "Pad", attributes: { mode }, inputs: [floats(s, full), integers(pads), value, integers(over)] };
  },
  Gather: (s) => {
    const rank = 1 + s.below(3);
    const full = shape(s, rank);
    const axis = s.below(rank);
    const where = shape(s, s.below(3));
    const size = where.reduce((a, d) => a * d, 1);
    const values = axes(size).map(() => signed(s, s.below(full[axis]!), full[axis]!));
    const indices = integers(values, { shape: where, constant: s.below(2) === 0 });
    return { op: "Gather", attributes: { axis: signed(s, axis, rank) }, inputs: [floats(s, full), indices] };
  },
  GatherElements: (s) => {
    const [rows, columns] = shape(s, 2) as [number, number];
    const values = axes(rows * 2).map(() => s.below(columns));
    const indices = integers(values, { shape: [rows, 2], constant: s.below(2) === 0 });
    return {
      op: "GatherElements",
      attributes: { axis: s.pick([1, -1]) },
      inputs: [floats(s, [rows, columns]), indices],
    };
  },
  GatherND: (s) => {
    const [n, a, b] = shape(s, 3) as [number, number, number];
    const indices = integers(
      axes(n).flatMap(() => [signed(s, s.below(a), a)]),
      { shape: [n, 1], constant: s.below(2) === 0 },
    );
    return { op: "GatherND", attributes: { batch_dims: 1 }, inputs: [floats(s, [n, a, b]), indices] };
  },
  Transpose: (s) => {
    const rank = 1 + s.below(4);
    const perm = axes(rank).sort(() => s.unit());
    return { op: "Transpose", attributes: { perm }, inputs: [floats(s, shape(s, rank))] };
  },
  Concat: (s) => {
    const rank = 1 + s.below(3);
    const full = shape(s, rank);
    const axis = s.below(rank);
    const inputs = axes(1 + s.below(3)).map(() =>
      floats(
        s,
        full.map((dim, i) => (i === axis ? 1 + s.below(3) : dim)),
        { differentiable: s.below(3) > 0 },
      ),
    );
    return { op: "Concat", attributes: { axis: signed(s, axis, rank) }, inputs };
  },
  Tile: (s) => {
    const rank = 1 + s.below(3);
    return { op: "Tile", attributes: {}, inputs: [floats(s, shape(s, rank)), integers(shape(s, rank))] };
  },
  Expand: (s) => {
    const full = shape(s, 3);
    return { op: "Expand", attributes: {}, inputs: [floats(s, narrower(s, full)), integers(full)] };
  },
  CumSum: (s) => ({
    op: "CumSum",
    attributes: { exclusive: s.below(2), reverse: s.below(2) },
    inputs: [floats(s, shape(s, 2)), given("int64", [], [s.pick([0, 1, -1])])],
  }),
  "Resize to sizes": (s) => {
    const rank = s.pick([3, 4]);
    const full = shape(s, rank, 2);
    const sizes = full.map((dim, i) => (i < 2 ? dim : 1 + s.below(7)));
    return {
      op: "Resize",
      attributes: {
        mode: s.pick(["nearest", "linear"]),
        coordinate_transformation_mode: s.pick(["asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners"]),
        nearest_mode: s.pick(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
      },
      inputs: [floats(s, full), null, null, integers(sizes)],
    };
  },
  "Resize by scales": (s) => {
    const full = shape(s, 4, 2);
    const scales = [1, 1, s.pick([1, 2, 3, 1.5, 0.5]), s.pick([1, 2, 2.5])];
    return {
      op: "Resize",
      attributes: {
        mode: s.pick(["nearest", "linear"]),
        coordinate_transformation_mode: s.pick(["asymmetric", "half_pixel"]),
        nearest_mode: s.pick(["floor", "round_prefer_floor"]),
      },
      inputs: [floats(s, full), null, given("float32", [4], scales)],
    };
  },
  LayerNormalization: (s) => {
    const full = shape(s, 3, 2);
    const axis = s.pick([1, 2]);
    const own = full.slice(axis);
    const inputs = [floats(s, full), floats(s, own), ...(s.below(2) === 0 ? [floats(s, own)] : [])];
    const outputs = s.pick([1, 3]);
    return { op: "LayerNormalization", attributes: { axis: signed(s, axis, 3), epsilon: 0.01 }, inputs, outputs };
  },
  InstanceNormalization: (s) => {
    const full = [...shape(s, 2), ...shape(s, 1 + s.below(2), 2)];
    const inputs = [floats(s, full), floats(s, [full[1]!]), floats(s, [full[1]!])];
    return { op: "InstanceNormalization", attributes: { epsilon: 0.01 }, inputs };
  },
  GroupNormalization: (s) => {
    const groups = 1 + s.below(3);
    const channels = groups * (1 + s.below(2));
    const full = [1 + s.below(2), channels, 2, 1 + s.below(2)];
    const inputs = [floats(s, full), floats(s, [channels]), floats(s, [channels])];
    return { op: "GroupNormalization", opset: 21, attributes: { num_groups: groups, epsilon: 0.01 }, inputs };
  },
  RMSNormalization: (s) => {
    const full = shape(s, 3, 2);
    const inputs = [floats(s, full), floats(s, full.slice(2))];
    return { op: "RMSNormalization", opset: 23, attributes: { axis: -1, epsilon: 0.01 }, inputs };
  },
  LpNormalization: (s) => ({
    op: "LpNormalization",
    attributes: { axis: s.pick([0, 1, -1]), p: s.pick([1, 2]) },
    inputs: [floats(s, shape(s, 2))],
  }),
  TopK: (s) => {
    const full = shape(s, 2, 3);
    const axis = s.below(2);
    const attributes = { axis: signed(s, axis, 2), largest: s.below(2) };
    return { op: "TopK", attributes, inputs: [floats(s, full), integers([1 + s.below(3)])], outputs: 2 };
  },
  "Clip with bounds that move": (s) => ({
    op: "Clip",
    attributes: {},
    inputs: [floats(s, shape(s, 2)), bound(-1), bound(1)],
  }),
  "functions on the line": (s) => ({
    op: s.pick(["Sinh", "Cosh", "Atan", "Asinh", "Tan"]),
    attributes: {},
    inputs: [floats(s, shape(s, 2), { low: -1.2, high: 1.2 })],
  }),
  "functions between -1 and 1": (s) => ({
    op: s.pick(["Asin", "Acos", "Atanh"]),
    attributes: {},
    inputs: [floats(s, shape(s, 2), { low: -0.8, high: 0.8 })],
  }),
  "Acosh above 1": (s) => ({ op: "Acosh", attributes: {}, inputs: [floats(s, shape(s, 2), { low: 1.4, high: 3 })] }),
};

describe("gradients equal central differences, for shapes and settings at random", () => {
  test.each(Object.entries(specs))("%s", async (_, make) => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 30 }), async (seed) => {
        const s = source(seed);
        const spec = make(s);
        const error = await differenceError(spec, s);
        if (!(error < 4e-3)) {
          const shapes = spec.inputs.map((x) => (x?.dtype === "float32" ? `[${x.shape}]` : x && `${x.values}`));
          expect.fail(`${spec.op} ${JSON.stringify(spec.attributes)} ${shapes.join(" ")}: off by ${error}`);
        }
      }),
      { seed: 20, numRuns: Number(process.env.PARAPET_RUNS ?? 8) },
    );
  });
});
