import {
  type CallOptions,
  type Classifier,
  checkNumber,
  type DifferentiableClassifier,
  distance,
  type Labeler,
  margin,
  type NdArray,
  takeRows,
} from "@parapet/core";
import type { Json } from "../evaluation/evaluation.ts";
import { judge } from "../evaluation/judge.ts";
import { type CheckSubject, clear, type NamedAttack, type TrustCheck } from "./check.ts";

/** What was seen of one attack on one example. */
interface Path {
  /** A point inside the ball that got a wrong answer, the last one. */
  silent: NdArray | undefined;
  /** Margins at the points at which gradients were asked for, in their order. */
  readonly margins: number[];
  zeroGradients: number;
}

/**
 * Indicators of attack failure: each attack is watched on a few examples, one at a time, and three things are looked
 * for where it fails. Silent success: it passed a wrong answer inside the ball and gave back another point. Incomplete
 * optimisation: the margin still rose in the last quarter of the gradient steps by more than a quarter of all its rise.
 * No gradients: more than a tenth of the gradients on the way were exactly zero.
 *
 * @param options - `examples`, default 8; an attack is flagged where at least two of them, and a quarter, show one
 *   indicator
 * @returns the check
 *
 * @example
 * ```ts
 * import { attackFailure } from "@parapet/attacks";
 * console.log(attackFailure().name); // => indicators of attack failure
 * ```
 *
 * Source: M. Pintor et al., "Indicators of Attack Failure: Debugging and Improving Optimization of Adversarial
 * Examples", 2022, https://arxiv.org/abs/2106.09947, section 3. Differences: the papers's other indicators are checks
 * of their own (randomness, transfer, unbounded attack); incomplete optimisation by the rise of the last quarter, not
 * by a convex envelope.
 */
export function attackFailure(options: { readonly examples?: number } = {}): TrustCheck {
  const most = checkNumber("examples", options.examples ?? 8, { min: 1, integer: true });
  return {
    name: "indicators of attack failure",
    async run(subject) {
      const n = Math.min(most, subject.labels.length);
      const least = Math.max(2, n / 4);
      const evidence: Record<string, Json> = {};
      const bad: { name: string; what: string }[] = [];
      for (const attack of subject.attacks) {
        const counts = { examples: n, failed: 0, silentSuccess: 0, incomplete: 0, noGradients: 0 };
        for (let row = 0; row < n; row++) {
          const { path, broken } = await watch(subject, attack, row);
          if (broken) continue;
          counts.failed++;
          counts.silentSuccess += Number(path.silent !== undefined);
          counts.incomplete += Number(stillRises(path.margins));
          counts.noGradients += Number(path.zeroGradients > 0.1 * path.margins.length);
        }
        evidence[attack.name] = counts;
        if (counts.silentSuccess >= least) bad.push({ name: attack.name, what: "passes successes by" });
        if (counts.incomplete >= least) bad.push({ name: attack.name, what: "stops while it still gains" });
        if (counts.noGradients >= least) bad.push({ name: attack.name, what: "gets no gradients" });
      }
      if (bad.length === 0) return clear("No attack shows a sign of failure.", evidence);
      const blind = bad.some(({ what }) => what === "gets no gradients");
      return {
        flag: true,
        says: `${bad.map(({ name, what }) => `${name} ${what}`).join("; ")}.`,
        evidence,
        advice: blind
          ? "Climb the margin instead of cross-entropy; where it has no gradient either, use a stand-in (bpda) or search (square)."
          : "Make more steps, keep the best point of the path, and use more restarts.",
        adaptive: blind ? ["margin", "bpda", "square"] : ["stronger"],
      };
    },
  };
}

/** Whether more than a quarter of the rise fell into the last quarter. */
function stillRises(margins: readonly number[]): boolean {
  if (margins.length < 8) return false;
  const best = (to: number) =>
    margins.slice(0, to).reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const rise = best(margins.length) - margins[0]!;
  const late = best(margins.length) - best(Math.ceil(0.75 * margins.length));
  return late > 0.25 * rise && late > 1e-4 * Math.abs(margins[0]!);
}

/** Runs an attack on one example and looks over its shoulder. */
async function watch(
  subject: CheckSubject,
  { attack, goal, norm, reach }: NamedAttack,
  row: number,
): Promise<{ path: Path; broken: boolean }> {
  const { model, keys, mask, rng, signal } = subject;
  const x = takeRows(subject.x, [row]);
  const labels = subject.labels.slice(row, row + 1);
  const own = { keys: keys.slice(row, row + 1), ...(signal === undefined ? {} : { signal }) };
  const path: Path = { silent: undefined, margins: [], zeroGradients: 0 };
  const watched = overlooked(model, (points, answer, gradient) => {
    const m = points.shape[0]!;
    const far = distance(points, { ...points, data: repeated(x.data, m) }, norm).data;
    const truth = new Int32Array(m).fill(labels[0]!);
    const wrong =
      answer.dtype === "int32"
        ? Array.from(answer.data, (given) => given !== labels[0])
        : Array.from(margin(truth).value(answer).data, (value) => value > 0);
    for (let i = 0; i < m; i++) if (wrong[i] && far[i]! <= reach) path.silent = takeRows(points, [i]);
    if (gradient === undefined || answer.dtype === "int32") return;
    path.margins.push(...margin(truth).value(answer).data);
    const width = x.data.length;
    for (let i = 0; i < m; i++) {
      path.zeroGradients += Number(gradient.data.subarray(i * width, (i + 1) * width).every((value) => !value));
    }
  });
  const whole = mask !== undefined && mask.data.length === subject.x.data.length;
  const { adversarial } = await attack(
    watched as DifferentiableClassifier,
    x,
    goal(subject.labels).take(Int32Array.of(row)),
    {
      ...own,
      rng: rng.derive(row),
      ...(mask === undefined ? {} : { mask: whole ? takeRows({ ...mask, shape: subject.x.shape }, [row]) : mask }),
    },
  );
  const broken = (await judge(model, x, labels, adversarial, norm, own)).distance[0]! <= reach;
  // What a randomised model answered in passing was another draw: only what is wrong by the example's own key counts.
  if (!broken && path.silent !== undefined) {
    const again = await judge(model, x, labels, path.silent, norm, own);
    if (!(again.distance[0]! <= reach)) path.silent = undefined;
  }
  return { path, broken };
}

/** The model, with somebody who sees what it is asked and answers. */
function overlooked(
  model: Labeler,
  see: (points: NdArray, answer: NdArray | NdArray<"int32">, gradient?: NdArray) => void,
): Labeler {
  const { inputShape, numClasses, bounds } = model;
  const labeler: Labeler = {
    inputShape,
    numClasses,
    bounds,
    async labels(points, options) {
      const answer = await model.labels(points, options);
      see(points, answer);
      return answer;
    },
  };
  if (!("logits" in model)) return labeler;
  const classifier: Classifier = {
    ...labeler,
    async logits(points: NdArray, options?: CallOptions) {
      const answer = await (model as Classifier).logits(points, options);
      see(points, answer);
      return answer;
    },
  };
  if (!("gradient" in model)) return classifier;
  const white = model as DifferentiableClassifier;
  const differentiable: DifferentiableClassifier = {
    ...classifier,
    async gradient(points, loss, options) {
      const answer = await white.gradient(points, loss, options);
      see(points, answer.logits, answer.gradient);
      return answer;
    },
    async linearize(points, options) {
      const pass = await white.linearize(points, options);
      see(points, pass.logits);
      return pass;
    },
  };
  return differentiable;
}

function repeated(row: Float32Array, times: number): Float32Array {
  const rows = new Float32Array(row.length * times);
  for (let i = 0; i < times; i++) rows.set(row, i * row.length);
  return rows;
}
