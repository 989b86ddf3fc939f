import { type Attack, checkNorm, checkNumber, expected, type Norm } from "@parapet/core";
import {
  apart,
  checkMinimumNorm,
  minimumNorm,
  pointsOf,
  roundingOf,
  type Search,
  slopeAt,
} from "./shared/minimum-norm.ts";
import { range } from "./shared/run.ts";

/** Options of `brendelBethge`. */
export interface BrendelBethgeOptions {
  /** Default "l2". */
  readonly norm?: Norm;
  /** Number of steps, default 1000. */
  readonly steps?: number;
  /** Euclidean length of the first step, as a share of the distance; default 1. It falls to a thousandth of that. */
  readonly stepSize?: number;
  /** Where to start from: an attack that reaches the goal, however far away. Default: uniform noise that does. */
  readonly start?: Attack;
  /** Draws of noise at most, where there is no `start`; default 50. */
  readonly draws?: number;
  /** What lies farther away does not count; default Infinity. */
  readonly epsilon?: number;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/** How much of the border's normal is that of the last steps. In linf, where all features move alike, one normal misleads. */
const MEMORY = { l1: 0, l2: 0, linf: 0.5 } as const;

/** Looks that halve the way from an example to its start. */
const HALVINGS = 10;

/**
 * The attack of Brendel and Bethge: from a point far away that reaches the goal, along the border towards the example. In
 * each step the border is taken for the plane `<g, delta> = -margin`, and `delta` is the solution of a trust-region problem:
 * the smallest `||x' + delta - x||` in the norm on that plane, inside the bounds, with `||delta||_2 <= radius`.
 *
 * The radius is `stepSize` of the distance at first and a thousandth of that at the end. Where the last step fell short of
 * the border, the next aims beyond it by half of what was missing.
 *
 * @param options - norm, steps, start
 * @returns an attack on models with gradients; `steps` gradients and at most `steps + draws + 15` queries an example,
 *   and what `start` spends
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { brendelBethge } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const attack = brendelBethge({ norm: "linf", steps: 50 });
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { distance } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]!.toFixed(4)); // => 0.3692
 * ```
 *
 * Source: W. Brendel et al., "Accurate, reliable and fast robustness evaluation", 2019, https://arxiv.org/abs/1907.01003,
 * algorithm 1 and appendix A. Differences from the paper: the trust-region problem is solved by nested one-dimensional
 * searches; the radius is relative to the distance; in linf the normal is averaged with those of the last steps; a start is uniform noise or another attack; no l0.
 */
export function brendelBethge(options: BrendelBethgeOptions = {}): Attack {
  const { norm = "l2", steps = 1000, stepSize = 1, start, draws = 50 } = options;
  const { epsilon = Number.POSITIVE_INFINITY, batchSize = 128 } = options;
  checkNorm(norm);
  checkMinimumNorm({ norm, epsilon, batchSize });
  checkNumber("steps", steps, { min: 1, integer: true });
  checkNumber("stepSize", stepSize, { above: 0, max: 1 });
  checkNumber("draws", draws, { min: 1, integer: true });
  if (start !== undefined && typeof start !== "function") throw new TypeError(expected("start", "an attack", start));

  return async (model, input, goal, context) => {
    const first = start && (await start(model, input, goal, { ...context, onProgress: () => {} }));
    const attack = minimumNorm({ name: "brendelBethge", norm, epsilon, batchSize }, async (search) => {
      const begun = await border(search, first, draws);
      await follow(search, begun.active, begun.points, norm, steps, stepSize);
    });
    const result = await attack(model, input, goal, context);
    result.queries.data.forEach((_, i) => {
      result.queries.data[i]! += first?.queries.data[i] ?? 0;
      result.gradients.data[i]! += first?.gradients.data[i] ?? 0;
    });
    return result;
  };
}

/** Points just beyond the border, on the way from each example to its start; those without a start are left out. */
async function border(
  search: Search,
  first: Awaited<ReturnType<Attack>> | undefined,
  draws: number,
): Promise<{ active: Int32Array; points: Float32Array }> {
  const { run, rows, best, pace } = search;
  const { width, x, goal, lower, upper } = run;
  const far = new Float32Array(rows.length * width);
  const started = new Uint8Array(rows.length);
  const streams = rows.length > 0 && first === undefined ? Array.from(rows, (row) => run.rng(row, "start")) : [];
  for (let draw = 0; draw < (first ? 1 : draws); draw++) {
    const open = range(0, rows.length).filter((i) => started[i] === 0);
    if (open.length === 0) break;
    await pace();
    const chosen = open.map((i) => rows[i]!);
    const tries = new Float32Array(open.length * width);
    // Noise, and in turn corners of the box, which are farther away.
    const share = draw % 2 === 0 ? (u: number) => u : Math.round;
    open.forEach((place, i) => {
      for (let j = 0; j < width; j++) {
        const origin = x.data[chosen[i]! * width + j]!;
        const low = Number.isFinite(lower[j]!) ? lower[j]! : origin - 2 ** draw;
        const high = Number.isFinite(upper[j]!) ? upper[j]! : origin + 2 ** draw;
        tries[i * width + j] = first
          ? first.adversarial.data[chosen[i]! * width + j]!
          : low + (high - low) * share(streams[place]!.next());
      }
    });
    const points = run.allow(tries, chosen);
    const reached = goal.take(chosen).isReached(await run.logits(points, chosen)).data;
    open.forEach((place, i) => {
      if (reached[i] === 0) return;
      started[place] = 1;
      far.set(points.data.subarray(i * width, (i + 1) * width), place * width);
      best.offer(chosen[i]!, points.data, i);
    });
  }
  const active = range(0, rows.length).filter((i) => started[i] === 1);
  const chosen = active.map((i) => rows[i]!);
  const points = new Float32Array(active.length * width);
  const near = new Float64Array(active.length);
  const farther = new Float64Array(active.length).fill(1);
  const place = (share: (i: number) => number) =>
    chosen.forEach((row, i) => {
      for (let j = 0; j < width; j++) {
        const origin = x.data[row * width + j]!;
        points[i * width + j] = origin + share(i) * (far[active[i]! * width + j]! - origin);
      }
    });
  for (let look = 0; look < HALVINGS && active.length > 0; look++) {
    await pace();
    place((i) => (near[i]! + farther[i]!) / 2);
    const reached = goal.take(chosen).isReached(await run.logits(pointsOf(run, chosen, points), chosen)).data;
    chosen.forEach((row, i) => {
      if (reached[i] === 1) best.offer(row, points, i);
      (reached[i] === 1 ? farther : near)[i] = (near[i]! + farther[i]!) / 2;
    });
  }
  place((i) => farther[i]!);
  return { active, points };
}

/** Steps along the border. */
async function follow(
  search: Search,
  active: Int32Array,
  points: Float32Array,
  norm: Norm,
  steps: number,
  stepSize: number,
): Promise<void> {
  const { run, best, pace, progress } = search;
  const { width, x, lower, upper } = run;
  const rows = active.map((i) => search.rows[i]!);
  const solver = new TrustRegion(width, norm);
  const missed = new Int32Array(rows.length); // steps in a row that ended before the border
  const normal = new Float32Array(points.length);
  for (let step = 0; step < steps && rows.length > 0; step++) {
    await pace();
    const { reached, margin, gradient } = await slopeAt(run, points, rows);
    const memory = step === 0 ? 0 : MEMORY[norm];
    for (let at = 0; at < normal.length; at++) normal[at] = memory * normal[at]! + (1 - memory) * gradient[at]!;
    const shrink = stepSize * 1000 ** (-step / steps);
    rows.forEach((row, i) => {
      if (reached[i] === 1) best.offer(row, points, i);
      missed[i] = reached[i] === 1 ? 0 : missed[i]! + 1;
      const radius = shrink * apart(points, i * width, x.data, row * width, width, "l2");
      // Onto the border as it looks from here, give or take rounding, and beyond it by half of what the last step missed.
      const aim = roundingOf(search.logits, active[i]!) * 2 ** Math.min(missed[i]!, 20) + Math.max(0, -margin[i]! / 2);
      solver.step(points, i * width, x.data, row * width, lower, upper, normal, aim - margin[i]!, radius);
    });
    progress((step + 1) / steps);
  }
}

/**
 * Solves one step for one example: of all changes y with `<g, y> = target` inside the bounds, and with
 * `||y - d||_2 <= radius`, d the change so far, the smallest in the norm.
 *
 * For a weight `stay` of d, from 0 (the smallest change of all, however far) to 1 (the nearest to d), the change has a closed
 * form in a multiplier, which is found by Newton's method on a function that is linear in pieces; `stay` is bisected.
 */
class TrustRegion {
  readonly #norm: Norm;
  readonly #d: Float64Array;
  readonly #g: Float64Array;
  readonly #low: Float64Array;
  readonly #high: Float64Array;
  readonly #y: Float64Array;
  #longest = 0;
  #multiplier = 0;

  constructor(width: number, norm: Norm) {
    this.#norm = norm;
    this.#d = new Float64Array(width);
    this.#g = new Float64Array(width);
    this.#low = new Float64Array(width);
    this.#high = new Float64Array(width);
    this.#y = new Float64Array(width);
  }

  /** Moves `points` so that the margin changes by `change` if the model is linear. */
  step(
    points: Float32Array,
    at: number,
    x: Float32Array,
    from: number,
    lower: Float32Array,
    upper: Float32Array,
    gradient: Float32Array,
    change: number,
    radius: number,
  ): void {
    const [d, g, y, low, high] = [this.#d, this.#g, this.#y, this.#low, this.#high];
    let target = change;
    let square = 0;
    this.#longest = 0;
    for (let j = 0; j < d.length; j++) {
      d[j] = points[at + j]! - x[from + j]!;
      g[j] = gradient[at + j]!;
      low[j] = lower[j]! - x[from + j]!;
      high[j] = upper[j]! - x[from + j]!;
      target += g[j]! * d[j]!;
      square += g[j]! * g[j]!;
      this.#longest = Math.max(this.#longest, Math.abs(d[j]!));
    }
    if (!(square > 0) || !Number.isFinite(target)) return;
    this.#multiplier = change / square;
    let [free, stay] = [0, 1];
    for (let halving = 0; halving < 16; halving++) {
      const middle = (free + stay) / 2;
      if (this.#solve(middle, target, square) && this.#moved() <= radius) stay = middle;
      else free = middle;
    }
    this.#solve(stay, target, square);
    for (let j = 0; j < d.length; j++) {
      points[at + j] = Math.max(lower[j]!, Math.min(upper[j]!, x[from + j]! + y[j]!));
    }
  }

  #moved(): number {
    let total = 0;
    for (let j = 0; j < this.#d.length; j++) total += (this.#y[j]! - this.#d[j]!) ** 2;
    return Math.sqrt(total);
  }

  /** The change for a weight of d; false where no multiplier meets the target. */
  #solve(stay: number, target: number, square: number): boolean {
    const [d, g, y, low, high, norm] = [this.#d, this.#g, this.#y, this.#low, this.#high, this.#norm];
    const share = norm === "l2" ? stay : 1;
    const shrink = norm === "l1" ? ((1 - stay) / stay) * this.#longest : 0;
    const cap = norm === "linf" && stay < 1 ? stay * this.#longest : Number.POSITIVE_INFINITY;
    let [below, above] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    let multiplier = this.#multiplier;
    let leap = Math.max(Math.abs(multiplier), this.#longest / Math.sqrt(square));
    for (let look = 0; look < 40; look++) {
      let value = -target;
      let slope = 0;
      let scale = Math.abs(target);
      for (let j = 0; j < d.length; j++) {
        let z = share * d[j]! + multiplier * g[j]!;
        let moving = true;
        if (shrink > 0) {
          if (Math.abs(z) <= shrink) {
            z = 0;
            moving = false;
          } else z -= Math.sign(z) * shrink;
        }
        const bottom = Math.max(low[j]!, -cap);
        const top = Math.min(high[j]!, cap);
        if (z <= bottom) {
          z = bottom;
          moving = false;
        } else if (z >= top) {
          z = top;
          moving = false;
        }
        y[j] = z;
        value += g[j]! * z;
        scale += Math.abs(g[j]! * z);
        if (moving) slope += g[j]! * g[j]!;
      }
      if (Math.abs(value) <= 1e-9 * scale) {
        this.#multiplier = multiplier;
        return true;
      }
      if (value > 0) above = multiplier;
      else below = multiplier;
      let next = slope > 0 ? multiplier - value / slope : Number.NaN;
      if (!(next > below && next < above)) {
        leap *= 2;
        const bracketed = Number.isFinite(below) && Number.isFinite(above);
        next = bracketed ? (below + above) / 2 : value > 0 ? multiplier - leap : multiplier + leap;
      }
      multiplier = next;
    }
    return false;
  }
}
