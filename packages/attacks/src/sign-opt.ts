import { type Attack, checkNumber, expected, type Labeler } from "@parapet/core";
import { fillNormal, toUnit } from "./shared/gradient-estimates.ts";
import { checkBudget, confine, exampleOf, freeCount, interview, type Script } from "./shared/questions.ts";
import { Nearest, openRun } from "./shared/run.ts";
import { borderStart, checkStarts, gapOf, type StartOptions } from "./shared/starting-points.ts";

/** Options of `signOpt`. */
export interface SignOptOptions extends StartOptions {
  /** What the distance is measured in; default "l2". */
  readonly norm?: "l2" | "linf";
  /** What lies farther from the example does not count; >= 0, default infinity. */
  readonly epsilon?: number;
  /** Most queries for each example; default 10,000. */
  readonly queries?: number;
  /** Random directions in one estimate of the gradient, >= 1; default 100. */
  readonly samples?: number;
  /** How far a direction of length 1 is moved to see whether the border comes nearer, > 0; default 0.03. */
  readonly smoothing?: number;
  /** Points in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * Sign-OPT: finds the direction in which the border is nearest, from labels only. It descends `g(u)`, the distance of the
 * border in direction `u`, whose gradient it estimates from one query a sample: the sign of `g(u + smoothing r) - g(u)`
 * for random `r` is whether the point at distance `g(u)` in the new direction reaches the goal.
 * `u <- u - step mean(sign r)`; the step doubles while the border comes nearer, and halves where it does not.
 *
 * For linf the direction lives in the box [-1, 1]^d and moves by the sign of the gradient.
 *
 * @param options - norm, budget, starts
 * @returns an attack on models that answer with a class; the smallest distance seen within `queries` queries, the search for
 *   a start included. Where no start is found, that example fails
 * @throws RangeError or TypeError when an option is out of range, or `starts` do not fit the model
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { signOpt } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const attack = signOpt({ queries: 2000 });
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { distance } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]! >= 0.6145 && distance.data[0]! < 0.625); // => true
 * ```
 *
 * Source: M. Cheng et al., "Sign-OPT: A Query-Efficient Hard-label Adversarial Attack", 2020,
 * https://arxiv.org/abs/1909.10773, algorithm 1. Differences from the paper: the mean of the signs is subtracted from them;
 * the estimate is scaled to length 1 before the step; the start is the best of up to 200 noise images of three kinds
 * instead of 100 directions; the linf
 * variant, which the paper does not spell out, is projected descent by signs.
 */
export function signOpt(options: SignOptOptions = {}): Attack<Labeler> {
  const { norm = "l2", epsilon, queries = 10_000, samples = 100, smoothing = 0.03, batchSize = 128 } = options;
  if (norm !== "l2" && norm !== "linf") throw new TypeError(expected("norm", '"l2" or "linf"', norm));
  checkBudget({ epsilon, queries, batchSize, startDraws: options.startDraws });
  checkNumber("samples", samples, { min: 1, integer: true });
  checkNumber("smoothing", smoothing, { above: 0 });
  const tolerance = Math.min(0.001, smoothing / 10);

  return async (model, input, goal, context) => {
    const run = openRun("signOpt", model, input, goal, context);
    checkStarts(run, options.starts);
    const nearest = new Nearest(run, norm, epsilon);
    const { width } = run;

    function* script(row: number): Script {
      const start = yield* borderStart(run, row, norm, { ...options, first: 200 });
      if (start === undefined) return;
      const example = exampleOf(run, row);
      const rng = run.rng(row, "directions");
      const noise = new Float32Array(width);
      // A step in the box moves all features: the same length is more by the square root of their number.
      const radius = norm === "l2" ? smoothing : smoothing * Math.sqrt(freeCount(run, row));

      /** Length 1 in the norm, for linf by cutting off what is longer. */
      const scaled = (direction: Float32Array): Float32Array => {
        if (norm === "l2") return toUnit(run, row, direction);
        let most = 0;
        for (let j = 0; j < width; j++) {
          direction[j] = Math.max(-1, Math.min(1, direction[j]!));
          most = Math.max(most, Math.abs(direction[j]!));
        }
        for (let j = 0; j < width && most > 0; j++) direction[j]! /= most;
        return direction;
      };
      const at = (direction: Float32Array, length: number): Float32Array =>
        confine(
          run,
          row,
          example.map((value, j) => value + length * direction[j]!),
        );
      /** The distance of the border in a direction in which `length` reaches the goal. */
      function* border(direction: Float32Array, length: number): Script<number> {
        let outside = length;
        let inside = 0.9 * length;
        while (inside > 1e-6 * length && (yield at(direction, inside)).reached[0] === 1) {
          outside = inside;
          inside *= 0.9;
        }
        while (outside - inside > tolerance * outside) {
          const middle = (inside + outside) / 2;
          if ((yield at(direction, middle)).reached[0] === 1) outside = middle;
          else inside = middle;
        }
        return outside;
      }

      let length = gapOf(run, row, start, norm);
      let direction = scaled(start.map((value, j) => value - example[j]!));
      length = yield* border(direction, length);
      let step = 0.2;
      while (step > 1e-6) {
        const count = Math.min(samples, queries - run.queries[row]! - 12);
        if (count < 2) return;
        const directions = new Float32Array(count * width);
        const points = new Float32Array(count * width);
        for (let i = 0; i < count; i++) {
          fillNormal(rng, noise);
          toUnit(run, row, noise);
          const moved = directions.subarray(i * width, (i + 1) * width);
          for (let j = 0; j < width; j++) moved[j] = direction[j]! + radius * noise[j]!;
          if (norm === "l2") toUnit(run, row, moved);
          else for (let j = 0; j < width; j++) moved[j] = Math.max(-1, Math.min(1, moved[j]!));
          points.set(at(moved, length), i * width);
        }
        const { reached } = yield points;
        let sum = 0;
        for (let i = 0; i < count; i++) sum += reached[i]!;
        const descent = new Float32Array(width);
        for (let i = 0; i < count; i++) {
          const weight = sum === count || sum === 0 ? 2 * reached[i]! - 1 : 2 * (reached[i]! - sum / count);
          for (let j = 0; j < width; j++) descent[j]! += weight * (directions[i * width + j]! - direction[j]!);
        }
        toUnit(run, row, descent);
        if (norm === "linf") for (let j = 0; j < width; j++) descent[j] = Math.sign(descent[j]!);

        let found: Float32Array | undefined;
        for (let growing = true; ; ) {
          const candidate = scaled(direction.map((value, j) => value + step * descent[j]!));
          const better: boolean = (yield at(candidate, length * (1 - tolerance))).reached[0] === 1;
          if (better) {
            found = candidate;
            length = yield* border(candidate, length * (1 - tolerance));
            if (!growing) break;
            step *= 2;
          } else if (found !== undefined) break;
          else {
            growing = false;
            step /= 2;
            if (step < 1e-4) break;
          }
        }
        if (found !== undefined) direction = found;
        else step = 0.05;
      }
    }
    await interview(run, { queries, batchSize, nearest, script });
    return nearest.result();
  };
}
