import { checkNumber } from "@parapet/core";

/** A number as a function of how far training has come, from 0 at the first step to 1 after the last. */
export type Schedule = (progress: number) => number;

/**
 * The same value throughout.
 *
 * @param value - what the schedule gives
 * @returns the schedule
 * @throws RangeError when the value is NaN or infinite
 *
 * @example
 * ```ts
 * import { constant } from "@parapet/adversarial-training";
 * console.log(constant(0.001)(0.5)); // => 0.001
 * ```
 */
export function constant(value: number): Schedule {
  checkNumber("value", value);
  return () => value;
}

/**
 * Up in a line from 0 to the peak, then down in a line to 0: one cycle of a learning rate.
 *
 * @param peak - the highest value, > 0
 * @param peakAt - where it lies, in (0, 1); default 0.4
 * @returns the schedule
 * @throws RangeError when a number is out of range
 *
 * @example
 * ```ts
 * import { cyclic } from "@parapet/adversarial-training";
 * const learningRate = cyclic(5e-3);
 * console.log(learningRate(0.2), learningRate(0.4), learningRate(1)); // => 0.0025 0.005 0
 * ```
 *
 * Source: L. Smith and N. Topin, "Super-Convergence", 2018, https://arxiv.org/abs/1708.07120. Differences from the
 * paper: one cycle down to 0 without a tail.
 */
export function cyclic(peak: number, peakAt = 0.4): Schedule {
  checkNumber("peak", peak, { above: 0 });
  checkNumber("peakAt", peakAt, { above: 0, below: 1 });
  return (progress) => (progress < peakAt ? (peak * progress) / peakAt : (peak * (1 - progress)) / (1 - peakAt));
}

/**
 * From 0 up to a value in a line, then constant: an epsilon that grows while the model learns to see at all.
 *
 * @param value - where it ends
 * @param until - how far training has come when it gets there, in (0, 1]
 * @returns the schedule
 * @throws RangeError when a number is out of range
 *
 * @example
 * ```ts
 * import { ramp } from "@parapet/adversarial-training";
 * const epsilon = ramp(0.3, 0.5);
 * console.log(epsilon(0), epsilon(0.25), epsilon(0.75)); // => 0 0.15 0.3
 * ```
 */
export function ramp(value: number, until: number): Schedule {
  checkNumber("value", value, { min: 0 });
  checkNumber("until", until, { above: 0, max: 1 });
  return (progress) => (progress >= until ? value : (value * progress) / until);
}
