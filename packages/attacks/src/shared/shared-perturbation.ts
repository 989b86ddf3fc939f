import {
  type AttackResult,
  type BallNorm,
  distance as distanceOf,
  type Goal,
  type NdArray,
  takeRows,
} from "@parapet/core";
import { type Run, range } from "./run.ts";

/**
 * Minibatches of examples, epoch after epoch, for what is fitted to all of them. Shuffled by a draw of each example's
 * own, so that the order in which examples are given does not matter.
 */
export function* minibatches(run: Run, size: number): Generator<Int32Array, never> {
  for (let epoch = 0; ; epoch++) {
    const draws = Float64Array.from({ length: run.n }, (_, row) => run.rng(row, epoch).next());
    const order = range(0, run.n).sort((a, b) => draws[a]! - draws[b]! || run.keys[a]! - run.keys[b]!);
    for (let from = 0; from < run.n; from += size) yield order.subarray(from, from + size);
  }
}

/** Steps that shrink evenly to 0 and cover 2.5 times the way, but for one that would be longer than the way. */
export function firstStep(way: number, steps: number): number {
  return Math.min(1, 5 / (steps + 1)) * way;
}

/**
 * A fresh look at every example's final point, and at the example itself where that fails: what is wrong already is never
 * reported as robust.
 */
export async function judge(
  run: Run,
  goal: Goal,
  points: (rows: Int32Array) => NdArray,
  norm: BallNorm,
  batchSize: number,
  progress: (examples: number) => void,
): Promise<AttackResult> {
  const { x, n, width } = run;
  const adversarial: NdArray = { dtype: "float32", shape: [...x.shape], data: new Float32Array(x.data.length) };
  const success = new Uint8Array(n);
  for (let from = 0; from < n; from += batchSize) {
    const rows = range(from, Math.min(n, from + batchSize));
    const found = points(rows);
    adversarial.data.set(found.data, from * width);
    success.set(goal.take(rows).isReached(await run.logits(found, rows)).data, from);
    const open = rows.filter((row) => success[row] === 0);
    if (open.length > 0) {
      const already = goal.take(open).isReached(await run.logits(takeRows(x, open), open)).data;
      open.forEach((row, i) => {
        if (already[i] === 0) return;
        success[row] = 1;
        adversarial.data.set(x.data.subarray(row * width, (row + 1) * width), row * width);
      });
    }
    progress(from + rows.length);
  }
  return {
    adversarial,
    success: { dtype: "bool", shape: [n], data: success },
    distance: distanceOf(adversarial, x, norm),
    queries: { dtype: "int32", shape: [n], data: run.queries },
    gradients: { dtype: "int32", shape: [n], data: run.gradients },
  };
}
