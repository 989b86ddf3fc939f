import {
  boundsOf,
  type CallOptions,
  checkNumber,
  type DifferentiableClassifier,
  type Layered,
  type Loss,
  labelsOf,
  type NdArray,
  type Norm,
  projectOntoBall,
  sampleInBall,
  sizeOf,
  takeRows,
} from "@parapet/core";
import type { Json } from "../evaluation/evaluation.ts";
import { judge, reachOf } from "../evaluation/judge.ts";
import { freeFeatures } from "../shared/run.ts";
import { type CheckSubject, clear, notRun, probed, type TrustCheck } from "./check.ts";

/**
 * The active test: can the attacks find an adversarial example that is known to exist? Around each of a few examples
 * points are drawn in the ball, and the model's last layer is replaced by one unit that tells one on its surface from
 * those inside (and the example). That point is adversarial for the changed model, so an evaluation whose attacks do
 * not find one there proves nothing about the model as it was.
 *
 * The unit reads the values before the logits where the model shows its layers (`Layered`), and the logits else:
 * `z = [0, <w, f(x)> - t]`, `w` the unit vector from the mean of those inside to the planted point, `t` half-way
 * between the planted point and the nearest of them.
 *
 * @param options - `examples`, default 8; `points` drawn around each, default 128; `tolerance`: the share of planted
 *   points that may be missed, default 0.15
 * @returns the check
 *
 * @example
 * ```ts
 * import { activeTest } from "@parapet/attacks";
 * console.log(activeTest().name); // => planted adversarial examples
 * ```
 *
 * Source: R. S. Zimmermann et al., "Increasing Confidence in Adversarial Robustness Evaluations", 2022,
 * https://arxiv.org/abs/2206.13991, section 3. Differences: the unit is set in closed form, not trained; the
 * evaluation's attacks count together, as its worst case does.
 */
export function activeTest(
  options: { readonly examples?: number; readonly points?: number; readonly tolerance?: number } = {},
): TrustCheck {
  const most = checkNumber("examples", options.examples ?? 8, { min: 1, integer: true });
  const count = checkNumber("points", options.points ?? 128, { min: 4, integer: true });
  const tolerance = checkNumber("tolerance", options.tolerance ?? 0.15, { min: 0, below: 1 });
  return {
    name: "planted adversarial examples",
    async run(subject) {
      const white = probed(subject);
      if (typeof white === "string") return notRun(white);
      const { epsilon, signal } = subject;
      const { model, norm } = white;
      const attacks = subject.attacks.filter((attack) => attack.norm === norm && attack.epsilon >= epsilon);
      if (attacks.length === 0) return notRun("No attack has the evaluation's norm and radius.");
      const { inner, offset, where } = featuresOf(model);
      const n = Math.min(most, subject.labels.length);
      const finds: Record<string, number> = {};
      const refused = new Set<string>();
      let planted = 0;
      let found = 0;
      for (let row = 0; row < n; row++) {
        const x = takeRows(subject.x, [row]);
        const keys = subject.keys.slice(row, row + 1);
        const call = { keys, ...(signal === undefined ? {} : { signal }) };
        const points = drawn(subject, row, norm, count);
        const all = { keys: new Uint32Array(count).fill(keys[0]!), ...(signal === undefined ? {} : { signal }) };
        const unit = plant((await inner.logits(points, all)) as NdArray, offset);
        if (unit === undefined) continue;
        const changed = readout(inner, offset, unit.weights, unit.threshold);
        const answers = (
          await changed.labels(takeRows(points, [0, unit.row]), { ...all, keys: Uint32Array.of(keys[0]!, keys[0]!) })
        ).data;
        if (answers[0] !== 0 || answers[1] !== 1) continue;
        planted++;
        for (const { name, attack, goal } of attacks) {
          if (refused.has(name)) continue;
          const { mask } = subject;
          const whole = mask !== undefined && mask.data.length === subject.x.data.length;
          let adversarial: NdArray;
          try {
            ({ adversarial } = await attack(changed, x, goal(Int32Array.of(0)), {
              ...call,
              rng: subject.rng.derive(row).derive(name),
              ...(mask === undefined
                ? {}
                : { mask: whole ? takeRows({ ...mask, shape: subject.x.shape }, [row]) : mask }),
            }));
          } catch (error) {
            // An attack or goal for more classes than two says so; everything else goes on.
            if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
            refused.add(name);
            continue;
          }
          const { distance } = await judge(changed, x, Int32Array.of(0), adversarial, norm, call);
          if (!(distance[0]! <= reachOf(epsilon, model.bounds))) continue;
          finds[name] = (finds[name] ?? 0) + 1;
          found++;
          break;
        }
      }
      const evidence: Record<string, Json> = {
        where,
        examples: n,
        planted,
        found,
        foundFirstBy: finds,
        attacksForMoreClasses: [...refused],
        drawnPoints: count,
        tolerance,
      };
      if (refused.size === attacks.length) return { ...notRun("No attack takes a model of two classes."), evidence };
      if (planted > 0 && planted - found <= tolerance * planted) {
        return clear(`${found} of ${planted} planted adversarial examples were found.`, evidence);
      }
      return {
        flag: true,
        says:
          planted === 0
            ? "Nothing could be planted: the features do not change inside the ball."
            : `Only ${found} of ${planted} planted adversarial examples were found.`,
        evidence,
        advice:
          "The attacks do not work on this model: climb the margin, put a stand-in behind the preprocessing (bpda), or search without gradients (square), until they find them.",
        adaptive: ["margin", "bpda", "square"],
      };
    },
  };
}

/** The model that shows its features among its logits, and where they begin. */
function featuresOf(model: DifferentiableClassifier): {
  readonly inner: DifferentiableClassifier;
  readonly offset: number;
  readonly where: string;
} {
  const layered = model as DifferentiableClassifier & Partial<Layered>;
  const layer = layered.layers?.at(-1);
  if (layer === undefined || layered.tapped === undefined || sizeOf(layer.shape) > 4096) {
    return { inner: model, offset: 0, where: "logits" };
  }
  return { inner: layered.tapped([layer.name]), offset: model.numClasses, where: layer.name };
}

/** The example, points in the ball (the first half), and points on its surface (the other half). */
function drawn({ model, x, keys, mask, epsilon, rng }: CheckSubject, row: number, norm: Norm, count: number): NdArray {
  const width = sizeOf(model.inputShape);
  const n = x.shape[0]!;
  const { lower, upper } = boundsOf(model.bounds, width);
  const free = freeFeatures(mask, n, width);
  const stream = rng.derive(keys[row]!);
  const shape = [count, ...model.inputShape];
  const from = x.data.subarray(row * width, (row + 1) * width);
  const data = sampleInBall(shape, norm, 0.9 * epsilon, (i) => stream.derive(i)).data;
  const half = count >> 1;
  for (let i = half; i < count; i++) {
    const own = stream.derive("surface").derive(i);
    const point = data.subarray(i * width, (i + 1) * width);
    for (let j = 0; j < width; j++) point[j] = own.next() < 0.5 ? -epsilon : epsilon;
    point.set(projectOntoBall({ dtype: "float32", shape: [1, width], data: point }, norm, epsilon).data);
  }
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < width; j++) {
      const at = i * width + j;
      const moves = i > 0 && (free === undefined || free(row * width + j));
      data[at] = moves ? Math.max(lower[j]!, Math.min(upper[j]!, from[j]! + data[at]!)) : from[j]!;
    }
  }
  return { dtype: "float32", shape, data };
}

/** The unit for the point of the surface that stands out most; undefined where none does. */
function plant(
  { data, shape }: NdArray,
  offset: number,
): { readonly row: number; readonly weights: Float64Array; readonly threshold: number } | undefined {
  const [count, k] = shape as [number, number];
  const size = k - offset;
  const mean = new Float64Array(size);
  const inside = count >> 1;
  for (let i = 0; i < inside; i++) for (let j = 0; j < size; j++) mean[j]! += data[i * k + offset + j]! / inside;
  let best: { row: number; weights: Float64Array; threshold: number } | undefined;
  let widest = 0;
  for (let row = inside; row < count; row++) {
    const weights = mean.map((value, j) => data[row * k + offset + j]! - value);
    const length = Math.sqrt(weights.reduce((sum, value) => sum + value * value, 0));
    if (!(length > 0 && Number.isFinite(length))) continue;
    for (let j = 0; j < size; j++) weights[j]! /= length;
    const score = (i: number) => weights.reduce((sum, value, j) => sum + value * data[i * k + offset + j]!, 0);
    let next = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < inside; i++) next = Math.max(next, score(i));
    const own = score(row);
    // What is not wider than rounding is no gap.
    if (own - next > widest && own - next > 1e-6 * Math.abs(own)) {
      widest = own - next;
      best = { row, weights, threshold: (own + next) / 2 };
    }
  }
  return best;
}

/** A model of two classes: logits `[0, <weights, features> - threshold]`. */
function readout(
  model: DifferentiableClassifier,
  offset: number,
  weights: Float64Array,
  threshold: number,
): DifferentiableClassifier {
  const forward = ({ data, shape }: NdArray): NdArray => {
    const [n, k] = shape as [number, number];
    const out = new Float32Array(2 * n);
    for (let i = 0; i < n; i++) {
      out[2 * i + 1] = weights.reduce((sum, value, j) => sum + value * data[i * k + offset + j]!, -threshold);
    }
    return { dtype: "float32", shape: [n, 2], data: out };
  };
  const backward = ({ shape }: NdArray, cotangent: NdArray): NdArray => {
    const [n, k] = shape as [number, number];
    const out = new Float32Array(n * k);
    for (let i = 0; i < n; i++) {
      weights.forEach((value, j) => {
        out[i * k + offset + j] = value * cotangent.data[2 * i + 1]!;
      });
    }
    return { dtype: "float32", shape, data: out };
  };
  const seen = (loss: Loss): Loss => ({
    count: loss.count,
    parts: loss.parts,
    value: (logits) => loss.value(forward(logits)),
    cotangent: (logits) => backward(logits, loss.cotangent(forward(logits))),
    take: (rows) => seen(loss.take(rows)),
  });
  return {
    inputShape: model.inputShape,
    numClasses: 2,
    bounds: model.bounds,
    logits: async (x, options) => forward(await model.logits(x, options)),
    labels: async (x: NdArray, options?: CallOptions) => labelsOf(forward(await model.logits(x, options))),
    async gradient(x, loss, options) {
      const { logits, value, gradient } = await model.gradient(x, seen(loss), options);
      return { logits: forward(logits), value, gradient };
    },
    async linearize(x, options) {
      const { logits, pullback, release } = await model.linearize(x, options);
      const inner: NdArray = { ...logits, data: logits.data.slice() };
      return { logits: forward(logits), pullback: async (cotangent) => pullback(backward(inner, cotangent)), release };
    },
  };
}
