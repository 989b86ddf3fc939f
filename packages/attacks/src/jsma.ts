import { type Attack, checkNumber, expected, linear, takeRows } from "@parapet/core";
import { apart, holdMasked, minimumNorm, pointsOf, type Search } from "./shared/minimum-norm.ts";
import { range } from "./shared/run.ts";

/** Options of `jsma`. */
export interface JsmaOptions {
  /**
   * How features are chosen. "target" (default): by how much the target's logit would rise above the others', if the model
   * were linear and the feature went as far as it may. "jacobian": the paper's map.
   */
  readonly saliency?: "target" | "jacobian";
  /** How many features change in one step; default 1. With 2, the Jacobian's map compares every pair of features. */
  readonly features?: 1 | 2;
  /** Which way features may go; default "both". The paper's digits only "increase". */
  readonly direction?: "increase" | "decrease" | "both";
  /** By how much a feature changes in one step, in units of the inputs; default Infinity: to its bound. */
  readonly stepSize?: number;
  /** Steps at most; default as many as there are features. */
  readonly steps?: number;
  /** How many features may change in all; default Infinity. */
  readonly epsilon?: number;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * The Jacobian saliency-map attack, in l0: step by step the feature (or pair) that leads most to the target goes to its
 * bound. The paper's map takes features with `a_j = dz_t / dx_j > 0` and `b_j = sum_{k != t} dz_k / dx_j < 0` by `a_j |b_j|`,
 * for a pair by the sums of both; signs are turned for features that go down. Where no feature has both, it is `a_j` alone.
 * By default it is the slope of `z_t` minus the mean of the others (untargeted: minus the label's logit), times the room
 * that the feature has.
 *
 * The target of an untargeted attack is the likeliest other class at each step.
 *
 * @param options - how features are chosen, how many change
 * @returns an attack on models with gradients; for each step one gradient (two for the Jacobian's map) and one more
 *   query than gradients an example
 * @throws RangeError or TypeError when an option is out of range; the attack rejects where `stepSize` and bounds are infinite
 *
 * @example
 * ```ts
 * import { createRng, ndArray, targeted } from "@parapet/core";
 * import { jsma } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { distance } = await jsma()(affineModel(researchWeights), x, targeted([1]), { rng: createRng(0) });
 * console.log(distance.data[0]); // => 2
 * ```
 *
 * Source: N. Papernot et al., "The Limitations of Deep Learning in Adversarial Settings", 2016,
 * https://arxiv.org/abs/1511.07528, equations 8 and 9 and algorithm 3. Differences from the paper: logits; the
 * default saliency, which needs fewer features (the paper's is an option);
 * features may go down as well; untargeted attacks; an end by `epsilon` in place of a share of the features.
 */
export function jsma(options: JsmaOptions = {}): Attack {
  const { saliency = "target", features = 1, direction = "both", stepSize = Number.POSITIVE_INFINITY, steps } = options;
  const { epsilon = Number.POSITIVE_INFINITY, batchSize = 128 } = options;
  if (features !== 1 && features !== 2) throw new RangeError(expected("features", "1 or 2", features));
  if (saliency !== "target" && saliency !== "jacobian") {
    throw new TypeError(expected("saliency", '"target" or "jacobian"', saliency));
  }
  if (direction !== "increase" && direction !== "decrease" && direction !== "both") {
    throw new TypeError(expected("direction", '"increase", "decrease" or "both"', direction));
  }
  if (stepSize !== Number.POSITIVE_INFINITY) checkNumber("stepSize", stepSize, { above: 0 });
  if (steps !== undefined) checkNumber("steps", steps, { min: 1, integer: true });

  return minimumNorm({ name: "jsma", norm: "l0", epsilon, batchSize }, async (search) => {
    const { run, rows, best, pace, progress } = search;
    const { width, lower, upper, x, goal } = run;
    if (stepSize === Number.POSITIVE_INFINITY && ![...lower, ...upper].every(Number.isFinite)) {
      throw new RangeError(expected("stepSize", "a finite number for features without bounds", stepSize));
    }
    const limit = steps ?? width;
    const ways = new Int8Array(width); // 1 up, -1 down, 0 where a feature cannot move
    const rise = new Float64Array(width);
    const fall = new Float64Array(width);
    let active = rows;
    let points = takeRows(x, rows).data;
    let logits = search.logits.data;
    for (let step = 0; step < limit && active.length > 0; step++) {
      await pace();
      const n = active.length;
      const { own, others } = await slopes(search, active, points, logits, saliency === "jacobian");
      const stuck = new Uint8Array(n);
      active.forEach((row, i) => {
        const at = i * width;
        ways.fill(0);
        for (let j = 0; j < width; j++) {
          const way = direction === "both" ? Math.sign(own[at + j]!) : direction === "increase" ? 1 : -1;
          const room = way > 0 ? upper[j]! - points[at + j]! : points[at + j]! - lower[j]!;
          if (!(room > 0) || (run.masked && !run.free(row * width + j))) continue;
          ways[j] = way;
          rise[j] = way * own[at + j]! * (others ? 1 : Math.min(room, stepSize, 1e30));
          if (others) fall[j] = -way * others[at + j]!;
        }
        const chosen = (others && salient(ways, rise, fall, features)) ?? steepest(ways, rise, features);
        stuck[i] = Number(chosen.length === 0);
        for (const j of chosen) {
          points[at + j] = Math.max(lower[j]!, Math.min(upper[j]!, points[at + j]! + ways[j]! * stepSize));
        }
      });
      const answer = await run.logits(pointsOf(run, active, points), active);
      const reached = goal.take(active).isReached(answer).data;
      const left = range(0, n).filter((i) => {
        const row = active[i]!;
        if (reached[i] === 1) best.offer(row, points, i);
        const changed = apart(points, i * width, x.data, row * width, width, "l0");
        return reached[i] === 0 && stuck[i] === 0 && changed < epsilon;
      });
      logits = takeRows(answer, left).data;
      points = takeRows(pointsOf(run, active, points), left).data;
      active = left.map((i) => active[i]!);
      progress((step + 1) / limit);
    }
  });
}

/** The gradient that leads to the target of each example; for the Jacobian's map also that of the sum of all others. */
async function slopes(
  { run }: Search,
  active: Int32Array,
  points: Float32Array,
  logits: Float32Array,
  both: boolean,
): Promise<{ readonly own: Float32Array; readonly others: Float32Array | undefined }> {
  const { goal } = run;
  const k = run.model.numClasses;
  const n = active.length;
  const copies = both ? 2 : 1;
  const rows = Int32Array.from({ length: copies * n }, (_, i) => active[i % n]!);
  const repeated = new Float32Array(copies * points.length);
  const cotangent = new Float32Array(copies * n * k);
  for (let copy = 0; copy < copies; copy++) {
    repeated.set(points, copy * points.length);
    active.forEach((row, i) => {
      const label = goal.classes[row]!;
      const target = goal.kind === "targeted" ? label : bestOther(logits, i * k, k, label);
      const at = (copy * n + i) * k;
      // Without the Jacobian's map the target stands against the label, or against the mean of all others.
      const alone = !both && goal.kind === "untargeted";
      cotangent.fill(both ? copy : alone ? 0 : -1 / (k - 1), at, at + k);
      if (alone) cotangent[at + label] = -1;
      cotangent[at + target] = 1 - copy;
    });
  }
  const loss = linear({ dtype: "float32", shape: [copies * n, k], data: cotangent });
  const { gradient } = await run.gradient(pointsOf(run, rows, repeated), rows, loss);
  holdMasked(run, rows, gradient.data);
  return {
    own: gradient.data.subarray(0, points.length),
    others: both ? gradient.data.subarray(points.length) : undefined,
  };
}

/** The class with the largest logit but for `label`. */
function bestOther(z: Float32Array, from: number, k: number, label: number): number {
  let best = label === 0 ? 1 : 0;
  for (let c = 0; c < k; c++) if (c !== label && z[from + c]! > z[from + best]!) best = c;
  return best;
}

/** The features that raise the target's logit most; fewer, or none, where no others raise it. */
function steepest(ways: Int8Array, rise: Float64Array, count: 1 | 2): number[] {
  let [first, second] = [-1, -1];
  for (let j = 0; j < ways.length; j++) {
    if (ways[j] === 0 || !(rise[j]! > 0)) continue;
    if (first < 0 || rise[j]! > rise[first]!) [first, second] = [j, first];
    else if (second < 0 || rise[j]! > rise[second]!) second = j;
  }
  return [first, second].slice(0, count).filter((j) => j >= 0);
}

/** The feature, or pair, that raises the target's logit and lowers the others', by the product; undefined if none does. */
function salient(ways: Int8Array, rise: Float64Array, fall: Float64Array, count: 1 | 2): number[] | undefined {
  let most = 0;
  let best: number[] | undefined;
  for (let p = 0; p < ways.length; p++) {
    if (ways[p] === 0) continue;
    if (count === 1) {
      if (rise[p]! > 0 && rise[p]! * fall[p]! > most) [best, most] = [[p], rise[p]! * fall[p]!];
      continue;
    }
    for (let q = 0; q < p; q++) {
      const [up, down] = [rise[p]! + rise[q]!, fall[p]! + fall[q]!];
      if (ways[q] !== 0 && up > 0 && up * down > most) [best, most] = [[q, p], up * down];
    }
  }
  return best;
}
