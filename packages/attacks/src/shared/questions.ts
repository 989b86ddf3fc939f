import { checkNumber, createPacer, type Labeler, type Loss, type NdArray } from "@parapet/core";
import type { Nearest, Run } from "./run.ts";

/** What comes back for the points that a script asked about, in their order. */
export interface Answers {
  /** 1 where the goal is reached. */
  readonly reached: Uint8Array;
  /** The loss, where logits were asked for; minus infinity where it is not a number. */
  readonly value: Float32Array;
}

/**
 * The attack on one example, as a generator: it yields points, `[m * width]` values inside bounds and mask, and gets one
 * answer for each. Whoever writes one thinks of one example; `interview` puts the points of many into shared calls.
 */
export type Script<Result = void> = Generator<Float32Array, Result, Answers>;

/** How scripts are run. */
export interface Interview {
  /** Most queries for each example, the first look at the example included. */
  readonly queries: number;
  /** Most points in one call of the model. */
  readonly batchSize: number;
  /** The attack on the example `row`, which does not reach the goal as it is; `first` is the answer about it. */
  readonly script: (row: number, first: Answers) => Script;
  /** Where successes go. */
  readonly nearest: Nearest;
  /** Whether every point that reaches the goal is offered (default), or the script offers them itself. */
  readonly offer?: boolean;
  /** Ask for logits, and give this loss of the examples; without it labels are asked for. */
  readonly loss?: Loss;
}

interface Talk {
  readonly row: number;
  readonly script: Script;
  points: Float32Array;
  /** How many points the model is asked about, and how many of them it was. */
  count: number;
  asked: number;
  /** Whether the budget ends with this question. */
  last: boolean;
  answers: Answers;
}

const nothing: Answers = { reached: /* @__PURE__ */ new Uint8Array(0), value: /* @__PURE__ */ new Float32Array(0) };

/**
 * Runs a script for every example until it returns or its queries are spent. Every example is looked at first: what
 * reaches the goal as it is needs no script.
 *
 * A call of the model holds the next points of as many examples as there is room for. A script is resumed only when there
 * is room for its points, so that about `batchSize` points are in memory at a time, however many examples there are. What
 * a script is told does not depend on the others.
 *
 * The model is asked with each example's own key, salt 0, throughout: for a randomised model that is one fixed draw of its
 * randomness, by which success is judged, too.
 */
export async function interview<M extends Labeler>(run: Run<M>, interview: Interview): Promise<void> {
  const { queries: budget, batchSize, nearest, offer = true, loss } = interview;
  const { n, width, goal } = run;
  const pace = createPacer(run.signal);
  const total = n * budget;
  let finished = 0;
  let opened = 0;
  /** Scripts with their answers, waiting for room; and questions, waiting for the model. */
  const answered: Talk[] = [];
  const waiting: Talk[] = [];
  let room = batchSize;

  function* whole(row: number): Script {
    const first = yield exampleOf(run, row);
    if (first.reached[0] === 0) yield* interview.script(row, first);
    else if (!offer) nearest.offer(row, run.x, row);
  }

  const resume = (talk: Talk): void => {
    const left = budget - run.queries[talk.row]!;
    const next = talk.last || left <= 0 ? undefined : talk.script.next(talk.answers);
    if (next === undefined || next.done) {
      finished += Math.max(0, left);
      return;
    }
    const count = next.value.length / width;
    talk.points = next.value;
    talk.count = Math.min(count, left);
    talk.last = count > left;
    talk.asked = 0;
    talk.answers = {
      reached: new Uint8Array(talk.count),
      value: new Float32Array(loss === undefined ? 0 : talk.count),
    };
    room -= talk.count;
    (talk.count > 0 ? waiting : answered).push(talk);
  };

  for (;;) {
    await pace();
    while (room > 0) {
      const talk = answered.shift();
      if (talk !== undefined) resume(talk);
      else if (opened < n) {
        const row = opened++;
        resume({ row, script: whole(row), points: run.x.data, count: 0, asked: 0, last: false, answers: nothing });
      } else break;
    }
    if (waiting.length === 0) break;

    const size = Math.min(batchSize, batchSize - room);
    const data = new Float32Array(size * width);
    const rows = new Int32Array(size);
    let filled = 0;
    const parts: { talk: Talk; from: number; at: number; count: number }[] = [];
    for (const talk of waiting) {
      const count = Math.min(talk.count - talk.asked, size - filled);
      if (count === 0) break;
      parts.push({ talk, from: talk.asked, at: filled, count });
      data.set(talk.points.subarray(talk.asked * width, (talk.asked + count) * width), filled * width);
      rows.fill(talk.row, filled, filled + count);
      talk.asked += count;
      filled += count;
    }
    const points: NdArray = { dtype: "float32", shape: [size, ...run.x.shape.slice(1)], data };
    const local = goal.take(rows);
    let reached: Uint8Array;
    let value: Float32Array | undefined;
    if (loss === undefined) reached = local.isReached(await run.labels(points, rows)).data;
    else {
      const logits = await run.logits(points, rows);
      reached = local.isReached(logits).data;
      value = loss.take(rows).value(logits).data;
      for (let i = 0; i < size; i++) if (Number.isNaN(value[i])) value[i] = Number.NEGATIVE_INFINITY;
    }
    run.signal?.throwIfAborted();
    for (const { talk, from, at, count } of parts) {
      talk.answers.reached.set(reached.subarray(at, at + count), from);
      if (value !== undefined) talk.answers.value.set(value.subarray(at, at + count), from);
      if (offer) for (let i = at; i < at + count; i++) if (reached[i] === 1) nearest.offer(talk.row, points, i);
    }
    room += size;
    while (waiting.length > 0 && waiting[0]!.asked === waiting[0]!.count) answered.push(waiting.shift()!);
    let spent = finished;
    for (let row = 0; row < n; row++) spent += run.queries[row]!;
    run.progress(Math.min(spent, total), total);
  }
  run.progress(total, total);
}

/** The example itself. */
export function exampleOf(run: Run<Labeler>, row: number): Float32Array {
  return run.x.data.subarray(row * run.width, (row + 1) * run.width);
}

/** Puts points of one example back inside bounds and mask, in place. */
export function confine(run: Run<Labeler>, row: number, points: Float32Array): Float32Array {
  const { width, lower, upper, masked, free, x } = run;
  const example = row * width;
  for (let from = 0; from < points.length; from += width) {
    for (let j = 0; j < width; j++) {
      const value = masked && !free(example + j) ? x.data[example + j]! : points[from + j]!;
      points[from + j] = Math.max(lower[j]!, Math.min(upper[j]!, value));
    }
  }
  return points;
}

/** The number of features of an example that may change. */
export function freeCount(run: Run<Labeler>, row: number): number {
  let count = 0;
  for (let j = 0; j < run.width; j++) count += Number(run.free(row * run.width + j));
  return count;
}

/** The mean width of the bounds; infinite where a feature has none. */
export function rangeOf({ width, lower, upper }: Run<Labeler>): number {
  let total = 0;
  for (let j = 0; j < width; j++) total += upper[j]! - lower[j]!;
  return total / width;
}

/** Checks the options that all attacks by questions share. */
export function checkBudget(options: {
  readonly epsilon?: number | undefined;
  readonly queries: number;
  readonly batchSize: number;
  readonly startDraws?: number | undefined;
}): void {
  const { epsilon = Number.POSITIVE_INFINITY, queries, batchSize, startDraws = 1 } = options;
  if (epsilon !== Number.POSITIVE_INFINITY) checkNumber("epsilon", epsilon, { min: 0 });
  checkNumber("queries", queries, { min: 1, integer: true });
  checkNumber("batchSize", batchSize, { min: 1, integer: true });
  checkNumber("startDraws", startDraws, { min: 0, integer: true });
}
