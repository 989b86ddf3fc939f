import {
  createPacer,
  type DifferentiableClassifier,
  type Loss,
  type NdArray,
  type Norm,
  type Rng,
} from "@parapet/core";
import { projectOntoL1BallAndBox } from "./l1-box.ts";
import { confirmed, keepRows, pointsOf, randomDirection } from "./rows.ts";
import { type Run, range } from "./run.ts";

/** How Auto-PGD climbs. */
export interface ApgdClimb {
  readonly norm: Norm;
  /** Balls one after the other; only what is found in the last one counts. */
  readonly phases: readonly { readonly epsilon: number; readonly steps: number }[];
  readonly rho: number;
  /** Gradients averaged for each step. */
  readonly samples: number;
  readonly lossOf: (rows: Int32Array) => Loss;
  /** 1 where a feature may change, for the whole batch. */
  readonly free: Uint8Array | undefined;
  readonly rng: (row: number) => Rng;
  /** The salt of the first gradient; the next ones count up. */
  readonly salt: number;
  /** Takes a point that reaches the goal. */
  readonly reached: (row: number, points: NdArray, i: number) => void;
  readonly progress: (step: number) => void;
}

/**
 * The steps after which Auto-PGD looks back: 22 % of all, then in intervals that shrink by 3 % of all, down to 6 %.
 *
 * Source: https://arxiv.org/abs/2003.01690, section 3.1, with whole steps as in the authors' code.
 */
export function apgdCheckpoints(steps: number): number[] {
  const share = (part: number) => Math.max(Math.floor(part * steps), 1);
  const checkpoints: number[] = [];
  let interval = share(0.22);
  for (let at = interval; at <= steps; at += interval) {
    checkpoints.push(at);
    interval = Math.max(interval - share(0.03), share(0.06));
  }
  return checkpoints;
}

/** One run of Auto-PGD for the examples `rows`; returns those that held, and the best point of each. */
export async function climb(
  run: Run<DifferentiableClassifier>,
  rows: Int32Array,
  options: ApgdClimb,
): Promise<{ readonly rows: Int32Array; readonly best: Float32Array }> {
  const { norm, phases, samples, lossOf } = options;
  const { width, x, lower, upper } = run;
  const pace = createPacer(run.signal);
  const m = rows.length;
  let { salt } = options;
  let active = rows;
  let goal = run.goal.take(active);
  let loss = lossOf(active);

  const current = new Float32Array(m * width);
  const previous = new Float32Array(m * width);
  const best = new Float32Array(m * width);
  const gradient = new Float32Array(m * width);
  const bestGradient = new Float32Array(m * width);
  const stepSize = new Float64Array(m);
  const value = new Float64Array(m);
  const before = new Float64Array(m);
  const bestValue = new Float64Array(m);
  const checkedValue = new Float64Array(m);
  const gains = new Int32Array(m);
  const halved = new Uint8Array(m);
  const share = new Float64Array(m); // l1: the share of features that a step moves
  const changed = new Float64Array(m); // l1: how many features the best point changes

  const direction = new Float64Array(width);
  const sizes = new Float32Array(width);
  // In l1 the start is a normal point as wide as the bounds, projected: most of its entries become 0.
  const spread = Float64Array.from({ length: width }, (_, j) => {
    const range = upper[j]! - lower[j]!;
    return width * (Number.isFinite(range) ? range : phases[0]!.epsilon);
  });

  /** Writes the nearest point of the ball around example `row` and the box to x + direction. */
  const settle = (row: number, epsilon: number, out: Float32Array, to: number): void => {
    const at = row * width;
    if (norm === "l1") projectOntoL1BallAndBox(direction, x.data, at, lower, upper, epsilon);
    let scale = 1;
    if (norm === "l2") {
      let squares = 0;
      for (let j = 0; j < width; j++) squares += direction[j]! * direction[j]!;
      if (squares > epsilon * epsilon) scale = epsilon / Math.sqrt(squares);
    }
    for (let j = 0; j < width; j++) {
      let d = scale * direction[j]!;
      if (norm === "linf") d = Math.max(-epsilon, Math.min(epsilon, d));
      const point = x.data[at + j]! + d;
      out[to + j] = Math.max(lower[j]!, Math.min(upper[j]!, point));
    }
  };

  /** One step of row i, from `current` to `current`; the old point becomes `previous`. */
  const step = (i: number, epsilon: number, momentum: number): void => {
    const from = i * width;
    const at = active[i]! * width;
    if (norm === "l1") {
      // The entries as large as the one at the share's place move, all by the same amount.
      for (let j = 0; j < width; j++) sizes[j] = Math.abs(gradient[from + j]!);
      sizes.sort();
      const least = sizes[Math.floor(Math.min(Math.max((1 - share[i]!) * width, 0), width - 1))]!;
      let count = 0;
      for (let j = 0; j < width; j++) if (gradient[from + j] !== 0 && Math.abs(gradient[from + j]!) >= least) count++;
      const move = count === 0 ? 0 : stepSize[i]! / count;
      for (let j = 0; j < width; j++) {
        const g = gradient[from + j]!;
        previous[from + j] = current[from + j]!;
        direction[j] = current[from + j]! - x.data[at + j]! + (Math.abs(g) >= least ? move * Math.sign(g) : 0);
      }
      settle(active[i]!, epsilon, current, from);
      return;
    }
    let scale = stepSize[i]!;
    if (norm === "l2") {
      let squares = 0;
      for (let j = 0; j < width; j++) squares += gradient[from + j]! * gradient[from + j]!;
      scale = squares > 0 ? scale / Math.sqrt(squares) : 0;
    }
    for (let j = 0; j < width; j++) {
      const g = gradient[from + j]!;
      direction[j] = current[from + j]! - x.data[at + j]! + scale * (norm === "l2" ? g : Math.sign(g));
    }
    const aim = sizes;
    settle(active[i]!, epsilon, aim, 0);
    for (let j = 0; j < width; j++) {
      const here = current[from + j]!;
      direction[j] =
        here + (aim[j]! - here) * momentum + (here - previous[from + j]!) * (1 - momentum) - x.data[at + j]!;
      previous[from + j] = here;
    }
    settle(active[i]!, epsilon, current, from);
  };

  /** Asks for loss and gradient at `current`; examples that are there leave, where that counts. */
  const evaluate = async (counts: boolean): Promise<void> => {
    const points = pointsOf(run, current, active.length);
    const seem = new Uint8Array(active.length);
    value.fill(0);
    for (let sample = 0; sample < samples; sample++) {
      await pace();
      const answer = await run.gradient(points, active, loss, salt++);
      const reached = goal.isReached(answer.logits).data;
      const fresh = answer.gradient.data;
      for (let i = 0; i < active.length; i++) {
        seem[i]! |= reached[i]!;
        value[i]! += answer.value.data[i]! / samples;
      }
      if (sample === 0) gradient.set(fresh);
      else for (let at = 0; at < fresh.length; at++) gradient[at]! += fresh[at]!;
    }
    for (let i = 0; i < active.length; i++) {
      const [from, at] = [i * width, active[i]! * width];
      if (Number.isNaN(value[i]!)) value[i] = Number.NEGATIVE_INFINITY;
      let sound = true;
      for (let j = 0; j < width; j++) {
        if (!Number.isFinite(gradient[from + j]!)) sound = false;
        if (options.free !== undefined && options.free[at + j] === 0) gradient[from + j] = 0;
      }
      if (!sound) for (let j = 0; j < width; j++) if (!Number.isFinite(gradient[from + j]!)) gradient[from + j] = 0;
    }
    if (!counts) return;
    const sure = await confirmed(run, goal, points, active, seem);
    if (!sure.includes(1)) return;
    for (let i = 0; i < active.length; i++) if (sure[i] === 1) options.reached(active[i]!, points, i);
    const left = range(0, active.length).filter((i) => sure[i] === 0);
    for (const wide of [current, previous, best, gradient, bestGradient]) keepRows(wide, left, width);
    for (const narrow of [stepSize, value, before, bestValue, checkedValue, gains, halved, share, changed]) {
      keepRows(narrow, left);
    }
    active = left.map((i) => active[i]!);
    goal = goal.take(left);
    loss = lossOf(active);
  };

  const changedBy = (points: Float32Array, i: number): number => {
    let count = 0;
    const at = active[i]! * width;
    for (let j = 0; j < width; j++) if (points[i * width + j] !== x.data[at + j]) count++;
    return count;
  };
  const remember = (i: number): void => {
    bestValue[i] = value[i]!;
    best.set(current.subarray(i * width, (i + 1) * width), i * width);
    bestGradient.set(gradient.subarray(i * width, (i + 1) * width), i * width);
  };
  const backToBest = (i: number): void => {
    current.set(best.subarray(i * width, (i + 1) * width), i * width);
    gradient.set(bestGradient.subarray(i * width, (i + 1) * width), i * width);
  };

  let made = 0;
  for (const [phase, { epsilon, steps }] of phases.entries()) {
    const counts = phase === phases.length - 1;
    const firstStep = (norm === "l1" ? 1 : 2) * epsilon;
    for (let i = 0; i < active.length; i++) {
      const row = active[i]!;
      if (phase === 0) {
        randomDirection(norm, options.rng(row), direction, options.free, row * width);
        for (let j = 0; j < width; j++) direction[j]! *= norm === "l1" ? spread[j]! : epsilon;
      } else {
        for (let j = 0; j < width; j++) direction[j] = best[i * width + j]! - x.data[row * width + j]!;
      }
      settle(row, epsilon, current, i * width);
    }
    previous.set(current);
    await evaluate(counts);
    for (let i = 0; i < active.length; i++) {
      stepSize[i] = firstStep;
      remember(i);
      checkedValue[i] = before[i] = value[i]!;
      gains[i] = 0;
      halved[i] = 1;
      changed[i] = phase === 0 && phases.length === 1 ? width : changedBy(current, i);
      share[i] = phase === 0 && phases.length === 1 ? 0.2 : changed[i]! / width / 1.5;
    }

    const checkpoints = norm === "l1" ? undefined : apgdCheckpoints(steps);
    const every = Math.max(Math.floor(0.04 * steps), 1);
    let lastCheck = 0;
    for (let at = 1; at <= steps && active.length > 0; at++) {
      for (let i = 0; i < active.length; i++) step(i, epsilon, at === 1 ? 1 : 0.75);
      await evaluate(counts);
      const due = checkpoints === undefined ? at % every === 0 : checkpoints.includes(at);
      for (let i = 0; i < active.length; i++) {
        if (value[i]! > before[i]!) gains[i]!++;
        before[i] = value[i]!;
        if (value[i]! > bestValue[i]!) remember(i);
        if (!due) continue;
        if (norm === "l1") {
          const now = changedBy(best, i);
          const sparser = now / changed[i]! < 0.95;
          share[i] = now / width / 1.5;
          stepSize[i] = sparser ? firstStep : Math.max(stepSize[i]! / 1.5, firstStep / 10);
          changed[i] = now;
          if (sparser) backToBest(i);
        } else {
          const stuck = halved[i] === 0 && checkedValue[i]! >= bestValue[i]!;
          const halve = gains[i]! <= options.rho * (at - lastCheck) || stuck;
          halved[i] = Number(halve);
          checkedValue[i] = bestValue[i]!;
          gains[i] = 0;
          if (halve) {
            stepSize[i]! /= 2;
            backToBest(i);
          }
        }
      }
      if (due) lastCheck = at;
      options.progress(++made);
    }
    made = phases.slice(0, phase + 1).reduce((sum, done) => sum + done.steps, 0);
  }
  return { rows: active, best };
}
