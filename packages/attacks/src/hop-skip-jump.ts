import { type Attack, checkNumber, expected, type Labeler } from "@parapet/core";
import { borderNormal, fillNormal, toUnit } from "./shared/gradient-estimates.ts";
import { checkBudget, confine, freeCount, interview, rangeOf, type Script } from "./shared/questions.ts";
import { Nearest, openRun } from "./shared/run.ts";
import { borderStart, checkStarts, gapOf, type StartOptions, toBorder } from "./shared/starting-points.ts";

/** Options of `hopSkipJump`. */
export interface HopSkipJumpOptions extends StartOptions {
  /** What the distance is measured in; default "l2". */
  readonly norm?: "l2" | "linf";
  /** What lies farther from the example does not count; >= 0, default infinity. */
  readonly epsilon?: number;
  /** Most queries for each example; default 10,000. */
  readonly queries?: number;
  /** Points in the first estimate of the border's normal, growing with the square root of the step; default 100. */
  readonly samples?: number;
  /** Points in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * HopSkipJump: finds the nearest point of another class from labels only. From a point on the border it estimates the
 * border's normal by the labels of random points around it, jumps along the normal and searches back to the border:
 * `v = mean of phi(p + radius u) u`, `p <- border(x, p + step v / ||v||)`, with `sign(v)` for linf. The step is
 * `distance / sqrt(t)`, halved until the goal is reached; the radius is `distance / d` for d features (a tenth of the bounds'
 * range in the first step); the search ends within `d^(-3/2)` (l2) or `d^(-2)` (linf) of the distance.
 *
 * @param options - norm, budget, starts
 * @returns an attack on models that answer with a class; the smallest distance seen within `queries` queries, the search for
 *   a start included. Where no start is found, that example fails
 * @throws RangeError or TypeError when an option is out of range, or `starts` do not fit the model
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { hopSkipJump } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const attack = hopSkipJump({ queries: 2000 });
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { distance } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]! >= 0.6145 && distance.data[0]! < 0.625); // => true
 * ```
 *
 * Source: J. Chen, M. Jordan and M. Wainwright, "HopSkipJumpAttack: A Query-Efficient Decision-Based Attack", 2020,
 * https://arxiv.org/abs/1904.02144, algorithm 2. Differences from the paper: a number of queries instead of steps; the
 * last estimate is cut to what is left; starts other than uniform noise are tried, too; masked features do not count in d.
 */
export function hopSkipJump(options: HopSkipJumpOptions = {}): Attack<Labeler> {
  const { norm = "l2", epsilon, queries = 10_000, samples = 100, batchSize = 128 } = options;
  if (norm !== "l2" && norm !== "linf") throw new TypeError(expected("norm", '"l2" or "linf"', norm));
  checkBudget({ epsilon, queries, batchSize, startDraws: options.startDraws });
  checkNumber("samples", samples, { min: 2, integer: true });

  return async (model, input, goal, context) => {
    const run = openRun("hopSkipJump", model, input, goal, context);
    checkStarts(run, options.starts);
    const nearest = new Nearest(run, norm, epsilon);
    const { width, queries: asked } = run;

    function* script(row: number): Script {
      let point = yield* borderStart(run, row, norm, options);
      if (point === undefined) return;
      const rng = run.rng(row, "directions");
      const d = freeCount(run, row);
      const tolerance = Math.max(2 ** -20, Math.min(0.001, norm === "l2" ? d ** -1.5 : d ** -2));
      const search = Math.ceil(Math.log2(1 / tolerance)) + 2;
      point = yield* toBorder(run, row, norm, point, tolerance);
      for (let step = 1; ; step++) {
        const gap = gapOf(run, row, point, norm);
        const left = queries - asked[row]! - search;
        if (left < 4 || gap === 0) return;
        const count = Math.min(left, Math.round(samples * Math.sqrt(step)));
        const radius = step === 1 ? Math.min(gap, 0.1 * rangeOf(run)) : gap / d;
        const normal = yield* borderNormal(run, row, point, radius, count, (u) => fillNormal(rng, u));
        if (norm === "l2") toUnit(run, row, normal);
        else for (let j = 0; j < width; j++) normal[j] = Math.sign(normal[j]!);
        for (let length = gap / Math.sqrt(step); length > 1e-6 * gap; length /= 2) {
          const candidate = confine(
            run,
            row,
            point.map((value, j) => value + length * normal[j]!),
          );
          if ((yield candidate).reached[0] === 0) continue;
          point = yield* toBorder(run, row, norm, candidate, tolerance);
          break;
        }
      }
    }
    await interview(run, { queries, batchSize, nearest, script });
    return nearest.result();
  };
}
