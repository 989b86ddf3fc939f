import type { DType, NdArray } from "@parapet/core";

/** How far two numbers may lie apart: `absolute + relative * |expected|`. Both default to 0. */
export interface Tolerance {
  readonly absolute?: number;
  readonly relative?: number;
}

/** Anything with numbers in it. */
export type Numbers = NdArray<DType> | ArrayLike<number>;

/**
 * Demands that two arrays agree to a tolerance: `|actual - expected| <= absolute + relative * |expected|` for every
 * element. NaN agrees with NaN and an infinity with itself. Shapes are compared where both sides have one.
 *
 * @param actual - what came
 * @param expected - what should have come, as many numbers
 * @param tolerance - `absolute` and `relative`, both >= 0, default 0
 * @throws Error that names the element furthest outside, when they disagree
 *
 * @example
 * ```ts
 * import { assertClose } from "@parapet/testing";
 * try {
 *   assertClose([1, 2.5], [1, 2], { absolute: 0.1 });
 * } catch (error) {
 *   console.log((error as Error).message); // => element 1: expected 2 within 0.1, got 2.5 (off by 0.5; 1 of 2 differ)
 * }
 * ```
 */
export function assertClose(actual: Numbers, expected: Numbers, tolerance: Tolerance = {}): void {
  const { absolute = 0, relative = 0 } = tolerance;
  const [a, b] = paired(actual, expected);
  let worst = -1;
  let excess = 0;
  let count = 0;
  for (let i = 0; i < b.length; i++) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue;
    const allowed = absolute + relative * Math.abs(b[i]!);
    const off = Math.abs(a[i]! - b[i]!);
    if (off <= allowed && Number.isFinite(off)) continue;
    count += 1;
    const outside = Number.isFinite(off) ? off - allowed : Number.POSITIVE_INFINITY;
    if (worst < 0 || outside > excess) {
      worst = i;
      excess = outside;
    }
  }
  if (worst < 0) return;
  const allowed = absolute + relative * Math.abs(b[worst]!);
  const off = Math.abs(a[worst]! - b[worst]!);
  throw new Error(
    `${place(expected, worst)}: expected ${b[worst]} within ${round(allowed)}, got ${a[worst]} ` +
      `(off by ${round(off)}; ${count} of ${b.length} differ)`,
  );
}

/**
 * Demands that two arrays hold the same bytes: 0 and -0 differ, and so do two NaN of different payload.
 *
 * @param actual - what came
 * @param expected - what should have come: the same dtype and shape
 * @throws Error that names the first element that differs
 *
 * @example
 * ```ts
 * import { assertSameBytes } from "@parapet/testing";
 * try {
 *   assertSameBytes(Float32Array.of(1, -0), Float32Array.of(1, 0));
 * } catch (error) {
 *   console.log((error as Error).message); // => element 1: expected 0, got -0 (1 of 2 differ)
 * }
 * ```
 */
export function assertSameBytes(
  actual: NdArray<DType> | Float32Array | Int32Array | Uint8Array,
  expected: NdArray<DType> | Float32Array | Int32Array | Uint8Array,
): void {
  const [a, b] = paired(actual, expected) as [Float32Array, Float32Array];
  if (a.constructor !== b.constructor) {
    throw new Error(`expected a ${b.constructor.name}, got a ${a.constructor.name}`);
  }
  const bytesOf = (data: Float32Array) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const bytes = [bytesOf(a), bytesOf(b)] as const;
  const size = b.BYTES_PER_ELEMENT;
  const differs = (i: number) => {
    for (let j = i * size; j < (i + 1) * size; j++) if (bytes[0][j] !== bytes[1][j]) return true;
    return false;
  };
  let first = -1;
  let count = 0;
  for (let i = 0; i < b.length; i++) {
    if (!differs(i)) continue;
    if (first < 0) first = i;
    count += 1;
  }
  if (first < 0) return;
  throw new Error(
    `${place(expected, first)}: expected ${show(b[first]!)}, got ${show(a[first]!)} (${count} of ${b.length} differ)`,
  );
}

function paired(actual: Numbers, expected: Numbers): [ArrayLike<number>, ArrayLike<number>] {
  if ("shape" in actual && "shape" in expected) {
    if (actual.dtype !== expected.dtype) throw new Error(`expected dtype ${expected.dtype}, got ${actual.dtype}`);
    if (actual.shape.join() !== expected.shape.join()) {
      throw new Error(`expected shape [${expected.shape.join(", ")}], got [${actual.shape.join(", ")}]`);
    }
  }
  const a = "data" in actual ? actual.data : actual;
  const b = "data" in expected ? expected.data : expected;
  if (a.length !== b.length) throw new Error(`expected ${b.length} elements, got ${a.length}`);
  return [a, b];
}

/** `element 5`, and in an array of several axes `element 5 [1, 2]`. */
function place(array: Numbers, i: number): string {
  if (!("shape" in array) || array.shape.length < 2) return `element ${i}`;
  const index: number[] = [];
  let rest = i;
  for (const length of [...array.shape].reverse()) {
    index.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return `element ${i} [${index.join(", ")}]`;
}

const round = (x: number) => Number(x.toPrecision(4));
const show = (x: number) => (Object.is(x, -0) ? "-0" : String(x));
