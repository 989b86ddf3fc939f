import { type Attack, checkNumber, type Labeler } from "@parapet/core";
import { fillNormal, toUnit } from "./shared/gradient-estimates.ts";
import { checkBudget, confine, exampleOf, interview, type Script } from "./shared/questions.ts";
import { Nearest, openRun } from "./shared/run.ts";
import { borderStart, checkStarts, gapOf, type StartOptions, toBorder } from "./shared/starting-points.ts";

/** Options of `boundary`. */
export interface BoundaryOptions extends StartOptions {
  /** What lies farther from the example does not count; l2, >= 0, default infinity. */
  readonly epsilon?: number;
  /** Most queries for each example; default 10,000. */
  readonly queries?: number;
  /** First length of the step around the example, as a share of the distance, > 0; default 0.1. It adapts. */
  readonly sphericalStep?: number;
  /** First length of the step towards the example, as a share of the distance, in (0, 1); default 0.02. It adapts. */
  readonly sourceStep?: number;
  /** Points in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * The boundary attack: a random walk along the border of the classes that comes nearer to the example, from labels only;
 * l2. A step goes to a random point at the same distance from the example, `sphericalStep * distance` away, and from there
 * `sourceStep * distance` towards the example; it is taken where the goal is still reached. Both lengths adapt: the first so
 * that half of the points at the same distance reach the goal, the second so that a quarter of the steps are taken.
 *
 * @param options - budget, first lengths, starts
 * @returns an attack on models that answer with a class; the smallest distance seen within `queries` queries, the search for
 *   a start included. Where no start is found, that example fails
 * @throws RangeError or TypeError when an option is out of range, or `starts` do not fit the model
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { boundary } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const attack = boundary({ queries: 2000 });
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { distance } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]! >= 0.6145 && distance.data[0]! < 0.625); // => true
 * ```
 *
 * Source: W. Brendel, J. Rauber and M. Bethge, "Decision-Based Adversarial Attacks: Reliable Attacks Against Black-Box
 * Machine Learning Models", 2018, https://arxiv.org/abs/1712.04248, section 2. Differences from the paper: the walk begins at
 * the border between the example and the start; the point at the same distance is asked about in every fifth step only, and
 * the lengths adapt a little at every answer, not by statistics over many.
 */
export function boundary(options: BoundaryOptions = {}): Attack<Labeler> {
  const { epsilon, queries = 10_000, sphericalStep = 0.1, sourceStep = 0.02, batchSize = 128 } = options;
  checkBudget({ epsilon, queries, batchSize, startDraws: options.startDraws });
  checkNumber("sphericalStep", sphericalStep, { above: 0 });
  checkNumber("sourceStep", sourceStep, { above: 0, below: 1 });

  return async (model, input, goal, context) => {
    const run = openRun("boundary", model, input, goal, context);
    checkStarts(run, options.starts);
    const nearest = new Nearest(run, "l2", epsilon);
    const { width } = run;

    function* script(row: number): Script {
      const start = yield* borderStart(run, row, "l2", options);
      if (start === undefined) return;
      let point = yield* toBorder(run, row, "l2", start, 0.01);
      const example = exampleOf(run, row);
      const rng = run.rng(row, "walk");
      const source = new Float32Array(width);
      let gap = gapOf(run, row, point, "l2");
      let around = sphericalStep;
      let towards = sourceStep;
      for (let step = 0; gap > 0 && towards > 1e-7; step++) {
        const test = step % TEST_EVERY === 0;
        const points = new Float32Array(test ? 2 * width : width);
        const aside = points.subarray(0, width);
        fillNormal(rng, aside);
        let along = 0;
        for (let j = 0; j < width; j++) {
          source[j] = (example[j]! - point[j]!) / gap;
          along += source[j]! * aside[j]!;
        }
        for (let j = 0; j < width; j++) aside[j]! -= along * source[j]!;
        toUnit(run, row, aside);
        const scale = gap / Math.sqrt(1 + around * around);
        for (let j = 0; j < width; j++) {
          const away = scale * (around * aside[j]! - source[j]!);
          aside[j] = example[j]! + (1 - towards) * away;
          if (test) points[width + j] = example[j]! + away;
        }
        const { reached } = yield confine(run, row, points);
        if (test) around *= reached[1] === 1 ? SPHERE_RATE : 1 / SPHERE_RATE;
        towards = Math.min(0.5, towards * (reached[0] === 1 ? SOURCE_RATE ** 3 : 1 / SOURCE_RATE));
        if (reached[0] === 0) continue;
        point = points.slice(0, width);
        gap = gapOf(run, row, point, "l2");
      }
    }
    await interview(run, { queries, batchSize, nearest, script });
    return nearest.result();
  };
}

/** Every how many steps the point at the same distance is asked about. */
const TEST_EVERY = 5;
/** By how much the lengths change; a success weighs three failures for the second. */
const SPHERE_RATE = 1.25;
const SOURCE_RATE = 1.05;
