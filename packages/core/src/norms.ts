import { checkNumber, expected } from "./errors.ts";
import { type NdArray, sizeOf } from "./ndarray.ts";
import type { Rng } from "./rng.ts";

/** The norms that measure a perturbation of one example. */
export type Norm = "l1" | "l2" | "linf";

/** `Norm`, and the number of features that changed. */
export type BallNorm = Norm | "l0";

/** A radius for every row, or one for each. */
export type Radius = number | Float32Array;

/**
 * Checks the name of a norm.
 *
 * @param norm - what the caller gave
 * @returns the norm
 * @throws TypeError when it is not one of "l1", "l2", "linf"
 *
 * @example
 * ```ts
 * import { checkNorm } from "@parapet/core";
 * console.log(checkNorm("l2")); // => l2
 * ```
 */
export function checkNorm(norm: unknown): Norm {
  if (norm !== "l1" && norm !== "l2" && norm !== "linf")
    throw new TypeError(expected("norm", '"l1", "l2" or "linf"', norm));
  return norm;
}

function checkBallNorm(norm: unknown): void {
  if (norm !== "l0") checkNorm(norm);
}

/**
 * The distance between the rows of two arrays.
 *
 * @param a - shape [n, ...]
 * @param b - the same shape
 * @param norm - "l1", "l2", "linf", or "l0" for the number of features that differ
 * @returns shape [n], computed in float64
 * @throws TypeError when the shapes differ or there is no such norm
 *
 * @example
 * ```ts
 * import { distance, ndArray } from "@parapet/core";
 * console.log(distance(ndArray([3, 4], [1, 2]), ndArray([0, 0], [1, 2]), "l2").data[0]); // => 5
 * ```
 */
export function distance(a: NdArray, b: NdArray, norm: BallNorm): NdArray {
  checkBallNorm(norm);
  if (a.shape.length !== b.shape.length || a.shape.some((length, axis) => length !== b.shape[axis])) {
    throw new TypeError(expected("b", `shape [${a.shape.join(", ")}]`, b.shape));
  }
  const { n, width } = rowsOf(a);
  const data = new Float32Array(n);
  const row = new Float64Array(width);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < width; j++) row[j] = a.data[i * width + j]! - b.data[i * width + j]!;
    data[i] = size(row, 0, width, norm);
  }
  return { dtype: "float32", shape: [n], data };
}

/**
 * The Euclidean projection of every row onto the ball `{ d : ||d|| <= radius }`: the closest point inside. Rows inside
 * come back as they are.
 *
 * linf: clip. l2: scale. l1: soft threshold, with the threshold that makes the sum right. l0: keep the `floor(radius)`
 * largest magnitudes, the first ones on a tie.
 *
 * @param perturbation - shape [n, ...]
 * @param norm - the ball's norm
 * @param radius - >= 0, one for all rows or one for each
 * @returns a fresh array of the same shape
 * @throws RangeError when a radius is negative or NaN
 *
 * @example
 * ```ts
 * import { ndArray, projectOntoBall } from "@parapet/core";
 * console.log(projectOntoBall(ndArray([3, 1, -2], [1, 3]), "l1", 2).data.join(" ")); // => 1.5 0 -0.5
 * ```
 *
 * Source: J. Duchi et al., "Efficient Projections onto the l1-Ball for Learning in High Dimensions", ICML 2008,
 * https://doi.org/10.1145/1390156.1390191, figure 1 (by sorting). Differences: none known.
 */
export function projectOntoBall(perturbation: NdArray, norm: BallNorm, radius: Radius): NdArray {
  checkBallNorm(norm);
  const { n, width } = rowsOf(perturbation);
  const data = perturbation.data.slice();
  for (let i = 0; i < n; i++) projectRow(data, i * width, width, norm, radiusOf(radius, i, n));
  return { dtype: "float32", shape: perturbation.shape, data };
}

function projectRow(d: Float32Array, at: number, width: number, norm: BallNorm, radius: number): void {
  const end = at + width;
  if (norm === "linf") {
    for (let j = at; j < end; j++) d[j] = Math.max(-radius, Math.min(radius, d[j]!));
    return;
  }
  const length = size(d, at, width, norm);
  if (length <= radius) return;
  if (norm === "l2") {
    const scale = radius / length;
    for (let j = at; j < end; j++) d[j]! *= scale;
    return;
  }
  const magnitudes = Float64Array.from({ length: width }, (_, j) => Math.abs(d[at + j]!))
    .sort()
    .reverse();
  if (norm === "l0") {
    const keep = Math.floor(radius);
    const last = keep === 0 ? Number.POSITIVE_INFINITY : magnitudes[keep - 1]!;
    let ties = keep - magnitudes.findIndex((magnitude) => magnitude <= last);
    for (let j = at; j < end; j++) {
      const magnitude = Math.abs(d[j]!);
      if (magnitude < last || (magnitude === last && ties-- <= 0)) d[j] = 0;
    }
    return;
  }
  // The threshold is (sum of the m largest - radius) / m for the largest m whose m-th magnitude exceeds it; the first one
  // always counts, also where a radius of 0, or one lost in rounding, makes it equal.
  let sum = 0;
  let threshold = 0;
  for (let m = 0; m < width; m++) {
    sum += magnitudes[m]!;
    const candidate = (sum - radius) / (m + 1);
    if (m > 0 && magnitudes[m]! <= candidate) break;
    threshold = candidate;
  }
  for (let j = at; j < end; j++) d[j] = Math.sign(d[j]!) * Math.max(0, Math.abs(d[j]!) - threshold);
}

/**
 * The steepest direction of every row: the `d` of unit norm with the largest `<gradient, d>`.
 *
 * linf: the sign. l2: the gradient over its length. l1: one step along the largest coordinate, the first one on a tie.
 * A row of zeros stays zero. A row with NaN gives NaN-free zeros where nothing can be said.
 *
 * @param gradient - shape [n, ...]
 * @param norm - the norm in which the step has length 1
 * @returns a fresh array of the same shape; `<gradient, d>` is the dual norm of the gradient
 * @throws TypeError when there is no such norm
 *
 * @example
 * ```ts
 * import { dualStep, ndArray } from "@parapet/core";
 * console.log(dualStep(ndArray([3, -4], [1, 2]), "l1").data.join(" ")); // => 0 -1
 * ```
 *
 * Source: S. Boyd and L. Vandenberghe, "Convex Optimization", 2004, section 9.4 (steepest descent). Differences: none.
 */
export function dualStep(gradient: NdArray, norm: Norm): NdArray {
  checkNorm(norm);
  const { n, width } = rowsOf(gradient);
  const g = gradient.data;
  const data = new Float32Array(g.length);
  for (let i = 0; i < n; i++) {
    const at = i * width;
    if (norm === "linf") {
      for (let j = at; j < at + width; j++) data[j] = Math.sign(g[j]!) || 0;
    } else if (norm === "l2") {
      const length = size(g, at, width, "l2");
      if (length > 0 && Number.isFinite(length)) for (let j = at; j < at + width; j++) data[j] = g[j]! / length;
    } else {
      let best = -1;
      let most = 0;
      for (let j = at; j < at + width; j++) {
        if (Math.abs(g[j]!) > most) {
          most = Math.abs(g[j]!);
          best = j;
        }
      }
      if (best >= 0) data[best] = Math.sign(g[best]!);
    }
  }
  return { dtype: "float32", shape: gradient.shape, data };
}

/**
 * Uniform samples from the ball, by volume: most of an l2 or l1 ball's points lie near its surface.
 *
 * @param shape - [n, ...]
 * @param norm - the ball's norm
 * @param radius - >= 0, one for all rows or one for each
 * @param rngOf - the random stream of each row
 * @returns an array of that shape
 * @throws RangeError when a radius is negative or NaN
 *
 * @example
 * ```ts
 * import { createRng, distance, ndArray, sampleInBall } from "@parapet/core";
 * const rng = createRng(0);
 * const sample = sampleInBall([1, 3], "l2", 0.5, (row) => rng.derive(row));
 * console.log(distance(sample, ndArray([0, 0, 0], [1, 3]), "l2").data[0]! <= 0.5); // => true
 * ```
 *
 * Source: G. Calafiore, F. Dabbene and R. Tempo, "Uniform Sample Generation in l_p Balls for Probabilistic Robustness
 * Analysis", CDC 1998; for l1, normalised exponentials (L. Devroye, 1986, chapter V.2). Differences: none known.
 */
export function sampleInBall(
  shape: readonly number[],
  norm: Norm,
  radius: Radius,
  rngOf: (row: number) => Rng,
): NdArray {
  checkNorm(norm);
  const n = shape[0] ?? 0;
  const width = sizeOf(shape.slice(1));
  const data = new Float32Array(n * width);
  const draw = new Float64Array(width);
  for (let i = 0; i < n; i++) {
    const rng = rngOf(i);
    const r = radiusOf(radius, i, n);
    let scale = r;
    if (norm === "linf") {
      for (let j = 0; j < width; j++) draw[j] = 2 * rng.next() - 1;
    } else if (norm === "l2") {
      for (let j = 0; j < width; j++) draw[j] = rng.normal();
      scale = (r * rng.next() ** (1 / width)) / size(draw, 0, width, "l2");
    } else {
      let sum = -Math.log1p(-rng.next());
      for (let j = 0; j < width; j++) {
        const exponential = -Math.log1p(-rng.next());
        sum += exponential;
        draw[j] = rng.next() < 0.5 ? -exponential : exponential;
      }
      scale = r / sum;
    }
    for (let j = 0; j < width; j++) data[i * width + j] = draw[j]! * scale;
  }
  return { dtype: "float32", shape: [...shape], data };
}

function size(d: Float32Array | Float64Array, at: number, width: number, norm: BallNorm): number {
  let total = 0;
  const end = at + width;
  if (norm === "l2") {
    for (let j = at; j < end; j++) total += d[j]! * d[j]!;
    return Math.sqrt(total);
  }
  if (norm === "linf") for (let j = at; j < end; j++) total = Math.max(total, Math.abs(d[j]!));
  else if (norm === "l1") for (let j = at; j < end; j++) total += Math.abs(d[j]!);
  else for (let j = at; j < end; j++) if (d[j] !== 0) total += 1;
  return total;
}

function rowsOf(array: NdArray): { n: number; width: number } {
  const [n = 0, ...rest] = array.shape;
  return { n, width: sizeOf(rest) };
}

function radiusOf(radius: Radius, row: number, n: number): number {
  if (typeof radius === "number") return checkNumber("radius", radius, { min: 0 });
  if (radius.length !== n) throw new TypeError(expected("radius", `one number or ${n}`, radius.length));
  return checkNumber("radius", radius[row], { min: 0 });
}
