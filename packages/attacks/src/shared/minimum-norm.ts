import {
  type Attack,
  type BallNorm,
  checkNorm,
  checkNumber,
  createPacer,
  type Loss,
  margin,
  type NdArray,
  takeRows,
} from "@parapet/core";
import { Nearest, openRun, type Run, range } from "./run.ts";

/** What every minimum-norm attack has, all of it given. */
export interface MinimumNormOptions {
  readonly name: string;
  readonly norm: BallNorm;
  readonly epsilon: number;
  readonly batchSize: number;
}

/** One batch of examples that do not reach their goal yet. */
export interface Search {
  readonly run: Run;
  /** Which examples. */
  readonly rows: Int32Array;
  /** Their logits, `[rows.length, k]`. */
  readonly logits: NdArray;
  /** Where the nearest points that seem to reach the goal are kept; they are looked at afresh when the search ends. */
  readonly best: Best;
  /** To be awaited once a round. */
  readonly pace: () => Promise<void>;
  /** How far this batch has come, from 0 to 1. */
  progress(share: number): void;
}

/**
 * What minimum-norm attacks have in common: one look at the examples themselves (distance 0 where one reaches its goal
 * already), the search for the others in batches, and a fresh look at what it has found.
 *
 * Searches ask with salt 0: a randomised model is attacked under the example's own noise. For its mean, wrap the model.
 */
export function minimumNorm(options: MinimumNormOptions, search: (batch: Search) => Promise<void>): Attack {
  const { name, norm, epsilon, batchSize } = options;
  checkMinimumNorm(options);
  return async (model, input, goal, context) => {
    const run = openRun(name, model, input, goal, context);
    const pace = createPacer(run.signal);
    const nearest = new Nearest(run, norm, epsilon);
    const best = new Best(run, norm);
    for (let from = 0; from < run.n; from += batchSize) {
      const rows = range(from, Math.min(run.n, from + batchSize));
      await pace();
      const x = takeRows(run.x, rows);
      const logits = await run.logits(x, rows);
      const reached = goal.take(rows).isReached(logits).data;
      const open = range(0, rows.length).filter((i) => reached[i] === 0 || !nearest.offer(rows[i]!, x, i));
      const progress = (share: number) => run.progress(from + rows.length * share, run.n);
      if (open.length > 0) {
        const left = open.map((i) => rows[i]!);
        await search({ run, rows: left, logits: takeRows(logits, open), best, pace, progress });
        await confirm(run, left, best, nearest, pace);
      }
      progress(1);
    }
    return nearest.result();
  };
}

/** Checks what all of them have. */
export function checkMinimumNorm({ norm, epsilon, batchSize }: Omit<MinimumNormOptions, "name">): void {
  if (norm !== "l0") checkNorm(norm);
  if (epsilon !== Number.POSITIVE_INFINITY) checkNumber("epsilon", epsilon, { min: 0 });
  checkNumber("batchSize", batchSize, { min: 1, integer: true });
}

/** The nearest points met so far, for each example. */
export class Best {
  /** Infinity while there is none. */
  readonly distance: Float64Array;
  readonly #points: Float32Array;
  readonly #run: Run;
  readonly #norm: BallNorm;

  constructor(run: Run, norm: BallNorm) {
    this.#run = run;
    this.#norm = norm;
    this.#points = new Float32Array(run.x.data.length);
    this.distance = new Float64Array(run.n).fill(Number.POSITIVE_INFINITY);
  }

  /** Offers row `i` of `points`, which seems to reach the goal of example `row`; true where it is nearer. */
  offer(row: number, points: Float32Array, i: number): boolean {
    const { width, x } = this.#run;
    const size = apart(points, i * width, x.data, row * width, width, this.#norm);
    if (!(size < this.distance[row]!)) return false;
    this.distance[row] = size;
    this.#points.set(points.subarray(i * width, (i + 1) * width), row * width);
    return true;
  }

  /** The nearest point of an example, where there is one. */
  point(row: number): Float32Array {
    const { width } = this.#run;
    return this.#points.subarray(row * width, (row + 1) * width);
  }
}

/**
 * Looks at the nearest points afresh. An engine's backward pass may round the logits of a point that lies on the border
 * in another way than its forward pass: then a point a little farther out has its turn.
 */
async function confirm(run: Run, rows: Int32Array, best: Best, nearest: Nearest, pace: () => Promise<void>) {
  const { width, x } = run;
  let open = rows.filter((row) => Number.isFinite(best.distance[row]));
  for (const farther of [0, 2 ** -16, 2 ** -12, 2 ** -8]) {
    if (open.length === 0) return;
    await pace();
    const points = new Float32Array(open.length * width);
    open.forEach((row, i) => {
      const point = best.point(row);
      for (let j = 0; j < width; j++)
        points[i * width + j] = point[j]! + farther * (point[j]! - x.data[row * width + j]!);
    });
    const allowed = run.allow(points, open);
    const reached = run.goal.take(open).isReached(await run.logits(allowed, open)).data;
    open.forEach((row, i) => {
      if (reached[i] === 1) nearest.offer(row, allowed, i);
    });
    open = open.filter((_, i) => reached[i] === 0);
  }
}

/** The distance of two rows, in float64. */
export function apart(
  a: Float32Array,
  fromA: number,
  b: Float32Array,
  fromB: number,
  width: number,
  norm: BallNorm,
): number {
  let total = 0;
  if (norm === "l2") {
    for (let j = 0; j < width; j++) {
      const d = a[fromA + j]! - b[fromB + j]!;
      total += d * d;
    }
    return Math.sqrt(total);
  }
  for (let j = 0; j < width; j++) {
    const d = Math.abs(a[fromA + j]! - b[fromB + j]!);
    if (norm === "l1") total += d;
    else if (norm === "l0") total += d === 0 ? 0 : 1;
    else if (d > total) total = d;
  }
  return total;
}

/** The length of a row in the norm that is dual to `norm`; for l0, as for l1, the largest entry. */
export function dualLength(gradient: Float32Array, from: number, width: number, norm: BallNorm): number {
  let total = 0;
  for (let at = from; at < from + width; at++) {
    const g = Math.abs(gradient[at]!);
    if (norm === "l2") total += g * g;
    else if (norm === "linf") total += g;
    else if (g > total) total = g;
  }
  return norm === "l2" ? Math.sqrt(total) : total;
}

/** How far beyond the border the examples are, and the way there. */
export interface Slope {
  /** 1 where the goal is reached. */
  readonly reached: Uint8Array;
  /** Positive beyond the border: the largest other logit minus the label's, or the target's minus the largest other. */
  readonly margin: Float32Array;
  /** The derivative of `margin`, as far as it can be followed: see `usable`. */
  readonly gradient: Float32Array;
}

/**
 * The margin that leads to the goal of the examples `rows`, and its gradient, at `points`. `loss` is climbed (descended
 * for a target) in its place where it is given.
 */
export async function slopeAt(
  run: Run,
  points: Float32Array,
  rows: Int32Array,
  lossOf: (classes: Int32Array) => Loss = margin,
): Promise<Slope> {
  const goal = run.goal.take(rows);
  const { logits, value, gradient } = await run.gradient(pointsOf(run, rows, points), rows, lossOf(goal.classes));
  const climb = value.data.slice();
  if (goal.kind === "targeted") {
    for (let i = 0; i < climb.length; i++) climb[i] = -climb[i]!;
    for (let at = 0; at < gradient.data.length; at++) gradient.data[at] = -gradient.data[at]!;
  }
  holdMasked(run, rows, gradient.data);
  return { reached: goal.isReached(logits).data, margin: climb, gradient: gradient.data };
}

/** As `slopeAt`, by a forward pass alone. */
export async function marginAt(
  run: Run,
  points: Float32Array,
  rows: Int32Array,
): Promise<Pick<Slope, "reached" | "margin">> {
  const goal = run.goal.take(rows);
  const logits = await run.logits(pointsOf(run, rows, points), rows);
  const sign = goal.kind === "targeted" ? -1 : 1;
  const beyond = margin(goal.classes)
    .value(logits)
    .data.map((value) => sign * value);
  return { reached: goal.isReached(logits).data, margin: beyond };
}

/** Sets a gradient to 0, in place, for features that the mask holds and where it is no number. */
export function holdMasked({ width, masked, free }: Run, rows: Int32Array, gradient: Float32Array): void {
  for (let at = 0; at < gradient.length; at++) if (!Number.isFinite(gradient[at]!)) gradient[at] = 0;
  if (!masked) return;
  for (let i = 0; i < rows.length; i++) {
    for (let j = 0; j < width; j++) if (!free(rows[i]! * width + j)) gradient[i * width + j] = 0;
  }
}

/**
 * Sets a gradient to 0, in place, for features that it would push out of their bounds: lengths and linear distances then
 * count only what can move.
 */
export function holdAtBounds({ width, lower, upper }: Run, points: Float32Array, gradient: Float32Array): void {
  for (let from = 0; from < gradient.length; from += width) {
    for (let j = 0; j < width; j++) {
      const g = gradient[from + j]!;
      const point = points[from + j]!;
      if (g > 0 ? point >= upper[j]! : point <= lower[j]!) gradient[from + j] = 0;
    }
  }
}

/** What rounding may do to a difference of two logits: half of the last digit of the largest, four times. */
export function roundingOf({ data, shape }: NdArray, i: number): number {
  const k = shape[1]!;
  let largest = 0;
  for (let c = i * k; c < (i + 1) * k; c++) largest = Math.max(largest, Math.abs(data[c]!));
  return largest * 2 ** -22;
}

/** An array for the points of `rows`, from their numbers. */
export function pointsOf(run: Run, rows: ArrayLike<number>, data: Float32Array): NdArray {
  return { dtype: "float32", shape: [rows.length, ...run.x.shape.slice(1)], data };
}

/** The search for the weight of the margin against the distance, for each example: ten times more, then bisection. */
export class Constants {
  readonly value: Float64Array;
  readonly #low: Float64Array;
  readonly #high: Float64Array;

  constructor(n: number, first: number) {
    this.value = new Float64Array(n).fill(first);
    this.#low = new Float64Array(n);
    this.#high = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
  }

  /** A constant that led to the goal comes down, another goes up. */
  update(found: Uint8Array): void {
    found.forEach((reached, i) => {
      if (reached === 1) this.#high[i] = this.value[i]!;
      else this.#low[i] = this.value[i]!;
      this.value[i] = Number.isFinite(this.#high[i]!) ? (this.#low[i]! + this.#high[i]!) / 2 : 10 * this.value[i]!;
    });
  }
}
