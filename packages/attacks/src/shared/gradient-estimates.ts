import { type Labeler, normalQuantile, type Rng } from "@parapet/core";
import { confine, type Script } from "./questions.ts";
import type { Run } from "./run.ts";

const LEVELS = 4096;
let quantiles: Float32Array | undefined;

/** The middles of 4,096 equally likely parts of the normal distribution, scaled to variance 1; the largest is 3.7. */
function levels(): Float32Array {
  if (quantiles === undefined) {
    const values = Float64Array.from({ length: LEVELS }, (_, i) => normalQuantile((i + 0.5) / LEVELS));
    const scale = Math.sqrt(LEVELS / values.reduce((sum, value) => sum + value * value, 0));
    quantiles = Float32Array.from(values, (value) => value * scale);
  }
  return quantiles;
}

/** No number of `fillNormal` is larger. */
export const MOST_NORMAL = 3.7;

/**
 * Fills an array with numbers of mean 0 and variance 1 that are normal but for their 4,096 levels: four for one random
 * number, as estimates of gradients take millions. That they are bounded keeps points inside the bounds without clipping.
 */
export function fillNormal(rng: Rng, out: Float32Array): void {
  const table = levels();
  for (let j = 0; j < out.length; j += 4) {
    const bits = Math.floor(rng.next() * 2 ** 48);
    const high = Math.floor(bits / 2 ** 24);
    const low = bits - high * 2 ** 24;
    out[j] = table[high >>> 12]!;
    if (j + 1 < out.length) out[j + 1] = table[high & 4095]!;
    if (j + 2 < out.length) out[j + 2] = table[low >>> 12]!;
    if (j + 3 < out.length) out[j + 3] = table[low & 4095]!;
  }
}

/** Fills an array with 1 and -1, equally likely. */
export function fillSigns(rng: Rng, out: Float32Array): void {
  let bits = 0;
  for (let j = 0; j < out.length; j++) {
    if (j % 32 === 0) bits = Math.floor(rng.next() * 2 ** 32);
    out[j] = bits & 1 ? 1 : -1;
    bits >>>= 1;
  }
}

/** Scales `out` to l2 length 1 over the features that may move, and sets the others to 0; a zero stays. */
export function toUnit(run: Run<Labeler>, row: number, out: Float32Array): Float32Array {
  let total = 0;
  for (let j = 0; j < out.length; j++) {
    if (run.masked && !run.free(row * run.width + j)) out[j] = 0;
    total += out[j]! * out[j]!;
  }
  const scale = total > 0 ? 1 / Math.sqrt(total) : 0;
  for (let j = 0; j < out.length; j++) out[j]! *= scale;
  return out;
}

/**
 * Estimates the normal of the border at a point that lies on it, from labels: the mean of `phi u` over random directions
 * `u` of length 1, where `phi` is 1 if `point + radius u` reaches the goal and -1 if not. On a half-space with normal w
 * its mean is `E|u_1| w / ||w||`. The mean of phi is subtracted first, which lowers the variance where the point is not
 * quite on the border (Chen 2020). What bounds and mask leave of `radius u` is what counts.
 *
 * @param fill - writes a random direction, of any length
 * @returns a vector that points to where the goal is reached, of any length; zero where nothing was learnt
 */
export function* borderNormal(
  run: Run<Labeler>,
  row: number,
  point: Float32Array,
  radius: number,
  count: number,
  fill: (out: Float32Array) => void,
): Script<Float32Array> {
  const { width, lower, upper, masked, free } = run;
  const points = new Float32Array(count * width);
  for (let i = 0; i < count; i++) {
    const u = points.subarray(i * width, (i + 1) * width);
    fill(u);
    let total = 0;
    for (let j = 0; j < width; j++) {
      if (masked && !free(row * width + j)) u[j] = 0;
      total += u[j]! * u[j]!;
    }
    const scale = total > 0 ? radius / Math.sqrt(total) : 0;
    for (let j = 0; j < width; j++) u[j] = Math.max(lower[j]!, Math.min(upper[j]!, point[j]! + scale * u[j]!));
  }
  const { reached } = yield points;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += 2 * reached[i]! - 1;
  // Where all answers are the same, their mean is all that is known.
  const baseline = Math.abs(sum) === count ? 0 : sum / count;
  const normal = new Float64Array(width);
  for (let i = 0; i < count; i++) {
    const weight = 2 * reached[i]! - 1 - baseline;
    for (let j = 0; j < width; j++) normal[j]! += weight * (points[i * width + j]! - point[j]!);
  }
  const scale = 1 / (radius * count);
  return Float32Array.from(normal, (value) => value * scale);
}

/**
 * Estimates the gradient of the loss from values, by pairs of opposite directions: the mean of
 * `(f(p + radius u) - f(p - radius u)) / (2 radius) u`. With directions of independent entries of variance 1 its mean on a
 * linear loss is the gradient exactly; on a quadratic one, too.
 *
 * Clipping would shrink the steps of features near a bound, and the estimate with them: `p` is the nearest point to `point`
 * from which no step leaves the bounds.
 *
 * @param most - no entry of a direction is larger
 * @returns the estimate; pairs without a finite difference do not count
 */
export function* pairedGradient(
  run: Run<Labeler>,
  row: number,
  point: Float32Array,
  radius: number,
  pairs: number,
  most: number,
  fill: (out: Float32Array) => void,
): Script<Float32Array> {
  const { width, lower, upper, masked, free } = run;
  const directions = new Float32Array(pairs * width);
  const points = new Float32Array(2 * pairs * width);
  const centre = new Float32Array(width);
  const reach = radius * most;
  for (let j = 0; j < width; j++) {
    const inner = Math.max(lower[j]! + reach, Math.min(upper[j]! - reach, point[j]!));
    centre[j] = upper[j]! - lower[j]! < 2 * reach ? (lower[j]! + upper[j]!) / 2 : inner;
  }
  for (let i = 0; i < pairs; i++) {
    const u = directions.subarray(i * width, (i + 1) * width);
    fill(u);
    const plus = 2 * i * width;
    for (let j = 0; j < width; j++) {
      if (masked && !free(row * width + j)) u[j] = 0;
      points[plus + j] = centre[j]! + radius * u[j]!;
      points[plus + width + j] = centre[j]! - radius * u[j]!;
    }
  }
  confine(run, row, points);
  const { value } = yield points;
  const sum = new Float64Array(width);
  let counted = 0;
  for (let i = 0; i < pairs; i++) {
    const difference = (value[2 * i]! - value[2 * i + 1]!) / (2 * radius);
    if (!Number.isFinite(difference)) continue;
    counted++;
    for (let j = 0; j < width; j++) sum[j]! += difference * directions[i * width + j]!;
  }
  return Float32Array.from(sum, (value) => (counted > 0 ? value / counted : 0));
}
