import { exactProduct } from "./compensated.ts";
import { expected } from "./errors.ts";

/** Below this the series of erf is used, above it the continued fraction of erfc. */
const TAIL_FROM = 1.5;

/**
 * The error function.
 *
 * `erf(x) = 2 / sqrt(pi) integral_0^x exp(-t^2) dt`
 *
 * Relative error below 1e-14 for every double.
 *
 * @param x - any number, infinite too
 * @returns a number in [-1, 1]; exactly odd
 * @throws TypeError when x is not a number
 * @throws RangeError when x is NaN
 *
 * @example
 * ```ts
 * import { erf } from "@parapet/core";
 * console.log(erf(1).toFixed(10)); // => 0.8427007929
 * ```
 *
 * Source: DLMF 7.6.2 (all terms positive) below 1.5, 1 - erfc above. Differences from the source: none known.
 */
export function erf(x: number): number {
  checkNotNaN(x);
  const z = Math.abs(x);
  return Math.sign(x) * (z < TAIL_FROM ? series(z) : 1 - tail(z, exactProduct(z, z)));
}

/**
 * The complementary error function.
 *
 * `erfc(x) = 1 - erf(x) = 2 / sqrt(pi) integral_x^inf exp(-t^2) dt`
 *
 * Relative error below 1e-13 up to x = 26.5, where the value reaches the smallest normal double; above that only the
 * absolute error is small, and above 27.3 the value is 0.
 *
 * @param x - any number, infinite too
 * @returns a number in [0, 2]
 * @throws TypeError when x is not a number
 * @throws RangeError when x is NaN
 *
 * @example
 * ```ts
 * import { erfc } from "@parapet/core";
 * console.log(erfc(10).toPrecision(12)); // => 2.08848758376e-45
 * ```
 *
 * Source: 1 - erf below 1.5; above, Laplace's continued fraction, DLMF 7.9.3. Differences from the source: the
 * fraction is cut at a fixed depth for each x and evaluated from its end; x^2 enters the exponential with its rounding
 * error.
 */
export function erfc(x: number): number {
  checkNotNaN(x);
  if (x < TAIL_FROM) return 1 - erf(x);
  return tail(x, exactProduct(x, x));
}

/**
 * The distribution function of the standard normal law.
 *
 * `normalCdf(x) = integral_-inf^x exp(-t^2 / 2) / sqrt(2 pi) dt = erfc(-x / sqrt(2)) / 2`
 *
 * Relative error below 1e-13 from x = -37.5 upwards; below that the value leaves the normal doubles, and below -38.6 it
 * is 0. The upper tail at x is `normalCdf(-x)`, to the same accuracy.
 *
 * @param x - any number, infinite too
 * @returns a probability in [0, 1]
 * @throws TypeError when x is not a number
 * @throws RangeError when x is NaN
 *
 * @example
 * ```ts
 * import { normalCdf } from "@parapet/core";
 * console.log(normalCdf(1.96).toFixed(10)); // => 0.9750021049
 * ```
 *
 * Source: DLMF 7.2.2 and 7.6.2; 7.9.3 for the tails. Differences from the source: none known.
 */
export function normalCdf(x: number): number {
  checkNotNaN(x);
  const z = Math.abs(x) * Math.SQRT1_2;
  if (z < TAIL_FROM) return 0.5 + 0.5 * Math.sign(x) * series(z);
  const [square, error] = exactProduct(x, x);
  const upper = 0.5 * tail(z, [square / 2, error / 2]);
  return x < 0 ? upper : 1 - upper;
}

/**
 * The quantile of the standard normal law: the x with `normalCdf(x) = p`.
 *
 * Relative error below 1e-13 from p = 1e-300 to 1 - 1.1e-16, also next to p = 1/2, where it vanishes. An upper tail q
 * that is smaller than that has the quantile `-normalQuantile(q)`.
 *
 * @param p - a probability in [0, 1]
 * @returns the quantile; `-Infinity` at 0 and `Infinity` at 1
 * @throws TypeError when p is not a number
 * @throws RangeError when p is NaN or outside [0, 1]
 *
 * @example
 * ```ts
 * import { normalQuantile } from "@parapet/core";
 * console.log(normalQuantile(0.975).toFixed(10)); // => 1.9599639845
 * ```
 *
 * Source: starting value M. Abramowitz and I. Stegun (1964), 26.2.23 (absolute error 4.5e-4), then Halley's iteration
 * (1694) on `normalCdf`. Differences from the source: next to 1/2 the iteration is done on erf.
 */
export function normalQuantile(p: number): number {
  if (typeof p !== "number") throw new TypeError(expected("p", "a number in [0, 1]", p));
  if (!(p >= 0 && p <= 1)) throw new RangeError(expected("p", "a number in [0, 1]", p));
  if (p > 0.5) return -lowerQuantile(1 - p, 0.5 - p);
  return p === 0.5 ? 0 : lowerQuantile(p, p - 0.5);
}

/** The quantile of p < 1/2, given p - 1/2 too, which is exact where it matters. */
function lowerQuantile(p: number, centred: number): number {
  if (p === 0) return -Infinity;
  const t = Math.sqrt(-2 * Math.log(p));
  let x =
    centred > -0.1
      ? centred * Math.sqrt(2 * Math.PI)
      : (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
  for (let i = 0; i < 4; i++) {
    const z = -x * Math.SQRT1_2;
    // (normalCdf(x) - p) / density(x), both divided by exp(-x^2 / 2)
    const inverse = Math.sqrt(2 * Math.PI) * Math.exp(x * (x / 2));
    const error = z < TAIL_FROM ? (-0.5 * series(z) - centred) * inverse : (normalCdf(x) - p) * inverse;
    x -= error / (1 + 0.5 * x * error);
  }
  return x;
}

/** erf(z) for 0 <= z, made for z < 1.5: 2 z / sqrt(pi) exp(-z^2) (1 + 2 z^2 / 3 + (2 z^2)^2 / (3 * 5) + ...). */
function series(z: number): number {
  let term = 1;
  let sum = 1;
  for (let odd = 3; term > 1e-17 * sum; odd += 2) {
    term *= (2 * z * z) / odd;
    sum += term;
  }
  return 2 * z * Math.exp(-z * z) * sum * Math.sqrt(1 / Math.PI);
}

/** erfc(z) for 1.5 <= z, given z^2 exactly, as a rounded number and its error. */
function tail(z: number, [square, error]: readonly [number, number]): number {
  if (square > 800) return 0; // exp(-745.2) is the smallest double
  let fraction = 0;
  for (let k = 16 + Math.ceil(160 / square); k > 0; k--) fraction = k / 2 / (z + fraction);
  return (Math.exp(-square) * (1 - error) * Math.sqrt(1 / Math.PI)) / (z + fraction);
}

function checkNotNaN(x: unknown): void {
  if (typeof x !== "number") throw new TypeError(expected("x", "a number", x));
  if (Number.isNaN(x)) throw new RangeError(expected("x", "a number", x));
}
