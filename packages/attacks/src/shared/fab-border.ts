import type { DifferentiableClassifier, Loss, NdArray, Norm } from "@parapet/core";
import type { Run } from "./run.ts";

/** A border as the model has it at some points: `<w, y - point> + residual = 0`, for each of them. */
export interface Border {
  /** The normal vectors, `[m * width]`. */
  readonly w: Float32Array;
  /** Negative, or zero, before the border. */
  readonly residual: ArrayLike<number>;
}

export type BorderAt = (points: NdArray, rows: Int32Array, salt: number) => Promise<Border>;

/** The border where a loss is zero. */
export function oneBorder(run: Run<DifferentiableClassifier>, lossOf: (rows: Int32Array) => Loss): BorderAt {
  return async (points, rows, salt) => {
    const { value, gradient } = await run.gradient(points, rows, lossOf(rows), salt);
    return { w: gradient.data.slice(), residual: value.data };
  };
}

/** Of the borders to all other classes the one that is nearest while the model is taken as linear, bounds left out. */
export function nearestBorder(run: Run<DifferentiableClassifier>, norm: Norm, free: Uint8Array | undefined): BorderAt {
  const { model, width, goal } = run;
  const k = model.numClasses;
  return async (points, rows, salt) => {
    const m = rows.length;
    const keys = Uint32Array.from(rows, (row) => run.keys[row]! ^ Math.imul(salt, 0x9e3779b1));
    for (const row of rows) run.queries[row]!++;
    const pass = await model.linearize(points, run.signal === undefined ? { keys } : { keys, signal: run.signal });
    const w = new Float32Array(m * width);
    const residual = new Float64Array(m);
    const closest = new Float64Array(m).fill(Number.POSITIVE_INFINITY);
    try {
      for (let other = 0; other < k - 1; other++) {
        run.signal?.throwIfAborted();
        const cotangent = new Float32Array(m * k);
        const class2 = Int32Array.from(rows, (row) => (other < goal.classes[row]! ? other : other + 1));
        for (let i = 0; i < m; i++) {
          cotangent[i * k + class2[i]!] = 1;
          cotangent[i * k + goal.classes[rows[i]!]!] = -1;
          run.gradients[rows[i]!]!++;
        }
        const { data } = await pass.pullback({ dtype: "float32", shape: [m, k], data: cotangent });
        for (let i = 0; i < m; i++) {
          const gap = pass.logits.data[i * k + class2[i]!]! - pass.logits.data[i * k + goal.classes[rows[i]!]!]!;
          const away = Math.abs(gap) / (1e-12 + dualLength(norm, data, i * width, width, free, rows[i]! * width));
          if (!(away < closest[i]!)) continue;
          closest[i] = away;
          residual[i] = gap;
          w.set(data.subarray(i * width, (i + 1) * width), i * width);
        }
      }
    } finally {
      pass.release();
    }
    return { w, residual };
  };
}

/** The length of the free part of a gradient in the dual norm. */
function dualLength(
  norm: Norm,
  gradient: Float32Array,
  at: number,
  width: number,
  free: Uint8Array | undefined,
  freeAt: number,
): number {
  let length = 0;
  for (let j = 0; j < width; j++) {
    if (free !== undefined && free[freeAt + j] === 0) continue;
    const size = Math.abs(gradient[at + j]!);
    if (norm === "l1") length = Math.max(length, size);
    else length += norm === "l2" ? size * size : size;
  }
  return norm === "l2" ? Math.sqrt(length) : length;
}
