import { type Attack, type BallNorm, checkNumber, projectOntoBall, takeRows } from "@parapet/core";
import { apart, dualLength, minimumNorm, pointsOf, slopeAt } from "./shared/minimum-norm.ts";

/** Options of `fmn`. */
export interface FmnOptions {
  /** Default "l2"; "l0" counts the features that change. */
  readonly norm?: BallNorm;
  /** Number of steps, default 100. */
  readonly steps?: number;
  /** Euclidean length of the first step, in units of the inputs; default 1. The last is `minStepSize`. */
  readonly stepSize?: number;
  /** Length of the last step; default `stepSize / 100`. */
  readonly minStepSize?: number;
  /** By what share the ball grows or shrinks in the first step, in (0, 1); default 0.05. In the last it is 0.001. */
  readonly gamma?: number;
  /** What lies farther away does not count; default Infinity. */
  readonly epsilon?: number;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * The fast minimum-norm attack: a step along the margin's gradient, projected on a ball that shrinks where the goal is
 * reached and grows where it is not: `d <- project(d + stepSize g / ||g||_2, radius)`.
 *
 * Until a first success the radius is `||d|| + |margin| / ||g||_dual`, where the border would be if the model were linear.
 * The steps, and the shares by which the radius changes, follow a cosine down.
 *
 * @param options - norm, steps
 * @returns an attack on models with gradients; `steps` gradients and at most `steps + 5` queries an example
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { fmn } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const attack = fmn({ norm: "linf", steps: 200 });
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { distance } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]!.toFixed(2)); // => 0.37
 * ```
 *
 * Source: M. Pintor, F. Roli, W. Brendel and B. Biggio, "Fast Minimum-norm Adversarial Attacks through Adaptive Norm
 * Constraints", 2021, https://arxiv.org/abs/2102.12827, algorithm 1. Differences from the paper: before
 * the first success the radius never shrinks, as bounds can hold an example where the estimate stays too small; no start
 * from another attack.
 */
export function fmn(options: FmnOptions = {}): Attack {
  const { norm = "l2", steps = 100, stepSize = 1, gamma = 0.05 } = options;
  const { epsilon = Number.POSITIVE_INFINITY, batchSize = 128 } = options;
  checkNumber("steps", steps, { min: 1, integer: true });
  checkNumber("stepSize", stepSize, { above: 0 });
  const minStepSize = checkNumber("minStepSize", options.minStepSize ?? stepSize / 100, { min: 0 });
  checkNumber("gamma", gamma, { above: 0, below: 1 });

  return minimumNorm({ name: "fmn", norm, epsilon, batchSize }, async ({ run, rows, best, pace, progress }) => {
    const { width, x, lower, upper } = run;
    const current = takeRows(x, rows).data;
    const radius = new Float32Array(rows.length).fill(norm === "l0" ? 1 : 0);
    const farthest = Float64Array.from(rows, (row) => {
      const corner = new Float32Array(width);
      for (let j = 0; j < width; j++) {
        corner[j] = Math.max(x.data[row * width + j]! - lower[j]!, upper[j]! - x.data[row * width + j]!);
      }
      return norm === "l0" ? width : Math.min(3e38, apart(corner, 0, new Float32Array(width), 0, width, norm));
    });
    const found = new Uint8Array(rows.length);

    for (let step = 0; step < steps; step++) {
      await pace();
      const { reached, margin, gradient } = await slopeAt(run, current, rows);
      const cosine = (1 + Math.cos((Math.PI * step) / steps)) / 2;
      const length = minStepSize + (stepSize - minStepSize) * cosine;
      const share = 0.001 + (gamma - 0.001) * cosine;
      const change = new Float32Array(current.length);
      rows.forEach((row, i) => {
        const at = i * width;
        const from = row * width;
        if (reached[i] === 1) {
          found[i] = 1;
          best.offer(row, current, i);
        }
        radius[i] = Math.min(
          farthest[i]!,
          norm === "l0"
            ? wholeRadius(radius[i]!, share, reached[i] === 1, best.distance[row]!)
            : reached[i] === 1
              ? Math.min(radius[i]! * (1 - share), best.distance[row]!)
              : found[i] === 1
                ? radius[i]! * (1 + share)
                : Math.max(
                    radius[i]! * (1 + share),
                    apart(current, at, x.data, from, width, norm) +
                      Math.abs(margin[i]!) / dualLength(gradient, at, width, norm) || 0,
                  ),
        );
        const scale = length / dualLength(gradient, at, width, "l2");
        const move = Number.isFinite(scale) ? scale : 0;
        for (let j = 0; j < width; j++)
          change[at + j] = current[at + j]! + move * gradient[at + j]! - x.data[from + j]!;
      });
      const moved = projectOntoBall(pointsOf(run, rows, change), norm, radius).data;
      rows.forEach((row, i) => {
        for (let j = 0; j < width; j++) {
          const point = x.data[row * width + j]! + moved[i * width + j]!;
          current[i * width + j] = Math.max(lower[j]!, Math.min(upper[j]!, point));
        }
      });
      progress((step + 1) / steps);
    }
  });
}

/** The l0 radius: whole, and changed by 1 at least. */
function wholeRadius(radius: number, share: number, reached: boolean, best: number): number {
  if (!reached) return Math.max(radius + 1, Math.floor(radius * (1 + share)));
  return Math.max(1, Math.min(radius - 1, Math.floor(radius * (1 - share)), best));
}
