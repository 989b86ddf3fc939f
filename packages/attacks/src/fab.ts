import {
  type Attack,
  checkNorm,
  checkNumber,
  createPacer,
  type DifferentiableClassifier,
  type Goal,
  type Norm,
  type Rng,
} from "@parapet/core";
import { type Border, type BorderAt, nearestBorder, oneBorder } from "./shared/fab-border.ts";
import { hyperplaneScratch, projectOntoHyperplane } from "./shared/hyperplane.ts";
import { differenceOf, marginFor, rivalsOf } from "./shared/rivals.ts";
import { chunksOf, firstLook, freeOf, keepRows, pointsOf, randomDirection } from "./shared/rows.ts";
import { Nearest, openRun, type Run, range } from "./shared/run.ts";

/** Options of `fab`. */
export interface FabOptions {
  /** The norm that is made small, default "linf". */
  readonly norm?: Norm;
  /** What lies farther than this does not count; default Infinity. Random starts are at most half as far away. */
  readonly epsilon?: number;
  /** Number of steps of one run, default 100. */
  readonly steps?: number;
  /** Runs, default 5: the first from the example, the others from random starts. */
  readonly restarts?: number;
  /** Go for one class after the other instead of the nearest border of all: one gradient a step, not k - 1. Default false. */
  readonly targeted?: boolean;
  /** How many other classes that tries, those of the largest clean logits first; default 9, at most k - 1. */
  readonly targets?: number;
  /** How far a step goes beyond the linear border, as a factor; default 1.05. */
  readonly overshoot?: number;
  /** The share of the way from the example that is kept after a success, in (0, 1); default 0.9. */
  readonly backward?: number;
  /** The largest share of a step that is aimed from the example instead of the current point, in [0, 1]; default 0.1. */
  readonly bias?: number;
  /** Leave an example at its first success within epsilon: only whether there is one counts. Default false. */
  readonly earlyStop?: boolean;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * Fast adaptive boundary attack: looks for the nearest point that reaches the goal. Every step takes the classifier as
 * linear, projects the current point x_k and the example x onto the nearest linear border inside the bounds, and moves to
 * a mixture of both:
 * `x_{k+1} = clip((1 - a) (x_k + 1.05 d(x_k)) + a (x + 1.05 d(x)))`, with `a = min(|d(x_k)| / (|d(x_k)| + |d(x)|), 0.1)`.
 * At a success it steps back towards the example: `x + 0.9 (x_{k+1} - x)`.
 *
 * An untargeted goal considers the borders to all other classes (k - 1 gradients a step), or with `targeted` that to one
 * class at a time, whatever class is found then counts. A targeted goal considers the border between the wanted class and
 * the largest other one; `targeted` and `targets` have no effect on it. The goal's own loss is not used.
 *
 * @param options - norm, steps, starts
 * @returns a minimum-norm attack on models with gradients; for each step 2 queries an example and 1 gradient, or k - 1
 *   gradients; one query for the first look at it
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { fab } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]); // the border lies at 0.6146 in l2
 * const { distance } = await fab({ norm: "l2" })(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]! > 0.6145 && distance.data[0]! < 0.6146 * 1.01); // => true
 * ```
 *
 * Source: F. Croce and M. Hein, "Minimally distorted Adversarial Examples with a Fast Adaptive Boundary Attack", 2020,
 * https://arxiv.org/abs/1907.02044, algorithm 1; targeted version: https://arxiv.org/abs/2003.01690, section 5.
 * Differences from the papers: no final search, as in the authors' later code; a run ends where the model has no gradient.
 */
export function fab(options: FabOptions = {}): Attack {
  const { norm = "linf", epsilon = Number.POSITIVE_INFINITY, steps = 100, restarts = 5 } = options;
  const { targeted = false, targets = 9, earlyStop = false, batchSize = 128 } = options;
  const { overshoot = 1.05, backward = 0.9, bias = 0.1 } = options;
  checkNorm(norm);
  if (epsilon !== Number.POSITIVE_INFINITY) checkNumber("epsilon", epsilon, { min: 0 });
  checkNumber("steps", steps, { min: 1, integer: true });
  checkNumber("restarts", restarts, { min: 1, integer: true });
  checkNumber("targets", targets, { min: 1, integer: true });
  checkNumber("overshoot", overshoot, { min: 1 });
  checkNumber("backward", backward, { above: 0, below: 1 });
  checkNumber("bias", bias, { min: 0, max: 1 });
  checkNumber("batchSize", batchSize, { min: 1, integer: true });

  return async (model, input, goal, context) => {
    const run = openRun<DifferentiableClassifier>("fab", model, input, goal, context);
    const { n, x } = run;
    const nearest = new Nearest(run, norm, epsilon);
    const look = await firstLook(run, batchSize);
    for (let row = 0; row < n; row++) if (look.reached[row] === 1) nearest.offer(row, x, row);

    const rivals = rivalsOf(look.logits, goal.classes);
    const oneByOne = targeted && goal.kind === "untargeted";
    const tries = oneByOne ? Math.min(targets, model.numClasses - 1) : 1;
    const total = tries * restarts * n * steps;
    const free = freeOf(run);
    for (let target = 0; target < tries; target++) {
      for (let restart = 0; restart < restarts; restart++) {
        const turn = target * restarts + restart;
        const open = range(0, n).filter((row) =>
          earlyStop ? !Number.isFinite(nearest.distance[row]!) : nearest.distance[row]! > 0,
        );
        let done = (turn * n + n - open.length) * steps;
        for (const rows of chunksOf(open, batchSize)) {
          const begin = done;
          await approach(run, rows, {
            norm,
            epsilon,
            steps,
            overshoot,
            backward,
            bias,
            earlyStop,
            free,
            nearest,
            border: oneByOne
              ? oneBorder(run, (rows) =>
                  differenceOf(
                    rows.map((row) => rivals(row, target)),
                    classesOf(goal, rows),
                    model.numClasses,
                  ),
                )
              : goal.kind === "targeted"
                ? oneBorder(run, (rows) => marginFor(goal.take(rows)))
                : nearestBorder(run, norm, free),
            rng: restart === 0 ? undefined : (row) => run.rng(row, `${target} ${restart}`),
            salt: 1 + turn * steps,
            progress: (step) => run.progress(begin + rows.length * step, total),
          });
          done += rows.length * steps;
        }
        run.progress((turn + 1) * n * steps, total);
      }
    }
    return nearest.result();
  };
}

const classesOf = (goal: Goal, rows: Int32Array) => rows.map((row) => goal.classes[row]!);

interface Approach {
  readonly norm: Norm;
  readonly epsilon: number;
  readonly steps: number;
  readonly overshoot: number;
  readonly backward: number;
  readonly bias: number;
  readonly earlyStop: boolean;
  readonly free: Uint8Array | undefined;
  readonly nearest: Nearest;
  readonly border: BorderAt;
  /** Where a random start comes from; undefined to start at the example. */
  readonly rng: ((row: number) => Rng) | undefined;
  readonly salt: number;
  readonly progress: (step: number) => void;
}

/** One run from one start for the examples `rows`. */
async function approach(run: Run<DifferentiableClassifier>, rows: Int32Array, options: Approach): Promise<void> {
  const { norm, epsilon, overshoot, backward, bias, free, nearest } = options;
  const { width, x, lower, upper } = run;
  const pace = createPacer(run.signal);
  const current = new Float32Array(rows.length * width);
  const fromHere = new Float64Array(width);
  const fromExample = new Float64Array(width);
  const scratch = hyperplaneScratch(width);
  let active = rows;
  let goal = run.goal.take(active);

  const inside = (value: number, j: number) => Math.max(lower[j]!, Math.min(upper[j]!, value));
  for (let i = 0; i < rows.length; i++) {
    const at = rows[i]! * width;
    current.set(x.data.subarray(at, at + width), i * width);
    if (options.rng === undefined) continue;
    randomDirection(norm, options.rng(rows[i]!), fromHere, free, at);
    const reach = Math.min(nearest.distance[rows[i]!]!, epsilon);
    const radius = (Number.isFinite(reach) ? reach : usualRadius(norm, lower, upper)) / 2;
    for (let j = 0; j < width; j++) current[i * width + j] = inside(x.data[at + j]! + radius * fromHere[j]!, j);
  }

  /** From row i of `current` to the next point; false where the border says nothing. */
  const move = (i: number, { w, residual }: Border): boolean => {
    const from = i * width;
    const at = active[i]! * width;
    const gap = residual[i]!;
    let gapOfExample = gap;
    let slope = 0;
    for (let j = 0; j < width; j++) {
      if (free !== undefined && free[at + j] === 0) w[from + j] = 0;
      gapOfExample += w[from + j]! * (x.data[at + j]! - current[from + j]!);
      slope += Math.abs(w[from + j]!);
    }
    if (!(slope > 0 && Number.isFinite(slope) && Number.isFinite(gapOfExample))) return false;
    const here = projectOntoHyperplane(norm, w, from, current, from, gap, lower, upper, fromHere, scratch);
    const there = projectOntoHyperplane(norm, w, from, x.data, at, gapOfExample, lower, upper, fromExample, scratch);
    const a = Math.min(Math.max(here, 1e-8) / (Math.max(here, 1e-8) + Math.max(there, 1e-8)), bias);
    for (let j = 0; j < width; j++) {
      const straight = current[from + j]! + overshoot * fromHere[j]!;
      const anew = x.data[at + j]! + overshoot * fromExample[j]!;
      current[from + j] = inside((1 - a) * straight + a * anew, j);
    }
    return true;
  };

  const keep = (left: Int32Array): void => {
    if (left.length === active.length) return;
    keepRows(current, left, width);
    active = left.map((i) => active[i]!);
    goal = goal.take(left);
  };

  for (let step = 0; step < options.steps && active.length > 0; step++) {
    await pace();
    const border = await options.border(pointsOf(run, current, active.length), active, options.salt + step);
    keep(range(0, active.length).filter((i) => move(i, border)));
    if (active.length === 0) break;

    await pace();
    const points = pointsOf(run, current, active.length);
    const reached = goal.isReached(await run.logits(points, active)).data;
    for (let i = 0; i < active.length; i++) {
      if (reached[i] === 0) continue;
      nearest.offer(active[i]!, points, i);
      const at = active[i]! * width;
      for (let j = 0; j < width; j++) {
        const example = x.data[at + j]!;
        current[i * width + j] = inside(example + backward * (current[i * width + j]! - example), j);
      }
    }
    if (options.earlyStop) {
      keep(range(0, active.length).filter((i) => !Number.isFinite(nearest.distance[active[i]!]!)));
    }
    options.progress(step + 1);
  }
}

/** Half of it is where a random start lies when nothing has been found: the authors' 0.3, 1 and 5 for bounds [0, 1]. */
function usualRadius(norm: Norm, lower: Float32Array, upper: Float32Array): number {
  let range = 0;
  for (let j = 0; j < lower.length; j++) range = Math.max(range, upper[j]! - lower[j]!);
  return (Number.isFinite(range) ? range : 1) * { linf: 0.3, l2: 1, l1: 5 }[norm];
}
