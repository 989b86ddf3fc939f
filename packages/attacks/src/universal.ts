import {
  type AttackContext,
  type AttackResult,
  boundsOf,
  checkInput,
  checkNorm,
  checkNumber,
  createPacer,
  type DifferentiableClassifier,
  dualStep,
  expected,
  type Goal,
  type Labeler,
  type NdArray,
  type Norm,
  projectOntoBall,
  sizeOf,
} from "@parapet/core";
import { openRun } from "./shared/run.ts";
import { firstStep, judge, minibatches } from "./shared/shared-perturbation.ts";

/** Options of `universal`. */
export interface UniversalOptions {
  /** Radius of the ball that holds the perturbation, in the units of the model's inputs; >= 0. */
  readonly epsilon: number;
  /** Default "linf". */
  readonly norm?: Norm;
  /** Number of steps, each on one minibatch; default 40. */
  readonly steps?: number;
  /** Length of the first step, in the units of epsilon; the others shrink evenly to 0. Default `5 epsilon / (steps + 1)`. */
  readonly stepSize?: number;
  /** Examples that decide a step, drawn without repeats until all had their turn; default 128. It matters to the result. */
  readonly minibatch?: number;
  /** An example whose loss is higher than this has no say, so that no one outvotes the rest; default 9. */
  readonly lossLimit?: number;
  /** Examples in one call of the last look; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/** What `universal` gives: the result for the examples that it was fitted to, and what it fitted. */
export interface UniversalResult extends AttackResult {
  /** The perturbation, in the shape of one example; for other examples see `applyUniversal`. */
  readonly perturbation: NdArray;
}

/**
 * Fits one perturbation to all examples: steepest ascent of the sum of the goal's losses, each cut off at a limit,
 * `v <- project(v + step * argmax{<sum_i gradient_i, d> : ||d|| <= 1})`, with examples at `clip(x_i + v)`.
 *
 * By its nature an example's result depends on the others it was fitted with (but not on their order); seed and
 * minibatches matter where there are more examples than one minibatch takes. `success` tells whether the example with the
 * perturbation reaches the goal; where it does not but the example alone does, the example is the result. A feature that
 * stands at its bound has no say in moving it farther out.
 *
 * @param options - ball, steps
 * @returns an attack on models with gradients whose result also holds the perturbation; `steps * minibatch` gradients in
 *   all, and 1 or 2 queries more an example
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { applyUniversal, universal } from "@parapet/attacks";
 * import { affineModel } from "@parapet/testing";
 * const model = affineModel({ weights: [[0, 0], [1, -1]], bias: [0.1, 0] });
 * const x = ndArray([0.5, 0.5, 0.25, 0.25], [2, 2]);
 * const goal = untargeted([0, 0]);
 * const { perturbation, success } = await universal({ epsilon: 0.125 })(model, x, goal, { rng: createRng(0) });
 * console.log(perturbation.data.join(" "), success.data.join(" ")); // => 0.125 -0.125 1 1
 * const other = applyUniversal(model, ndArray([0.75, 1], [1, 2]), perturbation);
 * console.log(other.data.join(" ")); // => 0.875 0.875
 * ```
 *
 * Source: A. Shafahi et al., "Universal Adversarial Training", 2020, https://arxiv.org/abs/1811.11304, algorithm 2 and
 * equation 3; the problem is from S. Moosavi-Dezfooli et al., "Universal Adversarial Perturbations", 2017,
 * https://arxiv.org/abs/1610.08401, whose search by DeepFool finds weaker ones. Differences from the paper: steps shrink;
 * l1 and l2 besides linf; examples above the limit are left out of a step, which is the derivative of the cut-off.
 */
export function universal(
  options: UniversalOptions,
): (model: DifferentiableClassifier, x: NdArray, goal: Goal, context: AttackContext) => Promise<UniversalResult> {
  const { epsilon, norm = "linf", steps = 40, minibatch = 128, lossLimit = 9, batchSize = 128 } = options;
  checkNorm(norm);
  checkNumber("epsilon", epsilon, { min: 0 });
  checkNumber("steps", steps, { min: 1, integer: true });
  const { stepSize = firstStep(epsilon, steps) } = options;
  checkNumber("stepSize", stepSize, { min: 0 });
  checkNumber("minibatch", minibatch, { min: 1, integer: true });
  checkNumber("lossLimit", lossLimit);
  checkNumber("batchSize", batchSize, { min: 1, integer: true });

  return async (model, input, goal, context) => {
    const run = openRun("universal", model, input, goal, context);
    const { x, n, width, lower, upper } = run;
    const shape = [1, ...model.inputShape];
    const pace = createPacer(run.signal);
    const total = steps + n;
    let perturbation: NdArray = { dtype: "float32", shape, data: new Float32Array(width) };

    const moved = (rows: Int32Array): NdArray => {
      const data = new Float32Array(rows.length * width);
      rows.forEach((row, i) => {
        for (let j = 0; j < width; j++) data[i * width + j] = x.data[row * width + j]! + perturbation.data[j]!;
      });
      return run.allow(data, rows);
    };

    const batches = minibatches(run, minibatch);
    for (let step = 0; step < steps; step++) {
      await pace();
      const rows = batches.next().value;
      const points = moved(rows);
      const { value, gradient } = await run.gradient(points, rows, goal.take(rows).loss, step + 1);
      const sum = new Float64Array(width);
      rows.forEach((row, i) => {
        if (!(value.data[i]! <= lossLimit)) return;
        for (let j = 0; j < width; j++) {
          const g = gradient.data[i * width + j]!;
          const at = points.data[i * width + j]!;
          const stuck = g > 0 ? at >= upper[j]! : at <= lower[j]!;
          if (!stuck && Number.isFinite(g) && run.free(row * width + j)) sum[j]! += g;
        }
      });
      const direction = dualStep({ dtype: "float32", shape, data: Float32Array.from(sum) }, norm).data;
      const length = stepSize * (1 - step / steps);
      const data = perturbation.data.map((v, j) => v + length * direction[j]!);
      perturbation = projectOntoBall({ dtype: "float32", shape, data }, norm, epsilon);
      run.progress(step + 1, total);
    }
    const result = await judge(run, goal, moved, norm, batchSize, (done) => run.progress(steps + done, total));
    return { ...result, perturbation: { ...perturbation, shape: [...model.inputShape] } };
  };
}

/**
 * Adds one perturbation to every example, inside the model's bounds.
 *
 * @param model - whose inputs they are
 * @param x - shape `[n, ...inputShape]`
 * @param perturbation - shape `inputShape`
 * @returns `clip(x + perturbation)`, in the shape of x
 * @throws TypeError or RangeError when x is no input of the model's, or the perturbation has another shape
 *
 * @example
 * ```ts
 * import { ndArray } from "@parapet/core";
 * import { applyUniversal } from "@parapet/attacks";
 * const model = { inputShape: [2], bounds: { lower: 0, upper: 1 } };
 * console.log(applyUniversal(model, ndArray([0.5, 0.75], [1, 2]), ndArray([0.5, 0.5])).data.join(" ")); // => 1 1
 * ```
 */
export function applyUniversal(
  model: Pick<Labeler, "inputShape" | "bounds">,
  x: NdArray,
  perturbation: NdArray,
): NdArray {
  const points = checkInput(model, x);
  const width = sizeOf(model.inputShape);
  if (perturbation.shape.join() !== model.inputShape.join()) {
    throw new TypeError(expected("perturbation", `shape [${model.inputShape.join(", ")}]`, perturbation.shape));
  }
  const { lower, upper } = boundsOf(model.bounds, width);
  const data = points.data.map((value, at) => {
    const j = at % width;
    return Math.max(lower[j]!, Math.min(upper[j]!, value + perturbation.data[j]!));
  });
  return { dtype: "float32", shape: [...points.shape], data };
}
