import { type CallOptions, type Classifier, checkNumber, type NdArray } from "@parapet/core";
import { clear, type TrustCheck } from "./check.ts";

/**
 * Are the answers random? The model is asked `runs` times with the same keys, and `runs` times with others. An attack
 * that sees another model at every step follows noise, and one lucky draw is no robustness.
 *
 * @param options - `runs`, default 5; `tolerance`: largest difference of two answers that is rounding, as a share of
 *   the largest logit; default 1e-4
 * @returns the check
 *
 * @example
 * ```ts
 * import { randomness } from "@parapet/attacks";
 * console.log(randomness().name); // => randomness
 * ```
 *
 * Source: F. Croce and M. Hein's AutoAttack, its check for randomised defences (5 runs, 1e-4), as described in its
 * flags document, https://github.com/fra31/auto-attack. Differences: keys are varied besides, and answers without
 * logits compared.
 */
export function randomness(options: { readonly runs?: number; readonly tolerance?: number } = {}): TrustCheck {
  const runs = checkNumber("runs", options.runs ?? 5, { min: 2, integer: true });
  const tolerance = checkNumber("tolerance", options.tolerance ?? 1e-4, { min: 0 });
  return {
    name: "randomness",
    async run({ model, x, keys, signal }) {
      const ask = async (own: Uint32Array): Promise<NdArray | NdArray<"int32">> => {
        const call: CallOptions = signal === undefined ? { keys: own } : { keys: own, signal };
        return "logits" in model ? (model as Classifier).logits(x, call) : model.labels(x, call);
      };
      const first = await ask(keys);
      let scale = Number.MIN_VALUE;
      for (const z of first.data) scale = Math.max(scale, Math.abs(z));
      let repeated = 0;
      let redrawn = 0;
      let flips = 0;
      const k = first.data.length / keys.length;
      const best = (data: ArrayLike<number>, row: number) => {
        let at = 0;
        for (let j = 1; j < k; j++) if (data[row * k + j]! > data[row * k + at]!) at = j;
        return k === 1 ? data[row]! : at;
      };
      for (let run = 1; run < runs; run++) {
        const same = await ask(keys);
        const other = await ask(keys.map((key) => (key ^ Math.imul(run, 0x85ebca6b)) >>> 0));
        for (let i = 0; i < first.data.length; i++) {
          repeated = Math.max(repeated, Math.abs(same.data[i]! - first.data[i]!) / scale);
          redrawn = Math.max(redrawn, Math.abs(other.data[i]! - first.data[i]!) / scale);
        }
        for (let row = 0; row < keys.length; row++) flips += Number(best(other.data, row) !== best(first.data, row));
      }
      const evidence = {
        runs,
        differenceWithSameKeys: repeated,
        differenceWithOtherKeys: redrawn,
        classesChanged: flips,
        tolerance,
      };
      if (!(Math.max(repeated, redrawn) > tolerance)) return clear("The same question gets the same answer.", evidence);
      return {
        flag: true,
        says: `The same question gets other answers: logits differ by ${Math.max(repeated, redrawn).toPrecision(2)} of the largest.`,
        evidence,
        advice: "Attack the average: run the attacks on eot(model), and judge with many draws.",
        adaptive: ["eot"],
      };
    },
  };
}
