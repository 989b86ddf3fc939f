import { broadcast_util, type KernelFunc, type NamedAttrMap, type TensorInfo } from "@tensorflow/tfjs-core";
import {
  alias,
  allocate,
  dispose,
  dropAlias,
  type ForwardKernels,
  floats,
  sizeOf,
  transpose,
  type WasmBackend,
} from "./heap.ts";

/** One product [m, k] times [k, n]; a transposed operand lies in memory as [k, m] or [n, k]. */
interface Product {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** A matrix in the heap: `start` counts values from the beginning of the tensor. */
interface Matrix {
  readonly tensor: TensorInfo;
  readonly start: number;
}

/** Below so many multiplications a loop is done before XNNPACK has packed its weights. */
const tiny = 4096;

/**
 * BatchMatMul. The stock kernel uses XNNPACK for a single product without transposes only, and a scalar loop for the
 * rest. Here operands are transposed first, and a batch of products is done one by one.
 */
export function batchMatMul(forward: ForwardKernels): KernelFunc {
  return (args) => {
    const attrs = args.attrs as NamedAttrMap;
    const backend = args.backend as WasmBackend;
    const a = args.inputs.a!;
    const b = args.inputs.b!;
    const transposeA = Boolean(attrs.transposeA);
    const transposeB = Boolean(attrs.transposeB);
    const [a0, a1] = a.shape.slice(-2) as [number, number];
    const [b0, b1] = b.shape.slice(-2) as [number, number];
    const [m, k] = transposeA ? [a1, a0] : [a0, a1];
    const n = transposeB ? b0 : b1;
    const outerA = a.shape.slice(0, -2);
    const outerB = b.shape.slice(0, -2);
    const single = sizeOf(outerA) * sizeOf(outerB) === 1;
    const odd = a.dtype !== "float32" || b.dtype !== "float32" || k !== (transposeB ? b1 : b0) || m * k * n === 0;
    // What is fast already, and what the stock kernel refuses in words its users know.
    if (odd || (single && !transposeA && !transposeB)) return forward.batchMatMul(args);

    const product = { m, k, n, transposeA, transposeB };
    const outer = broadcast_util.assertAndGetBroadcastShape(outerA, outerB);
    const shape = [...outer, m, n];
    if (single && m * k * n >= tiny) {
      const { dataId } = multiply(forward, backend, { tensor: a, start: 0 }, { tensor: b, start: 0 }, product);
      return { dataId, shape, dtype: "float32" };
    }
    const out = allocate(backend, shape);
    const count = sizeOf(outer);
    for (let i = 0; i < count; i++) {
      const left = { tensor: a, start: broadcastIndex(i, outer, outerA) * m * k };
      const right = { tensor: b, start: broadcastIndex(i, outer, outerB) * k * n };
      if (m * k * n < tiny) {
        loop(floats(backend, a), left.start, floats(backend, b), right.start, floats(backend, out), i * m * n, product);
      } else {
        const result = multiply(forward, backend, left, right, product);
        floats(backend, out).set(floats(backend, result), i * m * n);
        dispose(backend, result);
      }
    }
    return out;
  };
}

/** _FusedMatMul with a transposed operand: transposed first, when there is one product; the rest is stock. */
export function fusedMatMul(stock: KernelFunc): KernelFunc {
  return (args) => {
    const attrs = args.attrs as NamedAttrMap;
    const backend = args.backend as WasmBackend;
    const a = args.inputs.a!;
    const b = args.inputs.b!;
    const { transposeA, transposeB } = attrs;
    const plain = a.dtype === "float32" && b.dtype === "float32" && a.shape[0] === 1 && b.shape[0] === 1;
    if (!plain || (!transposeA && !transposeB)) return stock(args);
    const left = transposeA ? transposed(backend, { tensor: a, start: 0 }, a.shape[1]!, a.shape[2]!) : a;
    const right = transposeB ? transposed(backend, { tensor: b, start: 0 }, b.shape[1]!, b.shape[2]!) : b;
    const result = stock({
      inputs: { ...args.inputs, a: left, b: right },
      backend,
      attrs: { ...attrs, transposeA: false, transposeB: false },
    });
    if (transposeA) dispose(backend, left);
    if (transposeB) dispose(backend, right);
    return result;
  };
}

/**
 * The product on XNNPACK, as a b or as the transpose of b' a', whichever moves less. Both give the same bits: each element
 * is summed over k in ascending order, whatever the tile. In nanoseconds an element: transposing 1, packing the right
 * operand 6; 0.07 a multiplication, by eights of the right operand's columns.
 */
function multiply(
  forward: ForwardKernels,
  backend: WasmBackend,
  a: Matrix,
  b: Matrix,
  { m, k, n, transposeA, transposeB }: Product,
): TensorInfo {
  const straight = (transposeA ? m * k : 0) + (transposeB ? 7 : 6) * k * n + 0.56 * m * k * Math.ceil(n / 8);
  const swapped = (transposeB ? 0 : k * n) + (transposeA ? 6 : 7) * m * k + 0.56 * n * k * Math.ceil(m / 8) + m * n;
  if (straight <= swapped) return onXnnpack(forward, backend, a, transposeA, b, transposeB, m, k, n);
  const flipped = onXnnpack(forward, backend, b, !transposeB, a, !transposeA, n, k, m);
  const result = transposed(backend, { tensor: flipped, start: 0 }, n, m);
  dispose(backend, flipped);
  return result;
}

/** [m, k] times [k, n], with operands that lie transposed where marked. */
function onXnnpack(
  forward: ForwardKernels,
  backend: WasmBackend,
  a: Matrix,
  turnA: boolean,
  b: Matrix,
  turnB: boolean,
  m: number,
  k: number,
  n: number,
): TensorInfo {
  const left = turnA ? transposed(backend, a, k, m) : alias(backend, a.tensor, a.start, [1, m, k]);
  const right = turnB ? transposed(backend, b, n, k) : alias(backend, b.tensor, b.start, [1, k, n]);
  const result = forward.batchMatMul({
    inputs: { a: left, b: right },
    backend,
    attrs: { transposeA: false, transposeB: false },
  }) as TensorInfo;
  (turnA ? dispose : dropAlias)(backend, left);
  (turnB ? dispose : dropAlias)(backend, right);
  return result;
}

function transposed(backend: WasmBackend, { tensor, start }: Matrix, rows: number, columns: number): TensorInfo {
  const result = allocate(backend, [1, columns, rows]);
  const size = rows * columns;
  transpose(floats(backend, tensor).subarray(start, start + size), floats(backend, result), rows, columns);
  return result;
}

/** The same sums as XNNPACK's, bit for bit: ascending k, rounded to float32 after each product and each sum. */
function loop(
  a: Float32Array,
  startA: number,
  b: Float32Array,
  startB: number,
  out: Float32Array,
  startOut: number,
  { m, k, n, transposeA, transposeB }: Product,
): void {
  const [rowA, stepA] = transposeA ? [1, m] : [k, 1];
  const [columnB, stepB] = transposeB ? [k, 1] : [1, n];
  let at = startOut;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      let left = startA + i * rowA;
      let right = startB + j * columnB;
      for (let l = 0; l < k; l++) {
        sum = Math.fround(sum + Math.fround(a[left]! * b[right]!));
        left += stepA;
        right += stepB;
      }
      out[at++] = sum;
    }
  }
}

/** Which of `from`'s matrices the `index`-th of the broadcast shape `outer` reads. */
function broadcastIndex(index: number, outer: readonly number[], from: readonly number[]): number {
  let result = 0;
  let unit = 1;
  let rest = index;
  for (let axis = outer.length - 1, own = from.length - 1; own >= 0; axis--, own--) {
    const position = rest % outer[axis]!;
    rest = (rest - position) / outer[axis]!;
    if (from[own]! > 1) result += position * unit;
    unit *= from[own]!;
  }
  return result;
}
