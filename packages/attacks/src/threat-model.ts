import {
  type AttackContext,
  type AttackResult,
  boundsOf,
  checkInput,
  distance,
  dualStep,
  exampleKeys,
  expected,
  type Goal,
  type Labeler,
  type NdArray,
  type Norm,
  projectOntoBall,
  type Rng,
  sampleInBall,
  sizeOf,
  takeRows,
} from "@parapet/core";

/** Where an attack may go: the ball around each example, inside the model's bounds, with masked features fixed. */
export interface ThreatModel {
  /** The checked batch; shape [n, ...]. */
  readonly x: NdArray;
  /** One random key per example. */
  readonly keys: Uint32Array;
  /** A uniform point of the ball around each of `rows`. It may lie outside the bounds: see `allow`. */
  start(rows: Int32Array, rngOf: (row: number) => Rng): NdArray;
  /** The nearest point inside the bounds, with masked features back in place. */
  allow(rows: Int32Array, points: NdArray): NdArray;
  /** From `current` (one row for each of `rows`) along the steepest direction, and back to where it may be. */
  step(rows: Int32Array, current: NdArray, gradient: NdArray, stepSize: number): NdArray;
}

/**
 * Checks everything that an attack is handed, and gives it its playing field.
 *
 * @throws TypeError or RangeError that names what was expected and what came
 */
export function threatModel(
  model: Labeler,
  input: NdArray,
  goal: Goal,
  context: AttackContext,
  ball: { readonly norm: Norm; readonly epsilon: number },
): ThreatModel {
  const x = checkInput(model, input);
  const n = x.shape[0]!;
  const width = sizeOf(model.inputShape);
  const { lower, upper } = boundsOf(model.bounds, width);
  const { norm, epsilon } = ball;
  if (goal.classes.length !== n) throw new TypeError(expected("goal", `${n} classes, one a row`, goal.classes.length));
  for (const wanted of goal.classes) {
    if (wanted >= model.numClasses) throw new RangeError(expected("goal", `classes below ${model.numClasses}`, wanted));
  }
  if (typeof context?.rng?.derive !== "function") {
    throw new TypeError(expected("rng", "an Rng, such as createRng(seed)", context?.rng));
  }
  const keys = context.keys ?? exampleKeys(x, goal.classes);
  if (keys.length !== n) throw new TypeError(expected("keys", `${n} keys, one a row`, keys.length));
  const free = freeFeatures(context.mask, n, width);

  const allow = (rows: Int32Array, points: NdArray): NdArray => {
    const data = new Float32Array(points.data.length);
    for (let i = 0; i < rows.length; i++) {
      for (let j = 0; j < width; j++) {
        const from = rows[i]! * width + j;
        const to = i * width + j;
        const point = free === undefined || free(from) ? points.data[to]! : x.data[from]!;
        data[to] = Math.max(lower[j]!, Math.min(upper[j]!, point));
      }
    }
    return { dtype: "float32", shape: points.shape, data };
  };

  return {
    x,
    keys,
    allow,

    start(rows, rngOf) {
      const shape = [rows.length, ...x.shape.slice(1)];
      return sum(
        takeRows(x, rows),
        sampleInBall(shape, norm, epsilon, (i) => rngOf(rows[i]!)),
      );
    },

    step(rows, current, gradient, stepSize) {
      // Where a feature cannot move, its derivative says nothing; steepest l1 and l2 steps would be spent on it.
      const usable = gradient.data.slice();
      for (let i = 0; i < rows.length; i++) {
        for (let j = 0; j < width; j++) {
          const at = i * width + j;
          const g = usable[at]!;
          const stuck = norm === "l1" && (g > 0 ? current.data[at]! >= upper[j]! : current.data[at]! <= lower[j]!);
          if (stuck || (free !== undefined && !free(rows[i]! * width + j))) usable[at] = 0;
        }
      }
      const direction = dualStep({ dtype: "float32", shape: gradient.shape, data: usable }, norm).data;
      const perturbation = new Float32Array(direction.length);
      for (let i = 0; i < rows.length; i++) {
        for (let j = 0; j < width; j++) {
          const at = i * width + j;
          const from = rows[i]! * width + j;
          if (free !== undefined && !free(from)) continue;
          perturbation[at] = current.data[at]! + stepSize * direction[at]! - x.data[from]!;
        }
      }
      const projected = projectOntoBall({ dtype: "float32", shape: gradient.shape, data: perturbation }, norm, epsilon);
      // Clipping to bounds that hold x shortens every coordinate, so the ball is not left again.
      return allow(rows, sum(takeRows(x, rows), projected));
    },
  };
}

function sum(a: NdArray, b: NdArray): NdArray {
  return { dtype: "float32", shape: a.shape, data: a.data.map((value, i) => value + b.data[i]!) };
}

function freeFeatures(
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

/** What has been found so far, for each example. */
export class Findings {
  readonly adversarial: Float32Array;
  readonly success: Uint8Array;
  readonly queries: Int32Array;
  readonly gradients: Int32Array;
  readonly #best: Float64Array;
  readonly #x: NdArray;
  readonly #width: number;

  constructor(x: NdArray) {
    const n = x.shape[0]!;
    this.#x = x;
    this.#width = x.data.length / n;
    this.adversarial = x.data.slice();
    this.success = new Uint8Array(n);
    this.queries = new Int32Array(n);
    this.gradients = new Int32Array(n);
    this.#best = new Float64Array(n).fill(Number.NEGATIVE_INFINITY);
  }

  /** Offers row `i` of `points` for example `row`: taken when it is the first, the first success or of higher loss. */
  offer(row: number, points: NdArray, i: number, reached: boolean, loss: number): void {
    const better = loss > this.#best[row]! || this.#best[row] === Number.NEGATIVE_INFINITY;
    if (this.success[row] === 1 || !(reached || better)) return;
    this.success[row] = Number(reached);
    this.#best[row] = Number.isNaN(loss) ? Number.MIN_SAFE_INTEGER : loss;
    const width = this.#width;
    this.adversarial.set(points.data.subarray(i * width, (i + 1) * width), row * width);
  }

  result(norm: Norm): AttackResult {
    const n = this.success.length;
    const adversarial: NdArray = { dtype: "float32", shape: [...this.#x.shape], data: this.adversarial };
    return {
      adversarial,
      success: { dtype: "bool", shape: [n], data: this.success },
      distance: distance(adversarial, this.#x, norm),
      queries: { dtype: "int32", shape: [n], data: this.queries },
      gradients: { dtype: "int32", shape: [n], data: this.gradients },
    };
  }
}
