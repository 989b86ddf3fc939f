import {
  type BallNorm,
  boundsOf,
  type CallOptions,
  type Classifier,
  distance,
  type Labeler,
  labelsOf,
  type NdArray,
  sizeOf,
  untargeted,
} from "@parapet/core";

/** A look at points that an attack gave back. */
export interface Judgement {
  /** The model's answers. */
  readonly answers: Int32Array;
  /** Distance from the example where the answer is wrong and the point one that the model may be given; else Infinity. */
  readonly distance: Float64Array;
}

/** The model's answers, and 1 where they are wrong. By logits where there are some: a row that is not finite is no answer. */
export async function answersOf(
  model: Labeler,
  x: NdArray,
  labels: Int32Array,
  options: CallOptions,
): Promise<{
  readonly answers: Int32Array;
  readonly wrong: Uint8Array;
  readonly finite: Uint8Array;
  readonly logits: Float32Array;
}> {
  const finite = new Uint8Array(labels.length).fill(1);
  if (!("logits" in model)) {
    const answer = await model.labels(x, options);
    return {
      answers: answer.data,
      wrong: untargeted(labels).isReached(answer).data,
      finite,
      logits: new Float32Array(0),
    };
  }
  const logits = await (model as Classifier).logits(x, options);
  const k = logits.shape[1]!;
  for (let i = 0; i < logits.data.length; i++) if (!Number.isFinite(logits.data[i])) finite[Math.floor(i / k)] = 0;
  return {
    answers: labelsOf(logits).data,
    wrong: untargeted(labels).isReached(logits).data,
    finite,
    logits: logits.data,
  };
}

/** Looks at the points with each example's own key, whatever the attack says it found. */
export async function judge(
  model: Labeler,
  x: NdArray,
  labels: Int32Array,
  points: NdArray,
  norm: BallNorm,
  options: CallOptions,
): Promise<Judgement> {
  const n = labels.length;
  const width = sizeOf(model.inputShape);
  const { lower, upper } = boundsOf(model.bounds, width);
  // What is no input of the model is not put to it: the example stands in, and nothing was found.
  const allowed = new Uint8Array(n).fill(1);
  const data = points.data.slice();
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < width; j++) {
      const value = data[i * width + j]!;
      if (!(value >= lower[j]! && value <= upper[j]! && Number.isFinite(value))) allowed[i] = 0;
    }
    if (allowed[i] === 0) data.set(x.data.subarray(i * width, (i + 1) * width), i * width);
  }
  const seen: NdArray = { dtype: "float32", shape: x.shape, data };
  const { answers, wrong } = await answersOf(model, seen, labels, options);
  const far = distance(seen, x, norm).data;
  const found = (i: number) => wrong[i] === 1 && allowed[i] === 1;
  return { answers, distance: Float64Array.from(far, (value, i) => (found(i) ? value : Number.POSITIVE_INFINITY)) };
}

/** The largest distance that counts as within a radius: what float32 makes of `x + epsilon` may lie a little outside. */
export function reachOf(epsilon: number, { lower, upper }: Labeler["bounds"]): number {
  let scale = 0;
  for (const bound of [lower, upper]) {
    for (const value of typeof bound === "number" ? [bound] : bound) scale = Math.max(scale, Math.abs(value));
  }
  return epsilon * (1 + 1e-5) + 1e-6 * (Number.isFinite(scale) && scale > 0 ? scale : 1);
}
