import { expected, ParapetError } from "@parapet/core";
import type { Derivative, DerivativeContext, Dim } from "../derivative.ts";
import { attribute, type ElementType, type Tensor } from "../graph.ts";
import { brief, type OnnxErrorCode } from "../problem.ts";

/** What derivatives are handed. */
export type Context = DerivativeContext;
export type Shape = readonly Dim[];

const ELEMENT = { float32: 1, float64: 11, float16: 10 } as const;
type Float = keyof typeof ELEMENT;

export const isFloat = (dtype: ElementType): dtype is Float => dtype in ELEMENT;

/** ONNX's number of a float type, as Cast takes it. */
export function elementCode(dtype: ElementType): number {
  if (!isFloat(dtype)) throw new TypeError(expected("dtype", "a float", dtype));
  return ELEMENT[dtype];
}

/** The error that this node's derivative is not carried. */
export function refuse(c: Context, why: string): never {
  const name = brief(c.node.name || c.node.outputs[0]!);
  throw new ParapetError<OnnxErrorCode>("onnx/no-derivative", `no derivative of ${c.node.op} "${name}": ${why}`);
}

export const shapeOf = (c: Context, name: string): Shape => c.type(name).shape;
export const rankOf = (c: Context, name: string): number => c.type(name).shape.length;
export const isStatic = (dim: Dim | undefined): dim is number => typeof dim === "number";

/** Whether two lengths are equal for every batch. */
export function sameDim(a: Dim | undefined, b: Dim | undefined): boolean {
  if (isStatic(a) || isStatic(b) || a === undefined || b === undefined) return a === b;
  return a.scale === b.scale && a.offset === b.offset;
}

const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => sameDim(d, b[i]));

/** a - b where it does not depend on the batch. */
export function difference(a: Dim, b: Dim): number | undefined {
  const [x, y] = [affine(a), affine(b)];
  return x.scale === y.scale ? x.offset - y.offset : undefined;
}

const affine = (dim: Dim): { scale: number; offset: number } => (isStatic(dim) ? { scale: 0, offset: dim } : dim);

/** A non-negative axis. */
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

export const range = (start: number, end: number): number[] =>
  Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);

/** A tensor's values as numbers. */
export const numbersOf = (tensor: Tensor): number[] => Array.from(tensor.data as ArrayLike<number | bigint>, Number);

/** The integers of a constant input, or undefined where it is left out. */
export function constantInts(c: Context, index: number): number[] | undefined {
  const name = c.node.inputs[index] ?? "";
  if (name === "") return undefined;
  const tensor = c.constant(name);
  return tensor === undefined ? refuse(c, `its input ${index} is computed, not constant`) : numbersOf(tensor);
}

/** Whether the optional input is there. */
export const has = (c: Context, index: number): boolean => (c.node.inputs[index] ?? "") !== "";

/** A float tensor in the dtype asked for. */
export function floats(c: Context, dtype: ElementType, shape: readonly number[], values: readonly number[]): string {
  if (dtype === "float64") return c.b.constant({ dtype, shape, data: Float64Array.from(values) });
  const single = c.b.constant({ dtype: "float32", shape, data: Float32Array.from(values) });
  return dtype === "float32" ? single : c.b.add("Cast", [single], { to: attribute.int(elementCode(dtype)) });
}

/** A scalar of the dtype of the value `like`. */
export function scalar(c: Context, like: string, value: number): string {
  const { dtype } = c.type(like);
  return dtype === "float32" ? c.b.scalar(value) : floats(c, dtype, [], [value]);
}

/** A boolean value as 0 and 1 of the dtype of `like`. */
export const toFloat = (c: Context, mask: string, like: string): string =>
  c.b.add("Cast", [mask], { to: attribute.int(elementCode(c.type(like).dtype)) });

/** A shape as a vector: a constant, with -1 for one length that depends on the batch; otherwise taken from `like`. */
function shapeVector(c: Context, shape: Shape, like: string): string {
  const open = shape.filter((dim) => !isStatic(dim)).length;
  if (open > 1 || (open === 1 && shape.includes(0))) return c.b.add("Shape", [like]);
  return c.b.int64(shape.map((dim) => (isStatic(dim) ? dim : -1)));
}

/** The value in the shape of `like`, of as many entries. */
export function reshapeLike(c: Context, value: string, like: string): string {
  const shape = shapeOf(c, like);
  // A length of 0 would be read as "copy".
  const exact = shape.includes(0) ? { allowzero: attribute.int(1) } : {};
  return c.b.add("Reshape", [value, shapeVector(c, shape, like)], exact);
}

/** The value in a shape of which at most one length is not a number. */
export const reshape = (c: Context, value: string, shape: Shape): string =>
  c.b.add("Reshape", [value, c.b.int64(shape.map((dim) => (isStatic(dim) ? dim : -1)))]);

export const reduceSum = (c: Context, value: string, axes: readonly number[], keepdims = true): string =>
  axes.length === 0
    ? value
    : c.b.add("ReduceSum", [value, c.b.int64(axes)], { keepdims: attribute.int(keepdims ? 1 : 0) });

export const reduceMean = (c: Context, value: string, axes: readonly number[]): string =>
  axes.length === 0 ? value : c.b.add("ReduceMean", [value, c.b.int64(axes)]);

export const unsqueeze = (c: Context, value: string, axes: readonly number[]): string =>
  axes.length === 0 ? value : c.b.add("Unsqueeze", [value, c.b.int64(axes)]);

/** Sums a cotangent of shape `from` over the axes along which a value of shape `to` was repeated. */
export function unbroadcastTo(c: Context, dy: string, from: Shape, to: Shape): string {
  const lead = from.length - to.length;
  const repeated = to.flatMap((dim, i) => (dim === 1 && from[i + lead] !== 1 ? [i + lead] : []));
  if (repeated.length === 0) return reduceSum(c, dy, range(0, lead), false);
  const sum = reduceSum(c, dy, [...range(0, lead), ...repeated]);
  return lead === 0 ? sum : c.b.add("Squeeze", [sum, c.b.int64(range(0, lead))]);
}

/** Sums a cotangent of the shape of the node's first output down to the shape of the value `name`. */
export const unbroadcast = (c: Context, dy: string, name: string): string =>
  unbroadcastTo(c, dy, shapeOf(c, c.node.outputs[0]!), shapeOf(c, name));

/** Repeats a value of shape `have` (of the same rank, or lower) to the shape of the value `like`. */
export function expandLike(c: Context, value: string, have: Shape, like: string): string {
  const want = shapeOf(c, like);
  if (sameShape(have, want)) return value;
  const lead = want.length - have.length;
  const known = want.map((dim, i) => (i >= lead && sameDim(dim, have[i - lead]) ? 1 : dim));
  const target = known.every(isStatic) ? c.b.int64(known) : c.b.add("Shape", [like]);
  return c.b.add("Expand", [value, target]);
}

/** Zeros in the shape of a value. */
export function zerosLike(c: Context, name: string): string {
  const { dtype, shape } = c.type(name);
  const vector = shape.every(isStatic) ? c.b.int64(shape) : c.b.add("Shape", [name]);
  const data = dtype === "float64" ? new Float64Array(1) : new Float32Array(1);
  const value = { dtype: dtype === "float64" ? dtype : "float32", shape: [1], data } as Tensor;
  const zeros = c.b.add("ConstantOfShape", [vector], { value: attribute.tensor(value) });
  return dtype === "float16" ? c.b.add("Cast", [zeros], { to: attribute.int(10) }) : zeros;
}

/** A cotangent put among zeros: Pad with so many before and after on each axis (negative: cut off). */
export function pad(c: Context, dy: string, before: readonly number[], after: readonly number[]): string {
  const axes = range(0, before.length).filter((i) => before[i] !== 0 || after[i] !== 0);
  if (axes.length === 0) return dy;
  const pads = [...axes.map((i) => before[i]!), ...axes.map((i) => after[i]!)];
  const all = axes.length === before.length;
  return c.b.add("Pad", all ? [dy, c.b.int64(pads)] : [dy, c.b.int64(pads), "", c.b.int64(axes)]);
}

export function slice(
  c: Context,
  value: string,
  axes: readonly number[],
  starts: readonly number[],
  ends: readonly number[],
  steps?: readonly number[],
): string {
  if (axes.length === 0) return value;
  const inputs = [value, c.b.int64(starts), c.b.int64(ends), c.b.int64(axes)];
  return c.b.add("Slice", steps === undefined ? inputs : [...inputs, c.b.int64(steps)]);
}

/** The end of a slice that goes to the end, or (`-END`, with a step of -1) to the start. */
export const END = 2 ** 31 - 1;

/** Zeros for a matrix along an axis, row-major, as long as it is one that can be held. */
export function zeroMatrix(c: Context, rows: number, columns: number): Float64Array {
  if (rows * columns > 2 ** 24) refuse(c, `it takes a matrix of ${rows} x ${columns}`);
  return new Float64Array(rows * columns);
}

/**
 * The cotangent of x where y = M x along an axis: `matrix` is row-major, [out, in]. As a product with a matrix, which
 * every provider has, and whose derivative is one too.
 */
export function transposedAlong(
  c: Context,
  dy: string,
  shape: Shape,
  axis: number,
  matrix: { readonly rows: number; readonly columns: number; readonly values: Float64Array },
): string {
  const { rows, columns, values } = matrix;
  const { dtype } = c.type(c.node.inputs[0]!);
  if (axis === shape.length - 1) {
    return c.b.add("MatMul", [dy, floats(c, dtype, [rows, columns], Array.from(values))]);
  }
  const turned = Array.from(values, (_, k) => values[(k % rows) * columns + Math.floor(k / rows)]!);
  const left = floats(c, dtype, [columns, rows], turned);
  if (axis === shape.length - 2) return c.b.add("MatMul", [left, dy]);
  const trail = shape.slice(axis + 1);
  if (!trail.every(isStatic)) return refuse(c, "the batch is not in front of the axis");
  const flat = reshape(c, dy, [{ scale: 1, offset: 0 }, rows, trail.reduce((a, d) => a * d, 1)]);
  const product = c.b.add("MatMul", [left, flat]);
  const open = shape.slice(0, axis).findIndex((dim) => !isStatic(dim));
  const head = shape
    .slice(0, axis)
    .map((dim, i) => (i === open ? -1 : isStatic(dim) ? dim : refuse(c, "two batch axes")));
  return c.b.add("Reshape", [product, c.b.int64([...head, columns, ...trail])]);
}

/** Derivatives of one input: dx from dy, x and y. */
export const unary =
  (write: (c: Context, dy: string, x: string, y: string) => string | undefined): Derivative =>
  (c, [dy]) => [dy === undefined ? undefined : write(c, dy, c.node.inputs[0]!, c.node.outputs[0]!)];
