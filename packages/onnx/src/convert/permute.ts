/**
 * How a weight of tfjs is laid out in the ONNX file: read it as an array of shape `view`, reorder its axes by
 * `permutation` (axis i of the result is axis `permutation[i]` of the view), and give the result the shape `shape`.
 */
export interface WeightLayout {
  readonly view: readonly number[];
  readonly permutation: readonly number[];
  readonly shape: readonly number[];
}

/** The layout of a weight that is taken as it is. */
export function asItIs(shape: readonly number[]): WeightLayout {
  return { view: shape, permutation: shape.map((_, axis) => axis), shape };
}

/** The layout of a weight whose axes are reordered. */
export function reordered(shape: readonly number[], permutation: readonly number[]): WeightLayout {
  return { view: shape, permutation, shape: permutation.map((axis) => shape[axis]!) };
}

/** True where the values keep their order in memory. */
export function keepsOrder({ permutation }: WeightLayout): boolean {
  return permutation.every((axis, i) => axis === i);
}

/** The values in the order of the ONNX file. */
export function toOnnxOrder(data: Float32Array, { view, permutation }: WeightLayout): Float32Array {
  return permute(data, view, permutation);
}

/** The values in the order of tfjs: the inverse. */
export function toLayersOrder(data: Float32Array, { view, permutation }: WeightLayout): Float32Array {
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  return permute(
    data,
    permutation.map((axis) => view[axis]!),
    inverse,
  );
}

/** A fresh array: the axes of `data`, an array of shape `shape`, in another order. */
function permute(data: Float32Array, shape: readonly number[], permutation: readonly number[]): Float32Array {
  const out = new Float32Array(data.length);
  if (data.length === 0) return out;
  if (permutation.every((axis, i) => axis === i)) {
    out.set(data);
    return out;
  }
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, length) => product * length, 1));
  const lengths = permutation.map((axis) => shape[axis]!);
  const steps = permutation.map((axis) => strides[axis]!);
  const last = lengths.length - 1;
  const index = lengths.map(() => 0);
  let from = 0;
  let to = 0;
  while (to < out.length) {
    for (let i = 0, at = from; i < lengths[last]!; i++, at += steps[last]!) out[to++] = data[at]!;
    // Counts the other axes up, the last of them fastest, and keeps `from` in step.
    for (let axis = last - 1; axis >= 0; axis--) {
      from += steps[axis]!;
      if (++index[axis]! < lengths[axis]!) break;
      from -= steps[axis]! * lengths[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}
