import { type Attack, type Classifier, checkNumber, expected } from "@parapet/core";
import { cosineBasis } from "./shared/cosine-basis.ts";
import { checkBudget, confine, exampleOf, interview, type Script } from "./shared/questions.ts";
import { Nearest, openRun } from "./shared/run.ts";
import { gapOf } from "./shared/starting-points.ts";

/** Options of `simba`. */
export interface SimbaOptions {
  /** No step leads farther from the example; l2, >= 0, default infinity. */
  readonly epsilon?: number;
  /** Most queries for each example; default 10,000. */
  readonly queries?: number;
  /** Directions: single features, or cosine waves where the inputs are images; default "pixel". */
  readonly basis?: "pixel" | "cosine";
  /** The share of the vertical and of the horizontal frequencies that waves are taken from, lowest first, in (0, 1]; default 1/4. */
  readonly frequencies?: number;
  /** Length of a step, in the units of the inputs; > 0, default 0.2. */
  readonly stepSize?: number;
  /** Points in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * SimBA: goes through the directions of an orthonormal basis in random order, and steps forth or else back along each where
 * that makes the goal's loss larger: `x <- x +- stepSize q`. From scores only. T steps lead at most `sqrt(T) stepSize` away.
 *
 * @param options - budget, basis, step
 * @returns an attack on models with scores; an example is left at its first success, after at most `queries` queries
 * @throws RangeError or TypeError when an option is out of range, or waves are asked for where inputs are no images
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { simba } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const attack = simba({ stepSize: 0.1, queries: 200 });
 * const { success } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(success.data[0]); // => 1
 * ```
 *
 * Source: C. Guo et al., "Simple Black-box Adversarial Attacks", 2019, https://arxiv.org/abs/1905.07121, algorithm 1 and
 * section 3.2. Differences from the paper: the goal's loss instead of the probability, which saturates; the basis is gone
 * through again, in another order, where it ends before the budget.
 */
export function simba(options: SimbaOptions = {}): Attack<Classifier> {
  const { epsilon, queries = 10_000, basis = "pixel", frequencies = 1 / 4, stepSize = 0.2, batchSize = 128 } = options;
  checkBudget({ epsilon, queries, batchSize });
  checkNumber("frequencies", frequencies, { above: 0, max: 1 });
  checkNumber("stepSize", stepSize, { above: 0 });
  if (basis !== "pixel" && basis !== "cosine") throw new TypeError(expected("basis", '"pixel" or "cosine"', basis));
  const farthest = epsilon ?? Number.POSITIVE_INFINITY;

  return async (model, input, goal, context) => {
    const run = openRun("simba", model, input, goal, context);
    const waves = basis === "cosine" ? cosineBasis(model.inputShape) : undefined;
    if (basis === "cosine" && waves === undefined) {
      throw new TypeError(expected("basis", '"pixel" for inputs that are no images', basis));
    }
    const nearest = new Nearest(run, "l2", epsilon);
    const { width } = run;
    const high = waves === undefined ? 1 : Math.ceil(frequencies * waves.height);
    const broad = waves === undefined ? width : Math.ceil(frequencies * waves.width);
    const directions = high * broad * (waves?.channels ?? 1);

    function* script(row: number, first: { readonly value: Float32Array }): Script {
      const rng = run.rng(row);
      let point = exampleOf(run, row);
      let most = first.value[0]!;
      const order = Int32Array.from({ length: directions }, (_, i) => i);
      for (let moved = true; moved; ) {
        moved = false;
        for (let i = 0; i < directions; i++) {
          const other = i + rng.integer(directions - i);
          const direction = order[other]!;
          order[other] = order[i]!;
          order[i] = direction;
          for (const step of [stepSize, -stepSize]) {
            const candidate: Float32Array = point.slice();
            if (waves === undefined) candidate[direction]! += step;
            else {
              const channel = Math.floor(direction / (high * broad));
              const rest = direction - channel * high * broad;
              waves.add(candidate, Math.floor(rest / broad), rest % broad, channel, step);
            }
            confine(run, row, candidate);
            // What bounds, mask or the radius forbid costs no query.
            if (candidate.every((value, j) => value === point[j])) continue;
            if (gapOf(run, row, candidate, "l2") > farthest) continue;
            const { reached, value } = yield candidate;
            if (reached[0] === 1) return;
            if (!(value[0]! > most)) continue;
            most = value[0]!;
            point = candidate;
            moved = true;
            break;
          }
        }
      }
    }
    await interview(run, { queries, batchSize, nearest, script, loss: goal.loss });
    return nearest.result();
  };
}
