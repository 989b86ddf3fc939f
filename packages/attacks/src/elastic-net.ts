import { type Attack, checkNumber, expected, takeRows } from "@parapet/core";
import { Constants, marginAt, minimumNorm, slopeAt } from "./shared/minimum-norm.ts";
import { range } from "./shared/run.ts";

/** Options of `elasticNet`. */
export interface ElasticNetOptions {
  /** In which norm the nearest point is chosen and measured; default "l1". */
  readonly norm?: "l1" | "l2";
  /** Steps for each constant; default 1000. */
  readonly steps?: number;
  /** Length of the first step, as a factor of the gradient; default 0.01. It falls with the square root to 0. */
  readonly stepSize?: number;
  /** By how much a step shrinks each feature's change, in units of the inputs: the weight of l1; >= 0, default 0.01. */
  readonly regularization?: number;
  /** How many constants are tried; default 9. */
  readonly searchSteps?: number;
  /** The first weight of the margin against the distance; default 0.001. */
  readonly initialConstant?: number;
  /** By how much the margin must be exceeded, in logits; >= 0, default 0. */
  readonly confidence?: number;
  /** Leave a constant, example by example, when a tenth of the steps has not lowered the loss. Default true. */
  readonly abortEarly?: boolean;
  /** What lies farther away does not count; default Infinity. */
  readonly epsilon?: number;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * The elastic-net attack: a sparse change, by accelerated shrinking and thresholding. For a constant c, found by ten times
 * more and then bisection for each example, it minimises
 * `c max(0, confidence - margin) + ||d||_2^2 + regularization ||d||_1`, with `margin` positive beyond the border:
 * `x <- clip(shrink(y - rate (the gradient of the smooth part)))`, `y <- x + k / (k + 3) (x - the last x)`.
 *
 * @param options - norm, steps, weight of l1
 * @returns an attack on models with gradients; at most `searchSteps * steps` gradients and twice as many queries an
 *   example, and five more queries
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { elasticNet } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const model = affineModel({ ...researchWeights, bounds: { lower: -1, upper: 2 } });
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const attack = elasticNet({ regularization: 0.05 });
 * const { distance } = await attack(model, x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]! >= 0.8 && distance.data[0]! < 0.808); // => true
 * ```
 *
 * Source: P.-Y. Chen et al., "EAD: Elastic-Net Attacks to Deep Neural Networks via Adversarial Examples", 2018,
 * https://arxiv.org/abs/1709.04114, algorithm 1 (FISTA). Differences from the paper: the nearest point is chosen in l1 or in
 * l2, not by the elastic-net sum, which is no norm; beyond the border only the l1 term pulls; y is clipped to the bounds;
 * the margin enters as in `carliniWagner`. In l1 the default `regularization` ends farther from the border than 0.05.
 */
export function elasticNet(options: ElasticNetOptions = {}): Attack {
  const { norm = "l1", steps = 1000, stepSize = 0.01, regularization = 0.01 } = options;
  const { searchSteps = 9, initialConstant = 0.001, confidence = 0, abortEarly = true } = options;
  const { epsilon = Number.POSITIVE_INFINITY, batchSize = 128 } = options;
  if (norm !== "l1" && norm !== "l2") throw new TypeError(expected("norm", '"l1" or "l2"', norm));
  checkNumber("steps", steps, { min: 1, integer: true });
  checkNumber("stepSize", stepSize, { above: 0 });
  checkNumber("regularization", regularization, { min: 0 });
  checkNumber("searchSteps", searchSteps, { min: 1, integer: true });
  checkNumber("initialConstant", initialConstant, { above: 0 });
  checkNumber("confidence", confidence, { min: 0 });

  return minimumNorm({ name: "elasticNet", norm, epsilon, batchSize }, async (search) => {
    const { run, rows, best, pace } = search;
    const { width, x, lower, upper } = run;
    const constants = new Constants(rows.length, initialConstant);
    const [start, n] = [takeRows(x, rows).data, rows.length];
    // `ahead`, where the gradient is taken, is compact: one row for each example that is left; `current` is not.
    const current = new Float32Array(n * width);
    const ahead = new Float32Array(n * width);
    const next = new Float32Array(n * width);

    for (let round = 0; round < searchSteps; round++) {
      current.set(start);
      ahead.set(start);
      const before = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
      const found = new Uint8Array(n);
      let active = range(0, n);
      for (let step = 0; step < steps && active.length > 0; step++) {
        await pace();
        const chosen = active.map((place) => rows[place]!);
        const { margin, gradient } = await slopeAt(run, ahead.subarray(0, active.length * width), chosen);
        const rate = stepSize * Math.sqrt(1 - step / steps);
        const look = abortEarly && step % Math.ceil(steps / 10) === 0;
        const stay = new Uint8Array(active.length).fill(1);
        active.forEach((place, i) => {
          const short = confidence - margin[i]!;
          const weight = short > 0 ? constants.value[place]! : 0;
          const pull = norm === "l1" && weight === 0 ? 0 : 2;
          let loss = weight * short;
          const from = rows[place]! * width;
          for (let j = 0; j < width; j++) {
            const at = i * width + j;
            const origin = x.data[from + j]!;
            const d = ahead[at]! - origin;
            loss += d * d + regularization * Math.abs(d);
            const z = d - rate * (pull * d - weight * gradient[at]!);
            const shrunk = z > regularization ? z - regularization : z < -regularization ? z + regularization : 0;
            next[at] = Math.max(lower[j]!, Math.min(upper[j]!, origin + shrunk));
          }
          if (look && found[place] === 0 && !(loss <= 0.9999 * before[place]!)) stay[i] = 0;
          if (look) before[place] = loss;
        });
        const points = next.subarray(0, active.length * width);
        const { reached, margin: beyond } = await marginAt(run, points, chosen);
        const momentum = step / (step + 3);
        let left = 0;
        active.forEach((place, i) => {
          const at = i * width;
          if (reached[i] === 1 && beyond[i]! >= confidence) {
            found[place] = 1;
            best.offer(rows[place]!, points, i);
          }
          if (stay[i] === 0) return;
          for (let j = 0; j < width; j++) {
            const point = points[at + j]!;
            const further = point + momentum * (point - current[place * width + j]!);
            current[place * width + j] = point;
            ahead[left * width + j] = Math.max(lower[j]!, Math.min(upper[j]!, further));
          }
          left++;
        });
        active = active.filter((_, i) => stay[i] === 1);
        search.progress((round + (step + 1) / steps) / searchSteps);
      }
      constants.update(found);
    }
  });
}
