import { expected, type Labeler, type NdArray, type Norm, type Rng, sizeOf } from "@parapet/core";
import { confine, exampleOf, type Script } from "./questions.ts";
import type { Run } from "./run.ts";

/** Options of every attack that begins at a point which reaches the goal already. */
export interface StartOptions {
  /**
   * Points that are likely to reach the goal, `[m, ...inputShape]`, such as known examples of the wanted class or the
   * result of another attack. Each example tries them, the nearest first, before noise is drawn.
   */
  readonly starts?: NdArray;
  /** Most noise images drawn for an example in search of a start; default 200. */
  readonly startDraws?: number;
}

/** Checks `starts` against the model. */
export function checkStarts(run: Run<Labeler>, starts: NdArray | undefined): void {
  if (starts === undefined) return;
  const shape = run.model.inputShape;
  const fits = starts.dtype === "float32" && starts.shape.slice(1).join() === shape.join();
  if (!fits || starts.data.length !== starts.shape[0]! * sizeOf(shape)) {
    throw new TypeError(expected("starts", `float32 of shape [m, ${shape.join(", ")}]`, starts.shape));
  }
}

/** The distance of a point of one example from the example. */
export function gapOf(run: Run<Labeler>, row: number, point: Float32Array, norm: Norm, at = 0): number {
  const example = row * run.width;
  let total = 0;
  for (let j = 0; j < run.width; j++) {
    const difference = Math.abs(point[at + j]! - run.x.data[example + j]!);
    if (norm === "l2") total += difference * difference;
    else if (norm === "l1") total += difference;
    else if (difference > total) total = difference;
  }
  return norm === "l2" ? Math.sqrt(total) : total;
}

/**
 * Looks for points that reach the goal: among the given ones, then noise, in questions of more and more points. Returns
 * what the first question with a success found, the nearest first; nothing where there was none, which is this example's
 * failure only. The first question has `first` points of noise. Another `round` draws other noise, and passes over the
 * given points.
 */
export function* startingPoints(
  run: Run<Labeler>,
  row: number,
  norm: Norm,
  options: StartOptions & { readonly first?: number },
  round = 0,
): Script<Float32Array[]> {
  const { width } = run;
  const { starts, startDraws = 200, first = 12 } = options;
  if (starts !== undefined && round === 0) {
    const given = Array.from({ length: starts.shape[0]! }, (_, i) =>
      confine(run, row, starts.data.slice(i * width, (i + 1) * width)),
    );
    for (const point of nearestFirst(run, row, norm, given)) if ((yield point).reached[0] === 1) return [point];
  }
  const rng = run.rng(row, `start ${round}`);
  for (let drawn = 0, next = first; drawn < startDraws; next *= 2) {
    const count = Math.min(next, startDraws - drawn);
    const points = new Float32Array(count * width);
    for (let i = 0; i < count; i++) drawNoise(run, row, rng, drawn + i, points.subarray(i * width, (i + 1) * width));
    drawn += count;
    const { reached } = yield confine(run, row, points);
    const found: Float32Array[] = [];
    for (let i = 0; i < count; i++) if (reached[i] === 1) found.push(points.slice(i * width, (i + 1) * width));
    if (found.length > 0) return nearestFirst(run, row, norm, found);
  }
  return [];
}

function nearestFirst(run: Run<Labeler>, row: number, norm: Norm, points: Float32Array[]): Float32Array[] {
  const gaps = new Map(points.map((point) => [point, gapOf(run, row, point, norm)]));
  return points.sort((a, b) => gaps.get(a)! - gaps.get(b)!);
}

/**
 * A point near the border to begin at: of all starting points the one behind which the border is nearest, as far as can be
 * told with few queries; undefined where there is none. A walk from there ends at a border that is near, too.
 */
export function* borderStart(
  run: Run<Labeler>,
  row: number,
  norm: Norm,
  options: StartOptions & { readonly first?: number },
): Script<Float32Array | undefined> {
  let best: Float32Array | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const point of yield* startingPoints(run, row, norm, options)) {
    let candidate = point;
    const gap = gapOf(run, row, point, norm);
    if (0.95 * least < gap) {
      candidate = partWay(run, row, norm, point, (0.95 * least) / gap);
      if ((yield candidate).reached[0] === 0) continue;
    }
    best = yield* toBorder(run, row, norm, candidate, 0.05);
    least = gapOf(run, row, best, norm);
  }
  return best;
}

/**
 * Noise of several kinds, in turn, as a model may answer all noise of one kind with the same class: normal around the
 * example, cut off at the bounds; uniform in the bounds, blended with the example; every feature at one of its bounds. A feature without bounds moves by a normal number
 * whose scale grows from draw to draw.
 */
function drawNoise(run: Run<Labeler>, row: number, rng: Rng, draw: number, out: Float32Array): void {
  const { width, lower, upper } = run;
  const example = exampleOf(run, row);
  const kind = draw % 3;
  const share = kind === 1 ? rng.next() : 1;
  const scale = 2 ** (draw / 8);
  for (let j = 0; j < width; j++) {
    const [low, high, from] = [lower[j]!, upper[j]!, example[j]!];
    let to: number;
    if (!Number.isFinite(high - low)) to = from + scale * Math.max(1, Math.abs(from)) * rng.normal();
    else if (kind === 0) to = Math.max(low, Math.min(high, from + (high - low) * rng.normal()));
    else if (kind === 2) to = rng.next() < 0.5 ? low : high;
    else to = low + (high - low) * rng.next();
    out[j] = from + share * (to - from);
  }
}

/**
 * The point at a share of the way from the example to `point`: a blend for l1 and l2; for linf the projection of `point`
 * onto the ball whose radius is that share of its distance.
 */
function partWay(run: Run<Labeler>, row: number, norm: Norm, point: Float32Array, share: number): Float32Array {
  const example = exampleOf(run, row);
  const out = new Float32Array(run.width);
  if (norm === "linf") {
    const radius = share * gapOf(run, row, point, norm);
    for (let j = 0; j < out.length; j++) {
      out[j] = example[j]! + Math.max(-radius, Math.min(radius, point[j]! - example[j]!));
    }
  } else for (let j = 0; j < out.length; j++) out[j] = example[j]! + share * (point[j]! - example[j]!);
  return confine(run, row, out);
}

/**
 * Bisects between the example and a point that reaches the goal. Returns a point that reaches it, at most `tolerance` of
 * the way beyond one that does not.
 */
export function* toBorder(
  run: Run<Labeler>,
  row: number,
  norm: Norm,
  point: Float32Array,
  tolerance: number,
): Script<Float32Array> {
  let inside = 0;
  let outside = 1;
  let best = point;
  while (outside - inside > tolerance) {
    const middle = (inside + outside) / 2;
    const candidate = partWay(run, row, norm, point, middle);
    if ((yield candidate).reached[0] === 1) {
      outside = middle;
      best = candidate;
    } else inside = middle;
  }
  return best;
}
