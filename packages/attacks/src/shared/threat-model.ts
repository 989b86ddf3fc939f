import {
  type AttackContext,
  type AttackResult,
  distance,
  dualStep,
  type Goal,
  type Labeler,
  type NdArray,
  type Norm,
  projectOntoBall,
  type Rng,
  sampleInBall,
} from "@parapet/core";
import { checkProblem } from "./run.ts";

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
  const { x, width, lower, upper, keys, free } = checkProblem(model, input, goal, context);
  const { norm, epsilon } = ball;

  /** The nearest allowed point to x + perturbation, or to the point itself where `points` are given whole. */
  const inside = (rows: Int32Array, values: NdArray, origin: NdArray | undefined): NdArray => {
    const data = new Float32Array(values.data.length);
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]! * width;
      for (let j = 0; j < width; j++) {
        const to = i * width + j;
        let point = values.data[to]!;
        if (origin !== undefined) point += origin.data[row + j]!;
        if (free !== undefined && !free(row + j)) point = x.data[row + j]!;
        data[to] = Math.max(lower[j]!, Math.min(upper[j]!, point));
      }
    }
    return { dtype: "float32", shape: values.shape, data };
  };

  /** The gradient without what cannot be used: steepest l1 and l2 steps would be spent on features that stand still. */
  const usable = (rows: Int32Array, current: NdArray, gradient: NdArray): NdArray => {
    if (free === undefined && norm !== "l1") return gradient;
    const data = gradient.data.slice();
    for (let i = 0; i < rows.length; i++) {
      for (let j = 0; j < width; j++) {
        const at = i * width + j;
        const stuck = data[at]! > 0 ? current.data[at]! >= upper[j]! : current.data[at]! <= lower[j]!;
        if ((norm === "l1" && stuck) || (free !== undefined && !free(rows[i]! * width + j))) data[at] = 0;
      }
    }
    return { dtype: "float32", shape: gradient.shape, data };
  };

  return {
    x,
    keys,
    allow: (rows, points) => inside(rows, points, undefined),

    start(rows, rngOf) {
      const sample = sampleInBall([rows.length, ...x.shape.slice(1)], norm, epsilon, (i) => rngOf(rows[i]!));
      for (let at = 0; at < sample.data.length; at++) {
        sample.data[at]! += x.data[rows[Math.floor(at / width)]! * width + (at % width)]!;
      }
      return sample;
    },

    step(rows, current, gradient, stepSize) {
      if (norm === "linf" && free === undefined) {
        // What follows below, in one pass instead of four: most attacks of most users spend their own time here.
        const data = new Float32Array(current.data.length);
        linfStep(data, current.data, gradient.data, x.data, rows, lower, upper, stepSize, epsilon);
        return { dtype: "float32", shape: gradient.shape, data };
      }
      const direction = dualStep(usable(rows, current, gradient), norm).data;
      const perturbation = new Float32Array(direction.length);
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]! * width;
        for (let j = 0; j < width; j++) {
          const at = i * width + j;
          if (free !== undefined && !free(row + j)) continue;
          perturbation[at] = current.data[at]! + stepSize * direction[at]! - x.data[row + j]!;
        }
      }
      const moved = projectOntoBall({ dtype: "float32", shape: gradient.shape, data: perturbation }, norm, epsilon);
      // Clipping to bounds that hold x shortens every coordinate, so the ball is not left again.
      return inside(rows, moved, x);
    },
  };
}

/** Along the sign of the gradient, back to the ball, back to the bounds; each rounded to float32. */
function linfStep(
  out: Float32Array,
  current: Float32Array,
  gradient: Float32Array,
  x: Float32Array,
  rows: Int32Array,
  lower: Float32Array,
  upper: Float32Array,
  stepSize: number,
  epsilon: number,
): void {
  const width = lower.length;
  const radius = Math.fround(epsilon);
  let at = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]! * width;
    for (let j = 0; j < width; j++, at++) {
      const g = gradient[at]!;
      const from = x[row + j]!;
      let d = Math.fround(current[at]! + (g > 0 ? stepSize : g < 0 ? -stepSize : 0) - from);
      d = d > epsilon ? radius : d < -epsilon ? -radius : d;
      const point = Math.fround(d + from);
      out[at] = Math.max(lower[j]!, Math.min(upper[j]!, point));
    }
  }
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
