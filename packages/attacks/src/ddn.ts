import { type Attack, checkNumber, takeRows } from "@parapet/core";
import { apart, dualLength, minimumNorm, slopeAt } from "./shared/minimum-norm.ts";

/** Options of `ddn`. */
export interface DdnOptions {
  /** Number of steps, default 100. */
  readonly steps?: number;
  /** Length of the first step, in units of the inputs; default 1. It falls along a cosine to a hundredth. */
  readonly stepSize?: number;
  /** Radius of the first sphere, in the same units; default 1. */
  readonly radius?: number;
  /** By what share the sphere grows or shrinks in the first step, in (0, 1); default 0.05. In the last a tenth of it. */
  readonly gamma?: number;
  /** What lies farther away, in l2, does not count; default Infinity. */
  readonly epsilon?: number;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * Decoupling direction and norm, in l2: a step along the gradient gives the direction, and the length is set apart from
 * it, to a radius that shrinks where the goal is reached and grows where it is not:
 * `d <- d + stepSize g / ||g||`, `radius <- radius (1 -+ gamma)`, `d <- radius d / ||d||`.
 *
 * @param options - steps, first radius
 * @returns an attack on models with gradients; `steps` gradients and at most `steps + 5` queries an example
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { ddn } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const attack = ddn({ steps: 300 });
 * const { distance } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]! > 0.6145 && distance.data[0]! < 0.62); // => true
 * ```
 *
 * Source: J. Rony et al., "Decoupling Direction and Norm for Efficient Gradient-Based L2 Adversarial Attacks and
 * Defenses", 2019, https://arxiv.org/abs/1811.09600, algorithm 1. Differences from the paper: the margin of the logits in
 * place of cross-entropy, whose gradient vanishes where the softmax saturates; in the second half of the steps `gamma` falls to
 * a tenth, which ends nearer to the border; grey levels are not rounded.
 */
export function ddn(options: DdnOptions = {}): Attack {
  const { steps = 100, stepSize = 1, radius: first = 1, gamma = 0.05 } = options;
  const { epsilon = Number.POSITIVE_INFINITY, batchSize = 128 } = options;
  checkNumber("steps", steps, { min: 1, integer: true });
  checkNumber("stepSize", stepSize, { above: 0 });
  checkNumber("radius", first, { above: 0 });
  checkNumber("gamma", gamma, { above: 0, below: 1 });

  return minimumNorm({ name: "ddn", norm: "l2", epsilon, batchSize }, async ({ run, rows, best, pace, progress }) => {
    const { width, x, lower, upper } = run;
    const current = takeRows(x, rows).data;
    const radius = new Float64Array(rows.length).fill(first);
    for (let step = 0; step < steps; step++) {
      await pace();
      const { reached, gradient } = await slopeAt(run, current, rows);
      const cosine = (1 + Math.cos((Math.PI * step) / steps)) / 2;
      const length = stepSize * (0.01 + 0.99 * cosine);
      const share = gamma * Math.min(1, 1.9 - (1.8 * step) / steps);
      rows.forEach((row, i) => {
        const at = i * width;
        const from = row * width;
        if (reached[i] === 1) best.offer(row, current, i);
        radius[i]! *= reached[i] === 1 ? 1 - share : 1 + share;
        const scale = length / dualLength(gradient, at, width, "l2");
        if (!Number.isFinite(scale)) return;
        for (let j = 0; j < width; j++) gradient[at + j] = current[at + j]! + scale * gradient[at + j]!;
        const shrink = radius[i]! / apart(gradient, at, x.data, from, width, "l2");
        for (let j = 0; j < width; j++) {
          const origin = x.data[from + j]!;
          const point = origin + shrink * (gradient[at + j]! - origin);
          current[at + j] = Math.max(lower[j]!, Math.min(upper[j]!, point));
        }
      });
      progress((step + 1) / steps);
    }
  });
}
