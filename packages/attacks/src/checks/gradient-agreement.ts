import { boundsOf, checkNumber, distance, linear, median, type NdArray, ndArray } from "@parapet/core";
import { clear, notRun, type TrustCheck, whiteBox } from "./check.ts";

/**
 * Do the gradients tell where the answers go? Differences of the logits along random directions are held against what
 * the gradient foretells, at three scales up to half the radius. Rounding, JPEG and the like answer in steps: the
 * differences of a staircase and its gradient have nothing to do with each other at any scale.
 *
 * For each example the correlation over the directions `u` of `(f(x + h u) - f(x - h u)) / 2 h` and `<gradient, u>`,
 * `f` the gap of the label's logit and the next one; the median over the examples, and the largest over the scales `h`.
 * Zero where one of the two does not move at all.
 *
 * @param options - `directions`, default 16; `tolerance`: the least correlation of gradients that can be used, default
 *   0.5
 * @returns the check
 *
 * @example
 * ```ts
 * import { gradientAgreement } from "@parapet/attacks";
 * console.log(gradientAgreement().name); // => gradients against differences
 * ```
 *
 * Source: A. Athalye, N. Carlini and D. Wagner, "Obfuscated Gradients Give a False Sense of Security", 2018,
 * https://arxiv.org/abs/1802.00420, section 3 (shattered gradients); N. Carlini et al., "On Evaluating Adversarial
 * Robustness", 2019, https://arxiv.org/abs/1902.06705, section 4. Differences: the papers give no measure; this is
 * ours.
 */
export function gradientAgreement(
  options: { readonly directions?: number; readonly tolerance?: number } = {},
): TrustCheck {
  const directions = checkNumber("directions", options.directions ?? 16, { min: 4, integer: true });
  const tolerance = checkNumber("tolerance", options.tolerance ?? 0.5, { min: 0, max: 1 });
  return {
    name: "gradients against differences",
    async run({ model, x, labels, keys, norm, epsilon, rng, signal }) {
      const white = whiteBox(model);
      if (white === undefined) return notRun("The model has no gradients.");
      const call = signal === undefined ? { keys } : { keys, signal };
      const n = labels.length;
      const width = x.data.length / n;
      const { lower, upper } = boundsOf(model.bounds, width);
      // The gap of two fixed logits: a margin that changes its other class would have kinks of its own.
      const logits = await white.logits(x, call);
      const k = logits.shape[1]!;
      const gap = new Float32Array(n * k);
      for (let i = 0; i < n; i++) {
        let other = labels[i] === 0 ? 1 : 0;
        for (let j = 0; j < k; j++) {
          if (j !== labels[i] && logits.data[i * k + j]! > logits.data[i * k + other]!) other = j;
        }
        gap[i * k + other] = 1;
        gap[i * k + labels[i]!] = -1;
      }
      const loss = linear(ndArray(gap, [n, k]));
      const { gradient } = await white.gradient(x, loss, call);

      const scales = [0.01, 0.1, 0.5];
      const found = scales.map(() =>
        Array.from({ length: n }, () => ({ foretold: [] as number[], seen: [] as number[] })),
      );
      for (let d = 0; d < directions; d++) {
        const signs = Float32Array.from({ length: n * width }, () => 0);
        for (let i = 0; i < n; i++) {
          const own = rng.derive(keys[i]!).derive(d);
          for (let j = 0; j < width; j++) signs[i * width + j] = own.next() < 0.5 ? -1 : 1;
        }
        const unit =
          norm === "l0"
            ? 1
            : distance(
                ndArray(signs.subarray(0, width), [1, width]),
                ndArray(new Float32Array(width), [1, width]),
                norm,
              ).data[0]!;
        for (let s = 0; s < scales.length; s++) {
          const h = (scales[s]! * (norm === "l0" ? 1 : epsilon)) / unit;
          // Inside the bounds; what the clipping leaves of the two steps is what the gradient is asked about.
          const moved = (sign: number): NdArray => ({
            ...x,
            data: x.data.map((value, at) => {
              const j = at % width;
              return Math.max(lower[j]!, Math.min(upper[j]!, value + sign * h * signs[at]!));
            }),
          });
          const [ahead, behind] = [moved(1), moved(-1)];
          const up = loss.value(await white.logits(ahead, call)).data;
          const down = loss.value(await white.logits(behind, call)).data;
          for (let i = 0; i < n; i++) {
            let foretold = 0;
            for (let at = i * width; at < (i + 1) * width; at++) {
              foretold += gradient.data[at]! * (ahead.data[at]! - behind.data[at]!);
            }
            found[s]![i]!.foretold.push(foretold);
            found[s]![i]!.seen.push(up[i]! - down[i]!);
          }
        }
      }
      const correlations = found.map((rows) => median(rows.map(({ foretold, seen }) => correlation(foretold, seen))));
      const still = found.map((rows) => rows.filter(({ seen }) => seen.every((value) => value === 0)).length);
      const best = Math.max(...correlations);
      const evidence = {
        scales,
        correlations,
        examplesWhoseAnswersStandStill: still,
        examples: n,
        directions,
        tolerance,
      };
      if (best >= tolerance) return clear("Gradients foretell how the answers change.", evidence);
      return {
        flag: true,
        says: `Gradients do not foretell how the answers change: correlation ${best.toFixed(2)} at best.`,
        evidence,
        advice:
          "The preprocessing has no useful derivative: put a differentiable stand-in behind it (bpda), or search without gradients (square).",
        adaptive: ["bpda", "square"],
      };
    },
  };
}

/** Pearson's, about zero: directions have no mean. 0 where one side does not move or is no number. */
function correlation(a: readonly number[], b: readonly number[]): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  const value = ab / Math.sqrt(aa * bb);
  return Number.isFinite(value) ? value : 0;
}
