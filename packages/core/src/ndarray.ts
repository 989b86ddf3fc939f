import { expected } from "./errors.ts";

/** The typed array behind each dtype. The names mean the same in tfjs and in onnxruntime. */
export interface DataOf {
  float32: Float32Array;
  int32: Int32Array;
  bool: Uint8Array;
}

/** The element types that cross package borders. */
export type DType = keyof DataOf;

/**
 * Plain data, dense and row-major; the first axis is the batch. No methods, strides or lifetime, so it can be posted to
 * a worker, written to JSON or handed to any engine. Read-only by agreement: whoever gets one does not write into it.
 */
export interface NdArray<D extends DType = "float32"> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: DataOf[D];
}

/** A view of npm `ndarray` (scijs), met structurally: any stride, negative ones too, and any offset. */
export interface NdarrayView {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  readonly offset: number;
  readonly data: ArrayLike<number> | { get(index: number): number; readonly length: number };
}

/**
 * The number of elements of a shape: the product of its lengths, 1 for a shape without axes.
 *
 * @param shape - lengths of the axes, whole numbers >= 0; not checked
 * @returns the product
 *
 * @example
 * ```ts
 * import { sizeOf } from "@parapet/core";
 * console.log(sizeOf([28, 28, 1]), sizeOf([])); // => 784 1
 * ```
 */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1);
}

/**
 * Makes an `NdArray` from numbers. A typed array is taken as it is, without a copy.
 *
 * @param data - `Float32Array`, `Int32Array` or `Uint8Array` (dtype `"bool"`); plain numbers become `Float32Array`
 * @param shape - lengths of the axes, batch first; default: one axis
 * @returns the array
 * @throws TypeError when the length is not the product of the shape
 *
 * @example
 * ```ts
 * import { ndArray } from "@parapet/core";
 * const x = ndArray([0.1, 0.2, 0.3, 0.4], [2, 2]); // two examples of two features
 * console.log(x.dtype, x.shape.join("x")); // => float32 2x2
 * ```
 */
export function ndArray(data: Int32Array, shape?: readonly number[]): NdArray<"int32">;
export function ndArray(data: Uint8Array, shape?: readonly number[]): NdArray<"bool">;
export function ndArray(data: Float32Array | readonly number[], shape?: readonly number[]): NdArray;
export function ndArray(
  data: Float32Array | Int32Array | Uint8Array | readonly number[],
  shape: readonly number[] = [data.length],
): NdArray<DType> {
  checkShape("shape", shape);
  if (sizeOf(shape) !== data.length) {
    throw new TypeError(expected("data", `${sizeOf(shape)} values for shape [${shape.join(", ")}]`, data.length));
  }
  if (data instanceof Int32Array) return { dtype: "int32", shape, data };
  if (data instanceof Uint8Array) return { dtype: "bool", shape, data };
  return { dtype: "float32", shape, data: data instanceof Float32Array ? data : Float32Array.from(data) };
}

/**
 * Accepts what callers have: an `NdArray` (checked and returned as it is) or a view of npm `ndarray` of any stride and
 * offset (copied into a dense array).
 *
 * Floating-point and untyped views become float32 (float64 is rounded), integer views up to 32 bits become int32.
 * A `uint8` view is integers, not booleans. Views whose numbers would not fit (`uint32`, `bigint64`, ...) are refused
 * unless `dtype` asks for float32.
 *
 * @param value - the array, any shape
 * @param dtype - convert to this dtype instead of the one that fits
 * @returns a dense array of the same shape
 * @throws TypeError when it is neither, when shape and data disagree, or when the dtype cannot be carried
 *
 * @example
 * ```ts
 * import ndarray from "ndarray";
 * import { asNdArray } from "@parapet/core";
 * const view = ndarray(new Float64Array([1, 2, 3, 4, 5, 6]), [2, 3]).transpose(1, 0);
 * console.log(asNdArray(view).data.join(" ")); // => 1 4 2 5 3 6
 * ```
 */
export function asNdArray(value: NdArray | NdarrayView, dtype?: "float32"): NdArray;
export function asNdArray<D extends DType>(value: NdArray<DType> | NdarrayView, dtype: D): NdArray<D>;
export function asNdArray(value: NdArray<DType> | NdarrayView, dtype?: DType): NdArray<DType>;
export function asNdArray(value: NdArray<DType> | NdarrayView, dtype?: DType): NdArray<DType> {
  if (typeof value !== "object" || value === null || !("shape" in value) || !("data" in value)) {
    throw new TypeError(expected("array", "an NdArray { dtype, shape, data } or an ndarray view", value));
  }
  checkShape("shape", value.shape);
  if ("stride" in value) return fromView(value, dtype);
  const { data, shape } = value;
  const natural = data instanceof Float32Array ? "float32" : data instanceof Int32Array ? "int32" : "bool";
  if (value.dtype !== natural || (natural === "bool" && !(data instanceof Uint8Array))) {
    throw new TypeError(
      expected("data", `the typed array of dtype "${value.dtype}"`, (data as object)?.constructor?.name),
    );
  }
  if (data.length !== sizeOf(shape)) {
    throw new TypeError(expected("data", `${sizeOf(shape)} values for shape [${shape.join(", ")}]`, data.length));
  }
  if (dtype === undefined || dtype === value.dtype) return value;
  return { dtype, shape, data: convert(data, dtype) };
}

const VIEW_DTYPES: Readonly<Record<string, DType>> = {
  float32: "float32",
  float64: "float32",
  array: "float32",
  generic: "float32",
  int8: "int32",
  int16: "int32",
  int32: "int32",
  uint8: "int32",
  uint8_clamped: "int32",
  uint16: "int32",
};

function fromView(view: NdarrayView, wanted: DType | undefined): NdArray<DType> {
  const dtype = wanted ?? VIEW_DTYPES[view.dtype];
  if (dtype === undefined || typeof view.dtype !== "string" || view.dtype.startsWith("big")) {
    throw new TypeError(expected("dtype", `one of ${Object.keys(VIEW_DTYPES).join(", ")}`, view.dtype));
  }
  const { shape, stride, offset, data } = view;
  if (!Array.isArray(stride) || stride.length !== shape.length) {
    throw new TypeError(expected("stride", `an array of ${shape.length} numbers`, stride));
  }
  if (typeof data !== "object" || data === null) throw new TypeError(expected("data", "an array or a store", data));
  const read = "get" in data && typeof data.get === "function" ? (i: number) => data.get(i) : undefined;
  const values = new Float64Array(sizeOf(shape));
  const index = new Array<number>(shape.length).fill(0);
  let at = offset;
  for (let i = 0; i < values.length; i++) {
    const value = read ? read(at) : (data as ArrayLike<number>)[at];
    if (typeof value !== "number") throw new TypeError(expected("view", "an element at every index", `none at ${at}`));
    values[i] = value;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += stride[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= stride[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return { dtype, shape: [...shape], data: convert(values, dtype) };
}

function convert(values: ArrayLike<number>, dtype: DType): DataOf[DType] {
  if (dtype === "float32") return Float32Array.from(values);
  if (dtype === "bool") return Uint8Array.from(values, (value) => (value ? 1 : 0));
  const result = Int32Array.from(values);
  for (let i = 0; i < result.length; i++) {
    if (result[i] !== values[i]) throw new TypeError(expected("data", "32-bit integers", values[i]));
  }
  return result;
}

/**
 * The way back: an npm `ndarray` with the same numbers, in memory of its own.
 *
 * The constructor is yours to pass, because npm `ndarray` compiles code at run time, which a page with a content
 * security policy forbids; this package does not import it.
 *
 * @param array - any dtype and shape
 * @param ndarray - the default export of npm `ndarray`
 * @returns what the constructor returns
 *
 * @example
 * ```ts
 * import ndarray from "ndarray";
 * import { ndArray, toNdarray } from "@parapet/core";
 * console.log(toNdarray(ndArray([1, 2, 3, 4], [2, 2]), ndarray).get(1, 0)); // => 3
 * ```
 */
export function toNdarray<D extends DType, View>(
  array: NdArray<D>,
  ndarray: (data: DataOf[D], shape: number[]) => View,
): View {
  return ndarray(array.data.slice() as DataOf[D], [...array.shape]);
}

/**
 * Copies rows of the first axis: row `i` of the result is row `rows[i]` of the array. Any order, repeats allowed.
 *
 * @param array - shape [n, ...], any dtype
 * @param rows - m indices in [0, n)
 * @returns a fresh array of shape [m, ...]
 * @throws RangeError when an index is outside [0, n)
 *
 * @example
 * ```ts
 * import { ndArray, takeRows } from "@parapet/core";
 * const x = ndArray([1, 2, 3, 4, 5, 6], [3, 2]);
 * console.log(takeRows(x, [2, 0]).data.join(" ")); // => 5 6 1 2
 * ```
 */
export function takeRows<D extends DType>(array: NdArray<D>, rows: ArrayLike<number>): NdArray<D> {
  const [n = 0, ...rest] = array.shape;
  const width = sizeOf(rest);
  const data = new (array.data.constructor as new (length: number) => DataOf[D])(rows.length * width);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    if (!(row >= 0 && row < n)) throw new RangeError(expected("rows", `indices below ${n}`, row));
    data.set(array.data.subarray(row * width, (row + 1) * width), i * width);
  }
  return { dtype: array.dtype, shape: [rows.length, ...rest], data };
}

/**
 * Joins arrays along the first axis, in the order given.
 *
 * @param arrays - at least one; of one dtype, and of one shape but for the first axis
 * @returns a fresh array with the rows of all
 * @throws RangeError when there are none
 * @throws TypeError when dtypes or the other axes differ
 *
 * @example
 * ```ts
 * import { concatRows, ndArray } from "@parapet/core";
 * const both = concatRows([ndArray([1, 2], [1, 2]), ndArray([3, 4, 5, 6], [2, 2])]);
 * console.log(both.shape.join("x"), both.data.join(" ")); // => 3x2 1 2 3 4 5 6
 * ```
 */
export function concatRows<D extends DType>(arrays: readonly NdArray<D>[]): NdArray<D> {
  const first = arrays[0];
  if (first === undefined) throw new RangeError(expected("arrays", "at least one array", arrays));
  const rest = first.shape.slice(1);
  let rows = 0;
  let length = 0;
  for (const { shape, data, dtype } of arrays) {
    if (
      dtype !== first.dtype ||
      rest.some((size, axis) => size !== shape[axis + 1]) ||
      shape.length !== rest.length + 1
    ) {
      throw new TypeError(expected("arrays", `${first.dtype} rows of shape [${rest.join(", ")}]`, shape.slice(1)));
    }
    rows += shape[0]!;
    length += data.length;
  }
  const data = new (first.data.constructor as new (length: number) => DataOf[D])(length);
  let at = 0;
  for (const array of arrays) {
    data.set(array.data, at);
    at += array.data.length;
  }
  return { dtype: first.dtype, shape: [rows, ...rest], data };
}

function checkShape(name: string, shape: unknown): void {
  const ok = Array.isArray(shape) && shape.every((length) => Number.isInteger(length) && length >= 0);
  if (!ok) throw new TypeError(expected(name, "an array of whole numbers >= 0", shape));
}
