import {
  type AttackContext,
  type AttackResult,
  type BallNorm,
  boundsOf,
  type Classifier,
  checkInput,
  type DifferentiableClassifier,
  distance,
  exampleKeys,
  expected,
  type Goal,
  type GradientResult,
  type Labeler,
  type Loss,
  type NdArray,
  type Rng,
  sizeOf,
} from "@parapet/core";

/**
 * One run of an attack: the checked problem, and the model behind a counter. Whatever an attack asks goes through here, so
 * that queries are true, calls can be stopped, and a randomised model gets a key for every row.
 */
export interface Run<M extends Labeler = DifferentiableClassifier> {
  readonly model: M;
  /** The checked batch, `[n, ...inputShape]`. */
  readonly x: NdArray;
  readonly n: number;
  /** Features of one example. */
  readonly width: number;
  /** Bounds of each feature, `[width]`. */
  readonly lower: Float32Array;
  readonly upper: Float32Array;
  readonly goal: Goal;
  /** One random key for each example. */
  readonly keys: Uint32Array;
  /** False for a masked feature; `at` counts over the whole batch, row * width + feature. */
  readonly free: (at: number) => boolean;
  /** Whether there is a mask at all. */
  readonly masked: boolean;
  readonly signal: AbortSignal | undefined;
  /** An example's own random stream, independent of the batch. */
  rng(row: number, label?: string | number): Rng;
  /**
   * Logits of points, one for each of `rows`, which says whose they are. `salt` changes the answer of a randomised model;
   * 0 (default) is the example's own key, by which success is judged.
   */
  logits(points: NdArray, rows: ArrayLike<number>, salt?: number): Promise<NdArray>;
  /** As `logits`, with the least power. */
  labels(points: NdArray, rows: ArrayLike<number>, salt?: number): Promise<NdArray<"int32">>;
  /** Loss and gradient; `loss` has one value for each of `rows`. */
  gradient(points: NdArray, rows: ArrayLike<number>, loss: Loss, salt?: number): Promise<GradientResult>;
  /** The nearest points that the bounds and the mask allow; one for each of `rows`. */
  allow(points: Float32Array, rows: ArrayLike<number>): NdArray;
  /** Forward and backward passes so far, for each example. */
  readonly queries: Int32Array;
  readonly gradients: Int32Array;
  /** Tells how far the work has come; `done` of examples times steps. Never goes back. */
  progress(done: number, total: number): void;
}

/** A checked problem: what of a run needs no model. */
export type Problem = Pick<Run<Labeler>, "x" | "n" | "width" | "lower" | "upper" | "keys"> & {
  /** Undefined where there is no mask. */
  readonly free: ((at: number) => boolean) | undefined;
};

/**
 * Checks a problem.
 *
 * @throws TypeError when `x`, goal, mask, keys or rng do not fit the model
 * @throws RangeError when a value lies outside the bounds, or a class is none of the model's
 */
export function checkProblem(model: Labeler, input: NdArray, goal: Goal, context: AttackContext): Problem {
  const x = checkInput(model, input);
  const n = x.shape[0]!;
  const width = sizeOf(model.inputShape);
  const { lower, upper } = boundsOf(model.bounds, width);
  if (goal.classes.length !== n) throw new TypeError(expected("goal", `${n} classes, one a row`, goal.classes.length));
  for (const wanted of goal.classes) {
    if (wanted >= model.numClasses) throw new RangeError(expected("goal", `classes below ${model.numClasses}`, wanted));
  }
  if (typeof context?.rng?.derive !== "function") {
    throw new TypeError(expected("rng", "an Rng, such as createRng(seed)", context?.rng));
  }
  const keys = context.keys ?? exampleKeys(x, goal.classes);
  if (keys.length !== n) throw new TypeError(expected("keys", `${n} keys, one a row`, keys.length));
  return { x, n, width, lower, upper, keys, free: freeFeatures(context.mask, n, width) };
}

/**
 * Checks a problem and opens a run.
 *
 * @param name - of the attack: its random streams are its own
 * @throws as `checkProblem`
 */
export function openRun<M extends Labeler>(
  name: string,
  model: M,
  input: NdArray,
  goal: Goal,
  context: AttackContext,
): Run<M> {
  const { x, n, width, lower, upper, keys, free } = checkProblem(model, input, goal, context);
  const stream = context.rng.derive(name);
  const queries = new Int32Array(n);
  const gradients = new Int32Array(n);
  const { signal } = context;
  const options = (rows: ArrayLike<number>, salt: number) => {
    const chosen = Uint32Array.from(rows, (row) => keys[row]! ^ Math.imul(salt, 0x9e3779b1));
    return signal === undefined ? { keys: chosen } : { keys: chosen, signal };
  };
  const count = (rows: ArrayLike<number>, counts: Int32Array): void => {
    for (let i = 0; i < rows.length; i++) counts[rows[i]!]!++;
  };
  let told = 0;
  return {
    model,
    x,
    n,
    width,
    lower,
    upper,
    goal,
    keys,
    free: free ?? (() => true),
    masked: free !== undefined,
    signal,
    queries,
    gradients,
    rng: (row, label = "") => stream.derive(keys[row]!).derive(label),

    async labels(points, rows, salt = 0) {
      count(rows, queries);
      return model.labels(points, options(rows, salt));
    },
    async logits(points, rows, salt = 0) {
      count(rows, queries);
      return (model as unknown as Classifier).logits(points, options(rows, salt));
    },
    async gradient(points, rows, loss, salt = 0) {
      count(rows, queries);
      count(rows, gradients);
      return (model as unknown as DifferentiableClassifier).gradient(points, loss, options(rows, salt));
    },

    allow(points, rows) {
      const data = new Float32Array(points.length);
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]! * width;
        for (let j = 0; j < width; j++) {
          const at = i * width + j;
          const point = free === undefined || free(row + j) ? points[at]! : x.data[row + j]!;
          data[at] = Math.max(lower[j]!, Math.min(upper[j]!, point));
        }
      }
      return { dtype: "float32", shape: [rows.length, ...x.shape.slice(1)], data };
    },

    progress(done, total) {
      told = Math.max(told, done);
      context.onProgress?.({ done: told, total });
    },
  };
}

/** True for a feature that may change; undefined where all may. */
export function freeFeatures(
  mask: NdArray<"bool"> | undefined,
  n: number,
  width: number,
): ((at: number) => boolean) | undefined {
  if (mask === undefined) return undefined;
  const { dtype, data } = mask;
  if (dtype !== "bool" || (data.length !== width && data.length !== n * width)) {
    throw new TypeError(
      expected("mask", `dtype bool with ${width} or ${n * width} values`, `${dtype} [${mask.shape}]`),
    );
  }
  return data.length === width ? (at) => data[at % width] !== 0 : (at) => data[at] !== 0;
}

/** Whether two rows are farther apart than `limit`, by more than rounding can make. */
function isFarther(a: Float32Array, b: Float32Array, norm: BallNorm, limit: number): boolean {
  const most = (norm === "l2" ? limit * limit : limit) * (1 + 1e-6);
  let total = 0;
  for (let j = 0; j < a.length && total <= most; j++) {
    const d = Math.abs(a[j]! - b[j]!);
    if (norm === "linf") total = Math.max(total, d);
    else total += norm === "l2" ? d * d : norm === "l1" ? d : Number(d !== 0);
  }
  return total > most;
}

/** The nearest success that has been found for each example; the example itself, at distance 0, where it is one. */
export class Nearest {
  /** Distance of the nearest success, Infinity while there is none. */
  readonly distance: Float64Array;
  readonly #run: Run<Labeler>;
  readonly #norm: BallNorm;
  readonly #epsilon: number;
  readonly #adversarial: Float32Array;

  /** `epsilon`: what lies farther away does not count. */
  constructor(run: Run<Labeler>, norm: BallNorm, epsilon = Number.POSITIVE_INFINITY) {
    this.#run = run;
    this.#norm = norm;
    this.#epsilon = epsilon;
    this.#adversarial = run.x.data.slice();
    this.distance = new Float64Array(run.n).fill(Number.POSITIVE_INFINITY);
  }

  /** Offers row `i` of `points`, which reaches the goal of example `row`; true where it is nearer than what was there. */
  offer(row: number, points: NdArray, i: number): boolean {
    const { width, x } = this.#run;
    const point = points.data.subarray(i * width, (i + 1) * width);
    const from = x.data.subarray(row * width, (row + 1) * width);
    // Most of what is offered is farther away: seen at once, and without memory.
    if (isFarther(point, from, this.#norm, this.distance[row]!)) return false;
    const one = (data: Float32Array): NdArray => ({ dtype: "float32", shape: [1, width], data });
    const size = distance(one(point), one(from), this.#norm).data[0]!;
    if (!(size < this.distance[row]! && size <= this.#epsilon)) return false;
    this.distance[row] = size;
    this.#adversarial.set(point, row * width);
    return true;
  }

  /** The nearest success of an example, or the example. */
  point(row: number): Float32Array {
    const { width } = this.#run;
    return this.#adversarial.subarray(row * width, (row + 1) * width);
  }

  /**
   * The record of the run. Where nothing was found the example comes back, `success` is 0 and `distance` 0: no distance
   * may be read from a failure.
   */
  result(): AttackResult {
    const { n, x, queries, gradients } = this.#run;
    const adversarial: NdArray = { dtype: "float32", shape: [...x.shape], data: this.#adversarial };
    const success = Uint8Array.from(this.distance, (size) => Number(Number.isFinite(size)));
    return {
      adversarial,
      success: { dtype: "bool", shape: [n], data: success },
      distance: distance(adversarial, x, this.#norm),
      queries: { dtype: "int32", shape: [n], data: queries },
      gradients: { dtype: "int32", shape: [n], data: gradients },
    };
  }
}

/** from, from + 1, ..., to - 1. */
export function range(from: number, to: number): Int32Array {
  return Int32Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}
