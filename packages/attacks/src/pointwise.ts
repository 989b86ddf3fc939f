import type { Attack, Labeler } from "@parapet/core";
import { checkBudget, exampleOf, interview, type Script } from "./shared/questions.ts";
import { Nearest, openRun } from "./shared/run.ts";
import { checkStarts, type StartOptions, startingPoints } from "./shared/starting-points.ts";

/** Options of `pointwise`. */
export interface PointwiseOptions extends StartOptions {
  /** More changed features do not count; >= 0, default infinity. */
  readonly epsilon?: number;
  /** Most queries for each example; default 10,000. */
  readonly queries?: number;
  /** Points in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * The pointwise attack: takes a point that reaches the goal and sets features back to the example's values while the goal
 * stays reached, so that few changed features remain (l0); from labels only. Features are tried in random order, first many
 * at a time, then one by one, until none can be set back. What remains is pushed to its bounds, which may make others of
 * them dispensable. With queries left it begins again at another start.
 *
 * @param options - budget, starts
 * @returns an attack on models that answer with a class; the fewest changed features seen within `queries` queries, the
 *   search for a start included. Where no start is found, that example fails
 * @throws RangeError or TypeError when an option is out of range, or `starts` do not fit the model
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { pointwise } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const attack = pointwise({ queries: 200 });
 * const { distance } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]); // => 2
 * ```
 *
 * Source: L. Schott et al., "Towards the first adversarially robust neural network model on MNIST", 2018,
 * https://arxiv.org/abs/1805.09190, section 4 and appendix. Differences from the paper: features are set back in groups
 * before one by one; what remains is pushed to its bounds; starts are those of the other attacks by labels.
 */
export function pointwise(options: PointwiseOptions = {}): Attack<Labeler> {
  const { epsilon, queries = 10_000, batchSize = 128 } = options;
  checkBudget({ epsilon, queries, batchSize, startDraws: options.startDraws });

  return async (model, input, goal, context) => {
    const run = openRun("pointwise", model, input, goal, context);
    checkStarts(run, options.starts);
    const nearest = new Nearest(run, "l0", epsilon);
    const { width, lower, upper } = run;

    function* script(row: number): Script {
      const example = exampleOf(run, row);
      for (let round = 0; ; round++) {
        let [point] = yield* startingPoints(run, row, "l1", options, round);
        if (point === undefined) return;
        const rng = run.rng(row, `order ${round}`);
        const changed = (): number[] => {
          const order = [...example.keys()].filter((j) => point![j] !== example[j]);
          for (let i = order.length - 1; i > 0; i--) {
            const other = rng.integer(i + 1);
            [order[i], order[other]] = [order[other]!, order[i]!];
          }
          return order;
        };
        let size = Math.max(1, 2 ** Math.floor(Math.log2(width / 4)));
        for (let left = changed(); ; ) {
          for (let at = 0; at < left.length; at += size) {
            const candidate: Float32Array = point.slice();
            for (const j of left.slice(at, at + size)) candidate[j] = example[j]!;
            if ((yield candidate).reached[0] === 1) point = candidate;
          }
          const before = left.length;
          left = changed();
          // One feature is the least there is: what needs none has been found before the script began.
          if (left.length === 1) return;
          if (size > 1) size = Math.max(1, size / 2);
          else if (left.length === before) {
            const pushed: Float32Array = point.slice();
            for (const j of left) {
              const bound = point[j]! > example[j]! ? upper[j]! : lower[j]!;
              if (Number.isFinite(bound)) pushed[j] = bound;
            }
            if (pushed.every((value, j) => value === point![j])) break;
            if ((yield pushed).reached[0] === 0) break;
            point = pushed;
          }
        }
      }
    }
    await interview(run, { queries, batchSize, nearest, script });
    return nearest.result();
  };
}
