import { boundsOf, createRng, type Loss, type NdArray, sizeOf, takeRows } from "@parapet/core";
import { demand } from "../law.ts";

/** Step of the central differences, as a share of a feature's range. */
const STEP = 2 ** -7;
/** How many roundings of float32, 2^-24 each, the value of a loss is taken to be off by. */
const ROUNDINGS = 16;
/** Where the five points are, in units of the step. */
const POINTS = [-1, -0.5, 0, 0.5, 1] as const;

/**
 * The derivative of f from five values around a point, or `undefined` where f is not smooth enough there.
 *
 * The values come from float32, so each is off by up to `noise = 16 * 2^-24 * size`. The central difference with step h
 * is then off by `noise / h + h^2 |f'''| / 6`: least near h = (noise / size)^(1/3) = 2^-6.7 of a feature's range, which
 * is where `STEP` comes from. The first term, times 4 for the tests below, is the `slack` returned. The second is seen by
 * halving h: it shrinks by 4, so what is left is at most 4/3 of the change. A kink (ReLU, max) between the points shows in
 * the same way, except one right at x; that one shows in the difference of the one-sided slopes, which halves with h where
 * f is smooth and stays where it has a kink.
 *
 * @param values - f at x - h, x - h/2, x, x + h/2, x + h
 * @param h - the step
 * @param size - the largest of the numbers that f's values were computed from
 * @param tolerance - absolute error that does not matter
 */
export function numericDerivative(
  values: readonly number[],
  h: number,
  size: number,
  tolerance: number,
): { readonly derivative: number; readonly slack: number } | undefined {
  const [a, b, c, d, e] = values as [number, number, number, number, number];
  const slack = (4 * ROUNDINGS * 2 ** -24 * size) / h;
  const coarse = (e - a) / (2 * h);
  const fine = (d - b) / h;
  const kink = 2 * ((d + b - 2 * c) / (h / 2)) - (e + a - 2 * c) / h;
  if (Math.abs(coarse - fine) > tolerance / 2 + slack || Math.abs(kink) > tolerance + 4 * slack) return undefined;
  return { derivative: coarse, slack };
}

/** A place where a gradient is checked: the row, the feature and the derivative that the differences give. */
export interface Probe {
  readonly at: number;
  readonly derivative: number;
  readonly allowed: number;
}

/** The inputs moved inside their bounds by one step, so that every step from there stays inside too. */
export function inside(x: NdArray, bounds: Parameters<typeof boundsOf>[0]): NdArray {
  const width = sizeOf(x.shape.slice(1));
  const { lower, upper, step } = stepsOf(bounds, width);
  const data = x.data.map((value, i) => {
    const j = i % width;
    return Math.min(upper[j]! - step[j]!, Math.max(lower[j]! + step[j]!, value));
  });
  return { dtype: "float32", shape: x.shape, data };
}

/**
 * Central differences of every value of a loss in a few features of every row, chosen by seed. One batch of logits asks
 * for all of them.
 *
 * @param gradient - only for its size: an error counts as a share of the largest entry of the row
 */
export async function probeGradient(options: {
  /** The batch holds copies of the rows `rows` of `x`, each with one feature moved. */
  readonly logits: (batch: NdArray, rows: Int32Array) => Promise<NdArray>;
  readonly bounds: Parameters<typeof boundsOf>[0];
  readonly x: NdArray;
  readonly loss: Loss;
  readonly gradient: NdArray;
  readonly pixels: number;
  readonly tolerance: number;
}): Promise<readonly Probe[]> {
  const { x, loss, gradient, pixels } = options;
  const rows = x.shape[0]!;
  const width = x.data.length / rows;
  const { step } = stepsOf(options.bounds, width);
  const rng = createRng("the pixels that central differences look at");
  const places = Array.from({ length: rows * pixels }, (_, i) => Math.floor(i / pixels) * width + rng.integer(width));

  // For every place five copies of the example, part-major: with a loss of two parts the partner row comes along.
  const examples: number[] = [];
  const changes: { readonly part: number; readonly feature: number; readonly value: number }[] = [];
  for (const at of places) {
    const row = Math.floor(at / width);
    for (const point of POINTS) {
      examples.push(row % loss.count);
      const feature = at % width;
      changes.push({ part: Math.floor(row / loss.count), feature, value: x.data[at]! + point * step[feature]! });
    }
  }
  const source = Array.from({ length: loss.parts }, (_, part) => examples.map((i) => part * loss.count + i)).flat();
  const copied = Int32Array.from(source);
  const batch = takeRows(x, copied);
  changes.forEach(({ part, feature, value }, i) => {
    batch.data[(part * examples.length + i) * width + feature] = value;
  });
  const logits = await options.logits(batch, copied);
  const values = loss.take(Int32Array.from(examples)).value(logits).data;

  const k = logits.shape[1]!;
  const probes: Probe[] = [];
  places.forEach((at, place) => {
    const five = values.slice(place * POINTS.length, (place + 1) * POINTS.length);
    const row = Math.floor(at / width);
    const scale = largestIn(gradient.data, row * width, width);
    let size = largestIn(five, 0, five.length);
    for (let part = 0; part < loss.parts; part++) {
      const from = (part * examples.length + place * POINTS.length) * k;
      size = Math.max(size, largestIn(logits.data, from, POINTS.length * k));
    }
    const tolerance = options.tolerance * scale;
    const found = numericDerivative([...five], step[at % width]!, size, tolerance);
    if (found) probes.push({ at, derivative: found.derivative, allowed: tolerance + found.slack });
  });
  return probes;
}

/** Demands that a gradient agrees with the probes, and that the probes could have told a wrong one. */
export function demandAgreement(gradient: NdArray, probes: readonly Probe[], asked: number): void {
  demand(
    probes.length * 4 >= asked,
    `only ${probes.length} of ${asked} places are smooth: too few to judge the gradient; choose other inputs`,
  );
  for (const { at, derivative, allowed } of probes) {
    const got = gradient.data[at]!;
    demand(
      Math.abs(got - derivative) <= allowed,
      `gradient, element ${at}: central differences say ${derivative.toPrecision(6)} within ${allowed.toPrecision(2)}, got ${got}`,
    );
  }
  demand(
    probes.some(({ derivative, allowed }) => Math.abs(derivative) > 2 * allowed),
    "every derivative is too small to tell from rounding: choose inputs of which the model is less sure",
  );
}

function stepsOf(bounds: Parameters<typeof boundsOf>[0], width: number) {
  const { lower, upper } = boundsOf(bounds, width);
  // A power of two times the range, so that x + h and x - h are a little less likely to round.
  const step = lower.map((low, j) => {
    const range = upper[j]! - low;
    return STEP * (Number.isFinite(range) && range > 0 ? range : 1);
  });
  return { lower, upper, step };
}

function largestIn(data: Float32Array, from: number, length: number): number {
  let most = 0;
  for (let i = from; i < from + length; i++) most = Math.max(most, Math.abs(data[i]!));
  return most;
}
