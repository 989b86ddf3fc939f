import { type Attack, checkNumber, expected, linear, type Norm, takeRows } from "@parapet/core";
import {
  dualLength,
  holdAtBounds,
  holdMasked,
  minimumNorm,
  pointsOf,
  roundingOf,
  type Search,
  slopeAt,
} from "./shared/minimum-norm.ts";
import { type Run, range } from "./shared/run.ts";

/** Options of `deepFool`. */
export interface DeepFoolOptions {
  /** Default "l2". */
  readonly norm?: "l2" | "linf";
  /** Number of steps at most, default 50. */
  readonly steps?: number;
  /** How many of the likeliest classes count, the label among them; at least 2, default 10. */
  readonly candidates?: number;
  /** The share by which a perturbation is lengthened to cross the border; >= 0, default 0.02. */
  readonly overshoot?: number;
  /** What lies farther away does not count; default Infinity. */
  readonly epsilon?: number;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * DeepFool: again and again the shortest way to the nearest border, as if the model were linear:
 * `d <- d + (|z_y - z_k| / ||g_k||_2^2) g_k` with `g_k` the gradient of `z_k - z_y`, for the class k whose border is nearest,
 * until `x + (1 + overshoot) d` reaches the goal. In linf the step is `|z_y - z_k| / ||g_k||_1 sign(g_k)`.
 *
 * On a linear model one step is exact, also with an overshoot of 0: a border is crossed by what rounding to float32 needs,
 * and not by a constant.
 *
 * @param options - norm, steps, classes
 * @returns an attack on models with gradients; in each step one query and, for each class that counts, one gradient and
 *   query an example (targeted: one gradient and query in all)
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { deepFool } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const attack = deepFool({ overshoot: 0 });
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { distance } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]!.toFixed(6)); // => 0.614577
 * ```
 *
 * Source: S.-M. Moosavi-Dezfooli, A. Fawzi and P. Frossard, "DeepFool: a simple and accurate method to fool deep neural
 * networks", 2016, https://arxiv.org/abs/1511.04599, algorithm 2 and section 3.3. Differences from the paper: points are
 * clipped to the bounds, and after half of the steps features at a bound are left out; only the likeliest classes, as in the authors' code; targets, which
 * the paper has not: each step leads to the border with the likeliest other class.
 */
export function deepFool(options: DeepFoolOptions = {}): Attack {
  const { norm = "l2", steps = 50, candidates = 10, overshoot = 0.02 } = options;
  const { epsilon = Number.POSITIVE_INFINITY, batchSize = 128 } = options;
  if (norm !== "l2" && norm !== "linf") throw new TypeError(expected("norm", '"l2" or "linf"', norm));
  checkNumber("steps", steps, { min: 1, integer: true });
  checkNumber("candidates", candidates, { min: 2, integer: true });
  checkNumber("overshoot", overshoot, { min: 0 });

  return minimumNorm({ name: "deepFool", norm, epsilon, batchSize }, async (search) => {
    const { run, rows, best, pace, progress } = search;
    const { width, x, lower, upper, goal } = run;
    const rivals = goal.kind === "targeted" ? undefined : likeliest(search, candidates - 1);
    const way = new Float64Array(rows.length * width);
    let points = takeRows(x, rows).data;
    let active = range(0, rows.length); // indices into `rows`; `points` has one row for each
    for (let step = 0; step < steps && active.length > 0; step++) {
      await pace();
      // Features at a bound can stop an example on its way: when half of the steps have not crossed a border, they stay put.
      const hold = step >= steps / 2;
      const border = await (rivals
        ? nearestBorder(run, rows, active, points, rivals, norm, hold, batchSize)
        : borderOfTarget(run, rows, active, points, norm, hold));
      active.forEach((place, i) => {
        const { steepness, gap, gradient } = border;
        const rounding = roundingOf(search.logits, place) * 2 ** Math.min(step, 12);
        // At first what rounding of the logits may hide is added; more, where that was not enough.
        const length = (gap[i]! + rounding) / steepness[i]!;
        for (let j = 0; j < width; j++) {
          const origin = x.data[rows[place]! * width + j]!;
          const g = gradient[i * width + j]!;
          const to = place * width + j;
          if (g !== 0) way[to]! += norm === "l2" ? (length / steepness[i]!) * g : length * Math.sign(g);
          const point = origin + (1 + overshoot) * way[to]!;
          points[i * width + j] = Math.max(lower[j]!, Math.min(upper[j]!, point));
        }
      });
      // Where no gradient is left there is no way on.
      const moved = range(0, active.length).filter((i) => border.steepness[i]! > 0);
      points = rowsOf(points, moved, width);
      active = moved.map((i) => active[i]!);
      if (active.length === 0) break;
      const chosen = active.map((place) => rows[place]!);
      const reached = goal.take(chosen).isReached(await run.logits(pointsOf(run, chosen, points), chosen)).data;
      chosen.forEach((row, i) => {
        if (reached[i] === 1) best.offer(row, points, i);
      });
      const open = range(0, active.length).filter((i) => reached[i] === 0);
      points = rowsOf(points, open, width);
      active = open.map((i) => active[i]!);
      progress((step + 1) / steps);
    }
  });
}

/** The border to step to, one for each example that is left. */
interface Border {
  /** By how much the logits differ: 0 at the border. */
  readonly gap: Float64Array;
  /** The gradient of minus the gap, and its length in the dual norm. */
  readonly gradient: Float32Array;
  readonly steepness: Float64Array;
}

/** The border with the likeliest other class. */
async function borderOfTarget(
  run: Run,
  rows: Int32Array,
  active: Int32Array,
  points: Float32Array,
  norm: Norm,
  hold: boolean,
): Promise<Border> {
  const chosen = active.map((place) => rows[place]!);
  const { margin, gradient } = await slopeAt(run, points, chosen);
  if (hold) holdAtBounds(run, points, gradient);
  return {
    gap: Float64Array.from(margin, (m) => -m),
    gradient,
    steepness: Float64Array.from(active, (_, i) => dualLength(gradient, i * run.width, run.width, norm)),
  };
}

/** The nearest of the borders with other classes, if the model were linear. */
async function nearestBorder(
  run: Run,
  rows: Int32Array,
  active: Int32Array,
  points: Float32Array,
  rivals: readonly Int32Array[],
  norm: Norm,
  hold: boolean,
  batchSize: number,
): Promise<Border> {
  const { width, goal, model } = run;
  const n = active.length;
  const gap = new Float64Array(n);
  const steepness = new Float64Array(n);
  const nearest = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
  const kept = new Float32Array(n * width);
  // As many classes in one call as a batch has room for.
  const together = Math.max(1, Math.floor(batchSize / n));
  for (let from = 0; from < rivals.length; from += together) {
    const some = rivals.slice(from, from + together);
    const copies = some.length * n;
    const all = new Float32Array(copies * width);
    some.forEach((_, c) => {
      all.set(points, c * n * width);
    });
    const chosen = Int32Array.from({ length: copies }, (_, at) => rows[active[at % n]!]!);
    const difference = new Float32Array(copies * model.numClasses);
    chosen.forEach((row, at) => {
      difference[at * model.numClasses + some[Math.floor(at / n)]![active[at % n]!]!] = 1;
      difference[at * model.numClasses + goal.classes[row]!] = -1;
    });
    const loss = linear({ dtype: "float32", shape: [copies, model.numClasses], data: difference });
    const { value, gradient } = await run.gradient(pointsOf(run, chosen, all), chosen, loss);
    holdMasked(run, chosen, gradient.data);
    if (hold) holdAtBounds(run, all, gradient.data);
    for (let at = 0; at < copies; at++) {
      const i = at % n;
      const steep = dualLength(gradient.data, at * width, width, norm);
      const far = Math.abs(value.data[at]!) / steep;
      if (!(far < nearest[i]!)) continue;
      nearest[i] = far;
      gap[i] = Math.abs(value.data[at]!);
      steepness[i] = steep;
      kept.set(gradient.data.subarray(at * width, (at + 1) * width), i * width);
    }
  }
  return { gap, gradient: kept, steepness };
}

/** For each rank the class that each example likes so much, without its label. */
function likeliest({ run, rows, logits }: Search, count: number): readonly Int32Array[] {
  const k = run.model.numClasses;
  const orders = Array.from(rows, (row, i) => {
    const z = logits.data.subarray(i * k, (i + 1) * k);
    const classes = Array.from(z, (_, c) => c).filter((c) => c !== run.goal.classes[row]);
    return classes.sort((a, b) => z[b]! - z[a]!);
  });
  return Array.from({ length: Math.min(count, k - 1) }, (_, rank) => Int32Array.from(orders, (order) => order[rank]!));
}

function rowsOf(points: Float32Array, rows: Int32Array, width: number): Float32Array {
  const taken = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    taken.set(points.subarray(row * width, (row + 1) * width), i * width);
  });
  return taken;
}
