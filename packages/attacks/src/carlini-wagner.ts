import { type Attack, checkNumber, expected, takeRows } from "@parapet/core";
import { apart, Constants, dualLength, minimumNorm, type Search, slopeAt } from "./shared/minimum-norm.ts";
import { range } from "./shared/run.ts";

/** Options of `carliniWagner`. */
export interface CarliniWagnerOptions {
  /** Default "l2". */
  readonly norm?: "l2" | "linf";
  /** Steps of Adam for each constant (l2) or limit (linf); default 1000. */
  readonly steps?: number;
  /** Rate of Adam, in the space where a feature's way from bound to bound is 2.9: `steps * stepSize`
   * should be about 2 or more; default 0.01. */
  readonly stepSize?: number;
  /** How many constants (l2) or limits (linf) are tried; default 9. */
  readonly searchSteps?: number;
  /** The first weight of the margin against the distance; default 0.001 (l2), 0.1 (linf). */
  readonly initialConstant?: number;
  /** By how much the margin must be exceeded, in logits; >= 0, default 0. */
  readonly confidence?: number;
  /** Leave a constant, example by example, when a tenth of the steps has not lowered the loss. Default true. */
  readonly abortEarly?: boolean;
  /** What lies farther away does not count; default Infinity. */
  readonly epsilon?: number;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/** The bounds lie where the tanh is 0.9: a feature at its bound has a derivative, and can move. */
const REACH = 0.9;
const EDGE = /* @__PURE__ */ Math.atanh(REACH);

/**
 * The attack of Carlini and Wagner, in l2 or linf: Adam on `c max(0, confidence - margin) + distance`, with `margin` the
 * logits' difference, positive beyond the border, and a change of variables that keeps every feature inside its bounds:
 * `x = middle + half tanh(w) / 0.9`. It is stretched by 0.9, so that a feature at its bound can move.
 *
 * l2: the distance is `||d||_2^2`; each constant starts from the example, c grows tenfold until it leads to the goal and
 * is bisected from there. linf: the distance is `sum_j max(0, |d_j| - limit)`; the limit starts where the border would
 * be if the model were linear, falls to 0.9 of the change whenever the goal is reached within it, is raised halfway to the
 * best where a round has not held it, and each round goes on from the best point. Constants, limits and ends are each
 * example's own.
 *
 * @param options - norm, steps, search
 * @returns an attack on models with gradients; at most `searchSteps * steps` gradients and queries an example (linf: one
 *   more), and five more queries
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { carliniWagner } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const attack = carliniWagner({ steps: 200, stepSize: 0.05 });
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { distance } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]! > 0.6145 && distance.data[0]! < 0.6175); // => true
 * ```
 *
 * Source: N. Carlini and D. Wagner, "Towards Evaluating the Robustness of Neural Networks", 2017,
 * https://arxiv.org/abs/1608.04644, sections V and VI. Differences from the paper: the stretched tanh; with `abortEarly` a
 * constant is left only where it has not led to the goal; linf bisects limits, where the paper ends at the first that
 * does not hold; no l0; the margin is cut off at +confidence as in the authors' code.
 */
export function carliniWagner(options: CarliniWagnerOptions = {}): Attack {
  const { norm = "l2", steps = 1000, stepSize = 0.01, searchSteps = 9, confidence = 0, abortEarly = true } = options;
  const { epsilon = Number.POSITIVE_INFINITY, batchSize = 128 } = options;
  if (norm !== "l2" && norm !== "linf") throw new TypeError(expected("norm", '"l2" or "linf"', norm));
  const { initialConstant = norm === "l2" ? 0.001 : 0.1 } = options;
  checkNumber("steps", steps, { min: 1, integer: true });
  checkNumber("stepSize", stepSize, { above: 0 });
  checkNumber("searchSteps", searchSteps, { min: 1, integer: true });
  checkNumber("initialConstant", initialConstant, { above: 0 });
  checkNumber("confidence", confidence, { min: 0 });

  return minimumNorm({ name: "carliniWagner", norm, epsilon, batchSize }, async (search) => {
    const { run, rows, best, pace } = search;
    const { width, x, lower, upper } = run;
    const constants = new Constants(rows.length, initialConstant);
    const limits = norm === "linf" ? new Limits(await firstLimits(search)) : undefined;
    const box = new Box(lower, upper);
    const size = rows.length * width;
    // Per example: where it is in the box's space, the derivative of the way back, and the moments of Adam.
    const w = new Float64Array(size);
    const slope = new Float64Array(size);
    const mean = new Float64Array(size);
    const square = new Float64Array(size);
    const buffer = new Float32Array(size);

    for (let round = 0; round < searchSteps; round++) {
      mean.fill(0);
      square.fill(0);
      rows.forEach((row, i) => {
        const warm = limits !== undefined && best.distance[row]! < Number.POSITIVE_INFINITY;
        const from = warm ? best.point(row) : x.data.subarray(row * width, (row + 1) * width);
        buffer.set(from, i * width);
        box.enter(from, w, slope, i * width);
      });
      const before = new Float64Array(rows.length).fill(Number.POSITIVE_INFINITY);
      const found = new Uint8Array(rows.length);
      let active = range(0, rows.length); // indices into `rows`; the buffer begins with one row for each

      for (let step = 0; step < steps && active.length > 0; step++) {
        await pace();
        const chosen = active.map((place) => rows[place]!);
        const points = buffer.subarray(0, active.length * width);
        const { reached, margin, gradient } = await slopeAt(run, points, chosen);
        const correction = Math.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1));
        const rate = stepSize * correction;
        const look = abortEarly && step % Math.ceil(steps / 10) === 0;
        active = active.filter((place, i) => {
          const row = rows[place]!;
          const short = confidence - margin[i]!;
          if (reached[i] === 1 && short <= 0) {
            found[place] = 1;
            best.offer(row, points, i);
            // A lower limit raises the loss: the next look has nothing to compare it with.
            if (limits?.reached(place, apart(points, i * width, x.data, row * width, width, "linf"))) {
              before[place] = Number.POSITIVE_INFINITY;
            }
          }
          const weight = short > 0 ? constants.value[place]! : 0;
          const limit = limits?.value[place];
          let loss = weight * short;
          for (let j = 0; j < width; j++) {
            const to = place * width + j;
            const d = points[i * width + j]! - x.data[row * width + j]!;
            let pull: number;
            if (limit === undefined) {
              pull = 2 * d;
              loss += d * d;
            } else {
              const beyond = Math.abs(d) - limit;
              pull = beyond > 0 ? Math.sign(d) : 0;
              loss += Math.max(0, beyond);
            }
            const g = (pull - weight * gradient[i * width + j]!) * slope[to]!;
            mean[to] = 0.9 * mean[to]! + 0.1 * g;
            square[to] = 0.999 * square[to]! + 0.001 * g * g;
            w[to]! -= (rate * mean[to]!) / (Math.sqrt(square[to]!) + 1e-8);
          }
          if (!look) return true;
          const better = loss <= 0.9999 * before[place]!;
          before[place] = loss;
          return better || found[place] === 1;
        });
        active.forEach((place, i) => {
          box.leave(w, slope, place * width, buffer, i * width);
        });
        if (run.masked)
          buffer.set(
            run.allow(
              buffer.subarray(0, active.length * width),
              active.map((place) => rows[place]!),
            ).data,
          );
        search.progress((round + (step + 1) / steps) / searchSteps);
      }
      limits?.update();
      constants.update(found);
    }
  });
}

/** Where the borders would be if the model were linear. */
async function firstLimits({ run, rows }: Search): Promise<Float64Array> {
  const { width, x } = run;
  const { margin, gradient } = await slopeAt(run, takeRows(x, rows).data, rows);
  return Float64Array.from(rows, (_, i) => Math.abs(margin[i]!) / dualLength(gradient, i * width, width, "linf"));
}

/**
 * The change of variables, feature by feature: `x = middle + half tanh(w) / REACH`, where |tanh(w)| <= REACH. A feature
 * without bounds stays as it is.
 */
class Box {
  readonly #middle: Float64Array;
  readonly #half: Float64Array;
  readonly #lower: Float32Array;
  readonly #upper: Float32Array;

  constructor(lower: Float32Array, upper: Float32Array) {
    this.#lower = lower;
    this.#upper = upper;
    this.#middle = Float64Array.from(lower, (low, j) => (low + upper[j]!) / 2);
    this.#half = Float64Array.from(lower, (low, j) => (upper[j]! - low) / 2 / REACH);
  }

  /** From a point of the box. */
  enter(point: Float32Array, w: Float64Array, slope: Float64Array, at: number): void {
    for (let j = 0; j < point.length; j++) {
      const half = this.#half[j]!;
      const bounded = Number.isFinite(half);
      const t = bounded && half > 0 ? Math.max(-REACH, Math.min(REACH, (point[j]! - this.#middle[j]!) / half)) : 0;
      w[at + j] = bounded ? Math.atanh(t) : point[j]!;
      slope[at + j] = bounded ? half * (1 - t * t) : 1;
    }
  }

  /** Back to a point of the box; `w` is kept where the box ends. */
  leave(w: Float64Array, slope: Float64Array, from: number, points: Float32Array, to: number): void {
    for (let j = 0; j < this.#half.length; j++) {
      const half = this.#half[j]!;
      let point = w[from + j]!;
      if (Number.isFinite(half)) {
        w[from + j] = Math.max(-EDGE, Math.min(EDGE, point));
        const t = Math.tanh(w[from + j]!);
        slope[from + j] = half * (1 - t * t);
        point = this.#middle[j]! + half * t;
      }
      points[to + j] = Math.max(this.#lower[j]!, Math.min(this.#upper[j]!, point));
    }
  }
}

/** For linf: the size of change that costs nothing, for each example. It falls while the goal is reached within it. */
class Limits {
  readonly value: Float64Array;
  readonly #low: Float64Array;
  readonly #best: Float64Array;
  readonly #held: Uint8Array;

  constructor(first: Float64Array) {
    this.value = first;
    this.#low = new Float64Array(first.length);
    this.#best = new Float64Array(first.length).fill(Number.POSITIVE_INFINITY);
    this.#held = new Uint8Array(first.length);
  }

  /** The goal was reached with a change of that size; true where the limit comes down. */
  reached(i: number, size: number): boolean {
    this.#best[i] = Math.min(this.#best[i]!, size);
    if (size > this.value[i]!) return false;
    this.#held[i] = 1;
    this.value[i] = Math.max(0.9 * size, (this.#low[i]! + size) / 2);
    return true;
  }

  /** After a round: a limit that did not hold is a lower end, and the next one lies between it and the best. */
  update(): void {
    this.value.forEach((limit, i) => {
      if (this.#held[i] === 0) {
        this.#low[i] = limit;
        this.value[i] = Number.isFinite(this.#best[i]!) ? (limit + this.#best[i]!) / 2 : 2 * limit;
      }
      this.#held[i] = 0;
    });
  }
}
