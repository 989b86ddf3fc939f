import {
  type Attack,
  checkNorm,
  checkNumber,
  crossEntropy,
  type DifferentiableClassifier,
  differenceOfLogitsRatio,
  expected,
  type Goal,
  type Loss,
  margin,
  type NdArray,
  type Norm,
  weightedSum,
} from "@parapet/core";
import { type ApgdClimb, climb } from "./shared/apgd-climb.ts";
import { differenceOf, marginFor, rivalsOf } from "./shared/rivals.ts";
import { chunksOf, firstLook, freeOf, pointsOf } from "./shared/rows.ts";
import { openRun, range } from "./shared/run.ts";
import { Findings } from "./shared/threat-model.ts";

/** What `apgd` may climb. */
export type ApgdLoss = "cross-entropy" | "difference-of-logits-ratio" | "targeted-difference-of-logits-ratio" | "goal";

/** Options of `apgd`. */
export interface ApgdOptions {
  /** Radius of the ball, in the units of the model's inputs; >= 0. */
  readonly epsilon: number;
  /** Default "linf". */
  readonly norm?: Norm;
  /** Number of steps of one run, default 100. */
  readonly steps?: number;
  /** Runs from different starts, for the examples that held so far; default 1. */
  readonly restarts?: number;
  /** Default "cross-entropy". "goal" climbs the goal's own loss; the others take only kind and classes from the goal. */
  readonly loss?: ApgdLoss;
  /**
   * How many other classes the targeted loss tries one after the other, those of the largest clean logits first; default
   * 9, at most one fewer than there are. A targeted goal has but one.
   */
  readonly targets?: number;
  /** The share of steps between two checkpoints that must gain, or else the step is halved; in [0, 1], default 0.75. */
  readonly rho?: number;
  /** l1 only: spend 3/10 of the steps in the ball of 3 epsilon, then 3/10 in that of 2 epsilon. Default false. */
  readonly widerFirst?: boolean;
  /** Draws of a randomised model that are averaged for each gradient, default 1. */
  readonly samples?: number;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * Auto-PGD: projected ascent with momentum that finds its own step size. It begins with steps of `2 epsilon`; at
 * checkpoints after 22 % of the steps, then in intervals that shrink by 3 % down to 6 %, an example whose loss has not
 * risen in `rho` of the last steps, or whose best point has stood still since the last halving, goes on from its best
 * point with half the step:
 * `z = P(x_k + step s(gradient)); x_{k+1} = P(x_k + 0.75 (z - x_k) + 0.25 (x_k - x_{k-1}))`.
 *
 * In l1 every step moves the largest entries of the gradient by equal amounts. How many follows, every 4 % of the steps,
 * from the number of features that the best point changes; the projection is the exact one onto ball and bounds.
 *
 * An example is left as soon as it reaches its goal. Where every run fails, the point with the largest margin for the goal
 * among the best points of the runs comes back.
 *
 * Losses by goal and number of classes k: cross-entropy of the label, or minus that of the wanted class. The ratio
 * `(max_{j != y} z_j - z_y) / (z_(1) - z_(3))`, undefined for k = 2. The targeted ratio
 * `(z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2)` for one other class t after the other, where whatever class is found
 * counts, undefined for k < 4. A targeted goal t gets, by both names, the latter with the largest other logit for `z_y`.
 * Where a ratio is undefined its numerator is climbed.
 *
 * @param options - ball, loss, steps, starts
 * @returns an attack on models with gradients. For each run at most `(steps + 1) samples` gradients (`steps + 3` in three
 *   balls) and one query more an example (more where a randomised model changes its mind); one for the first look at it
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { apgd } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]); // the border lies at 0.3692 in linf
 * const attack = (epsilon: number) => apgd({ epsilon, loss: "difference-of-logits-ratio" });
 * const context = { rng: createRng(0) };
 * const near = await attack(0.369)(affineModel(researchWeights), x, untargeted([0]), context);
 * const far = await attack(0.37)(affineModel(researchWeights), x, untargeted([0]), context);
 * console.log(near.success.data[0], far.success.data[0]); // => 0 1
 * ```
 *
 * Source: F. Croce and M. Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free
 * Attacks", 2020, https://arxiv.org/abs/2003.01690, algorithm 1 and section 4; l1: F. Croce and M. Hein, "Mind the Box",
 * 2021, https://arxiv.org/abs/2103.01208, algorithm 1. Differences from the papers: an example is left at its first
 * success; the margin where the ratio is undefined; the loss before the first step counts as the one that it must beat.
 */
export function apgd(options: ApgdOptions): Attack {
  const {
    epsilon,
    norm = "linf",
    steps = 100,
    restarts = 1,
    loss = "cross-entropy",
    targets = 9,
    rho = 0.75,
  } = options;
  const { widerFirst = false, samples = 1, batchSize = 128 } = options;
  checkNorm(norm);
  checkNumber("epsilon", epsilon, { min: 0 });
  checkNumber("steps", steps, { min: 1, integer: true });
  checkNumber("restarts", restarts, { min: 1, integer: true });
  checkNumber("targets", targets, { min: 1, integer: true });
  checkNumber("rho", rho, { min: 0, max: 1 });
  checkNumber("samples", samples, { min: 1, integer: true });
  checkNumber("batchSize", batchSize, { min: 1, integer: true });
  if (!losses.includes(loss)) throw new TypeError(expected("loss", losses.map((l) => `"${l}"`).join(", "), loss));
  if (widerFirst && norm !== "l1") throw new TypeError(expected("widerFirst", 'false unless norm is "l1"', widerFirst));
  const phases = phasesOf(epsilon, steps, widerFirst);

  return async (model, input, goal, context) => {
    const run = openRun<DifferentiableClassifier>("apgd", model, input, goal, context);
    const { n, x } = run;
    const k = model.numClasses;
    const findings = new Findings(x);
    const look = await firstLook(run, batchSize);
    for (let row = 0; row < n; row++) if (look.reached[row] === 1) findings.offer(row, x, row, true, 0);

    const rivals = rivalsOf(look.logits, goal.classes);
    const tries =
      loss === "targeted-difference-of-logits-ratio" && goal.kind === "untargeted" ? Math.min(targets, k - 1) : 1;
    const total = tries * restarts * n * steps;
    const free = freeOf(run);
    for (let target = 0; target < tries; target++) {
      const lossOf = (rows: Int32Array) => lossFor(loss, goal, rows, k, (row) => rivals(row, target));
      for (let restart = 0; restart < restarts; restart++) {
        const turn = target * restarts + restart;
        const open = range(0, n).filter((row) => findings.success[row] === 0);
        let done = (turn * n + n - open.length) * steps;
        for (const rows of chunksOf(open, batchSize)) {
          const begin = done;
          const shared: ApgdClimb = {
            norm,
            phases,
            rho,
            samples,
            lossOf,
            free,
            rng: (row) => run.rng(row, `${loss} ${target} ${restart}`),
            // Never 0, and another for every gradient of an example.
            salt: 1 + turn * (steps + phases.length) * samples,
            reached: (row, points, i) => findings.offer(row, points, i, true, 0),
            progress: (step) => run.progress(begin + rows.length * step, total),
          };
          const held = await climb(run, rows, shared);
          if (held.rows.length > 0) {
            const points = pointsOf(run, held.best, held.rows.length);
            const logits = await run.logits(points, held.rows);
            const local = goal.take(held.rows);
            const reached = local.isReached(logits).data;
            const value = marginFor(local).value(logits).data;
            held.rows.forEach((row, i) => {
              findings.offer(row, points, i, reached[i] === 1, value[i]!);
            });
          }
          done += rows.length * steps;
        }
        run.progress((turn + 1) * n * steps, total);
      }
    }
    const { queries, gradients } = run;
    return {
      ...findings.result(norm),
      queries: { dtype: "int32", shape: [n], data: queries },
      gradients: { dtype: "int32", shape: [n], data: gradients },
    };
  };
}

const losses: readonly ApgdLoss[] = [
  "cross-entropy",
  "difference-of-logits-ratio",
  "targeted-difference-of-logits-ratio",
  "goal",
];

/** The balls one after the other, and the steps in each: the reference's "large epsilons" for l1. */
function phasesOf(epsilon: number, steps: number, widerFirst: boolean): ApgdClimb["phases"] {
  const part = Math.ceil(0.3 * steps);
  if (!widerFirst || steps <= 2 * part) return [{ epsilon, steps }];
  return [
    { epsilon: 3 * epsilon, steps: part },
    { epsilon: 2 * epsilon, steps: part },
    { epsilon, steps: steps - 2 * part },
  ];
}

/** What the examples `rows` climb, where there are `k` classes. */
function lossFor(loss: ApgdLoss, goal: Goal, rows: Int32Array, k: number, rival: (row: number) => number): Loss {
  if (loss === "goal") return goal.loss.take(rows);
  const classes = rows.map((row) => goal.classes[row]!);
  if (loss === "cross-entropy") {
    return goal.kind === "untargeted" ? crossEntropy(classes) : weightedSum([[-1, crossEntropy(classes)]]);
  }
  if (goal.kind === "targeted") return k >= 4 ? wantedRatio(classes) : marginFor(goal.take(rows));
  if (loss === "difference-of-logits-ratio") return k >= 3 ? differenceOfLogitsRatio(classes) : margin(classes);
  const others = rows.map(rival);
  return k >= 4 ? differenceOfLogitsRatio(classes, others) : differenceOf(others, classes, k);
}

/**
 * The targeted ratio from the largest other logit of the moment to the wanted class. Minus the plain ratio would not do:
 * while the wanted logit is the third, numerator and denominator are the same, and there is nothing to climb.
 */
function wantedRatio(wanted: Int32Array): Loss {
  const count = wanted.length;
  const now = (logits: NdArray): Loss => {
    const rivals = rivalsOf(logits.data, wanted);
    return differenceOfLogitsRatio(
      wanted.map((_, row) => rivals(row, 0)),
      wanted,
    );
  };
  return {
    count,
    parts: 1,
    value: (logits) => now(logits).value(logits),
    cotangent: (logits) => now(logits).cotangent(logits),
    take: (rows) => wantedRatio(rows.map((row) => wanted[row]!)),
  };
}
