import { type Classifier, createPacer, type Goal, type NdArray, type Norm, type Rng, takeRows } from "@parapet/core";
import type { Run } from "./run.ts";
import { range } from "./run.ts";

// What the attacks with a state for every example have in common: the state lies in arrays of rows, one row for each
// example that is still open.

/** The first `m` rows of an array, as points for the model; not copied. */
export function pointsOf(run: Run<Classifier>, data: Float32Array, m: number): NdArray {
  return { dtype: "float32", shape: [m, ...run.x.shape.slice(1)], data: data.subarray(0, m * run.width) };
}

/** Moves the rows `left`, in ascending order, to the front. */
export function keepRows(
  data: Float32Array | Float64Array | Int32Array | Uint8Array,
  left: Int32Array,
  width = 1,
): void {
  for (let i = 0; i < left.length; i++) {
    if (left[i] !== i) data.copyWithin(i * width, left[i]! * width, (left[i]! + 1) * width);
  }
}

/** `rows`, at most `size` at a time. */
export function* chunksOf(rows: Int32Array, size: number): Generator<Int32Array> {
  for (let from = 0; from < rows.length; from += size) yield rows.subarray(from, from + size);
}

/** How the examples are before the attack: the logits `[n, classes]`, and 1 where the goal is reached already. */
export async function firstLook(
  run: Run<Classifier>,
  batchSize: number,
): Promise<{ readonly logits: Float32Array; readonly reached: Uint8Array }> {
  const pace = createPacer(run.signal);
  const k = run.model.numClasses;
  const logits = new Float32Array(run.n * k);
  const reached = new Uint8Array(run.n);
  for (const rows of chunksOf(range(0, run.n), batchSize)) {
    await pace();
    const answer = await run.logits(takeRows(run.x, rows), rows);
    logits.set(answer.data, rows[0]! * k);
    reached.set(run.goal.take(rows).isReached(answer).data, rows[0]!);
  }
  return { logits, reached };
}

/**
 * A fresh look, with each example's own key, at the points that seem to reach the goal; returns which do, 1 for each of
 * the `rows` of the points.
 */
export async function confirmed(
  run: Run<Classifier>,
  goal: Goal,
  points: NdArray,
  rows: Int32Array,
  seem: Uint8Array,
): Promise<Uint8Array> {
  const candidates = range(0, rows.length).filter((i) => seem[i] === 1);
  const sure = new Uint8Array(rows.length);
  if (candidates.length === 0) return sure;
  const answer = await run.logits(
    takeRows(points, candidates),
    candidates.map((i) => rows[i]!),
  );
  const reached = goal.take(candidates).isReached(answer).data;
  for (let c = 0; c < candidates.length; c++) sure[candidates[c]!] = reached[c]!;
  return sure;
}

/** The features that may change, 1 each, for the whole batch; undefined where all may. */
export function freeOf(run: Run<Classifier>): Uint8Array | undefined {
  return run.masked ? Uint8Array.from({ length: run.n * run.width }, (_, at) => Number(run.free(at))) : undefined;
}

/**
 * A random direction of one example: uniform in the cube (linf) or normal (l2, l1), scaled to length 1 in the norm; zero
 * for features that are not free, which `free` tells from index `freeAt` on.
 */
export function randomDirection(
  norm: Norm,
  rng: Rng,
  direction: Float64Array,
  free: Uint8Array | undefined,
  freeAt: number,
): void {
  let length = 0;
  for (let j = 0; j < direction.length; j++) {
    const drawn = norm === "linf" ? 2 * rng.next() - 1 : rng.normal();
    const value = free === undefined || free[freeAt + j] === 1 ? drawn : 0;
    direction[j] = value;
    if (norm === "linf") length = Math.max(length, Math.abs(value));
    else length += norm === "l2" ? value * value : Math.abs(value);
  }
  const scale = length > 0 ? 1 / (norm === "l2" ? Math.sqrt(length) : length) : 0;
  for (let j = 0; j < direction.length; j++) direction[j]! *= scale;
}
