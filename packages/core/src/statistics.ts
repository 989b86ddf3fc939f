import { inverseRegularizedIncompleteBeta } from "./beta.ts";
import { checkNumber, expected } from "./errors.ts";
import { normalQuantile } from "./normal.ts";

/** A share of successes with the interval that the counts allow; every rate that is reported is one of these. */
export interface Rate {
  /** Successes. */
  readonly count: number;
  /** Trials. */
  readonly total: number;
  /** count / total. */
  readonly rate: number;
  /** Lower end of the interval, in [0, rate]. */
  readonly low: number;
  /** Upper end of the interval, in [rate, 1]. */
  readonly high: number;
}

/**
 * A rate with Wilson's score interval, the default for reports: its coverage is near the confidence on average, but may
 * lie somewhat below it for a given true rate. Where it must never lie below, as in a certificate, use
 * `clopperPearson`.
 *
 * `(k + z^2/2 -+ z sqrt(k (n-k) / n + z^2/4)) / (n + z^2)`, z the normal quantile of (1 + confidence) / 2
 *
 * @param count - successes k, a whole number in [0, total]
 * @param total - trials n, a whole number >= 1
 * @param options - `confidence` of the two-sided interval, in (0, 1), default 0.95
 * @returns the rate; `low` is exactly 0 at no success, `high` exactly 1 at no failure
 * @throws TypeError when an argument is not a number
 * @throws RangeError when an argument is NaN, not whole or outside its range
 *
 * @example
 * ```ts
 * import { wilson } from "@parapet/core";
 * const { rate, low, high } = wilson(950, 1000);
 * console.log(rate, low.toFixed(4), high.toFixed(4)); // => 0.95 0.9347 0.9619
 * ```
 *
 * Source: E. B. Wilson (1927), Journal of the American Statistical Association 22, 209-212. Differences from the source:
 * the lower end is computed from the product of the two roots, which does not cancel.
 */
export function wilson(
  count: number,
  total: number,
  { confidence = 0.95 }: { readonly confidence?: number } = {},
): Rate {
  const rate = checkRate(count, total, confidence);
  const z2 = normalQuantile((1 - confidence) / 2) ** 2;
  const middle = count + z2 / 2;
  const half = Math.sqrt(z2 * ((count / total) * (total - count) + z2 / 4));
  const low = count === 0 ? 0 : ((count / total) * count) / (middle + half);
  const high = count === total ? 1 : (middle + half) / (total + z2);
  return { count, total, rate, low, high };
}

/**
 * A rate with the exact interval of Clopper and Pearson: whatever the true rate is, the interval holds it with at least
 * the confidence. The bound to use in certificates and audits.
 *
 * `low` solves P(X >= k | low) = alpha and `high` solves P(X <= k | high) = alpha for binomial X: the alpha quantile of
 * Beta(k, n-k+1) and the 1 - alpha quantile of Beta(k+1, n-k); alpha = 1 - confidence, halved when two-sided
 *
 * @param count - successes k, a whole number in [0, total]
 * @param total - trials n, a whole number in [1, 1e9]; tested to 1e6
 * @param options - `confidence`, in (0, 1), default 0.95; `sided`: `"two"` (the default), `"lower"` for a lower bound
 * alone (`high` is 1) or `"upper"` for an upper bound alone (`low` is 0)
 * @returns the rate
 * @throws TypeError when an argument is not a number
 * @throws RangeError when an argument is NaN, not whole or outside its range
 *
 * @example
 * ```ts
 * import { clopperPearson } from "@parapet/core";
 * const { low, high } = clopperPearson(990, 1000, { confidence: 0.999, sided: "lower" });
 * console.log(low.toFixed(6), high); // => 0.976036 1
 * ```
 *
 * Source: C. Clopper and E. Pearson (1934), Biometrika 26, 404-413; as beta quantiles, L. Brown, T. Cai and
 * A. DasGupta (2001), Statistical Science 16, section 4.2.1. Differences from the source: none known.
 */
export function clopperPearson(
  count: number,
  total: number,
  {
    confidence = 0.95,
    sided = "two",
  }: { readonly confidence?: number; readonly sided?: "two" | "lower" | "upper" } = {},
): Rate {
  const rate = checkRate(count, total, confidence);
  checkNumber("total", total, { max: 1e9 });
  if (sided !== "two" && sided !== "lower" && sided !== "upper") {
    throw new RangeError(expected("sided", '"two", "lower" or "upper"', sided));
  }
  const alpha = sided === "two" ? (1 - confidence) / 2 : 1 - confidence;
  const failures = total - count;
  const low = sided === "upper" || count === 0 ? 0 : inverseRegularizedIncompleteBeta(alpha, count, failures + 1);
  const high =
    sided === "lower" || failures === 0
      ? 1
      : inverseRegularizedIncompleteBeta(alpha, count + 1, failures, { tail: "upper" });
  return { count, total, rate, low, high };
}

/**
 * The arithmetic mean, without the rounding errors of a long sum or of terms that cancel.
 *
 * `(x_1 + ... + x_n) / n`
 *
 * @param values - at least one finite number
 * @returns the mean
 * @throws RangeError when there are no numbers, or one of them is NaN or infinite
 *
 * @example
 * ```ts
 * import { mean } from "@parapet/core";
 * console.log(mean([1e16, 1, -1e16])); // => 0.3333333333333333
 * ```
 *
 * Source: A. Neumaier (1974), ZAMM 54, 39-51 (compensated summation). Differences from the source: none known.
 */
export function mean(values: ArrayLike<number>): number {
  checkValues(values);
  let sum = 0;
  let lost = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  return (sum + lost) / values.length;
}

/**
 * The median: the middle number, or the mean of the two middle ones.
 *
 * `(x_(ceil(n/2)) + x_(floor(n/2)+1)) / 2` of the sorted numbers
 *
 * @param values - at least one finite number, in any order; not changed
 * @returns the median
 * @throws RangeError when there are no numbers, or one of them is NaN or infinite
 *
 * @example
 * ```ts
 * import { median } from "@parapet/core";
 * console.log(median([3, 1, 2]), median([4, 1, 2, 3])); // => 2 2.5
 * ```
 *
 * Source: the definition. Differences from the source: none known.
 */
export function median(values: ArrayLike<number>): number {
  checkValues(values);
  const sorted = Float64Array.from(values).sort();
  const upper = sorted[sorted.length >> 1]!;
  return sorted.length % 2 === 1 ? upper : sorted[(sorted.length >> 1) - 1]! / 2 + upper / 2;
}

function checkRate(count: number, total: number, confidence: number): number {
  checkNumber("total", total, { min: 1, max: Number.MAX_SAFE_INTEGER, integer: true });
  checkNumber("count", count, { min: 0, max: total, integer: true });
  checkNumber("confidence", confidence, { above: 0, below: 1 });
  return count / total;
}

function checkValues(values: ArrayLike<number>): void {
  if (values.length === 0) throw new RangeError(expected("values.length", ">= 1", 0));
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) throw new RangeError(expected(`values[${i}]`, "a finite number", values[i]));
  }
}
