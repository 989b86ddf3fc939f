import {
  type Attack,
  type AttackContext,
  checkNorm,
  checkNumber,
  createPacer,
  type Goal,
  type NdArray,
  type Norm,
  takeRows,
} from "@parapet/core";
import { Findings, type ThreatModel, threatModel } from "./threat-model.ts";

/** What FGSM, PGD and momentum PGD have in common, all of it given. */
export interface AscentOptions {
  readonly name: string;
  readonly norm: Norm;
  readonly epsilon: number;
  readonly steps: number;
  readonly stepSize: number;
  readonly momentum: number;
  readonly randomStart: boolean;
  /** Whether the first step begins at the random start inside the bounds (PGD), or at the start as drawn (fast FGSM). */
  readonly clipStart: boolean;
  readonly restarts: number;
  readonly earlyStop: boolean;
  readonly batchSize: number;
}

/**
 * Projected steepest ascent of the goal's loss. The gradient is taken at the projected point, never through the
 * projection: a derivative of clipping is zero wherever a pixel has left the bounds, which is half of a digit's
 * background after a random start.
 */
export function gradientAscent(options: AscentOptions): Attack {
  checkNorm(options.norm);
  checkNumber("epsilon", options.epsilon, { min: 0 });
  checkNumber("steps", options.steps, { min: 1, integer: true });
  checkNumber("stepSize", options.stepSize, { min: 0 });
  checkNumber("momentum", options.momentum, { min: 0 });
  checkNumber("restarts", options.restarts, { min: 1, integer: true });
  checkNumber("batchSize", options.batchSize, { min: 1, integer: true });
  const { norm, steps, restarts, batchSize } = options;

  return async (model, input, goal, context) => {
    const threat = threatModel(model, input, goal, context, options);
    const n = threat.x.shape[0]!;
    const findings = new Findings(threat.x);
    const total = n * restarts * (steps + 1);
    let done = 0;
    for (let from = 0; from < n; from += batchSize) {
      const rows = range(from, Math.min(n, from + batchSize));
      for (let restart = 0; restart < restarts; restart++) {
        const open = rows.filter((row) => findings.success[row] === 0);
        if (open.length > 0) {
          await climb(model, threat, goal, context, options, restart, open, findings, (work) => {
            context.onProgress?.({ done: done + work, total });
          });
        }
        done += rows.length * (steps + 1);
        if (restart === restarts - 1) await offerUnmoved(model, threat, goal, context, rows, findings);
        context.onProgress?.({ done, total });
      }
    }
    return findings.result(norm);
  };
}

/** The examples themselves are in the ball, too: one that reaches its goal unmoved must not count as robust. */
async function offerUnmoved(
  model: Parameters<Attack>[0],
  threat: ThreatModel,
  goal: Goal,
  { signal }: AttackContext,
  rows: Int32Array,
  findings: Findings,
): Promise<void> {
  const open = rows.filter((row) => findings.success[row] === 0);
  if (open.length === 0) return;
  const points = takeRows(threat.x, open);
  const keys = Uint32Array.from(open, (row) => threat.keys[row]!);
  const logits = await model.logits(points, signal === undefined ? { keys } : { keys, signal });
  const reached = goal.take(open).isReached(logits).data;
  open.forEach((row, i) => {
    findings.queries[row]!++;
    if (reached[i] === 1) findings.offer(row, points, i, true, 0);
  });
}

/** One run from one start for the examples `rows`. */
async function climb(
  model: Parameters<Attack>[0],
  threat: ThreatModel,
  goal: Goal,
  context: AttackContext,
  options: AscentOptions,
  restart: number,
  rows: Int32Array,
  findings: Findings,
  progress: (work: number) => void,
): Promise<void> {
  const { steps, stepSize, momentum, randomStart, earlyStop } = options;
  const pace = createPacer(context.signal);
  const signal = context.signal === undefined ? {} : { signal: context.signal };
  const stream = context.rng.derive(options.name).derive(restart);
  // A randomised model answers every step with fresh noise, and the last look with the example's own key.
  const keysOf = (salt: number) => ({
    keys: Uint32Array.from(active, (row) => threat.keys[row]! ^ Math.imul(salt, 0x9e3779b1)),
  });

  let active = rows;
  let local = goal.take(active);
  let velocity: Float32Array | undefined;
  let from = randomStart ? threat.start(active, (row) => stream.derive(threat.keys[row]!)) : takeRows(threat.x, active);
  let current = threat.allow(active, from);
  if (options.clipStart) from = current;

  /** Keeps the examples that seem to be there and, by a fresh look, are; returns the indices of the others. */
  const leave = async (seem: Uint8Array, loss: Float32Array): Promise<Int32Array> => {
    const candidates = range(0, active.length).filter((i) => seem[i] === 1);
    const gone = new Set<number>();
    if (candidates.length > 0) {
      const points = takeRows(current, candidates);
      const keys = keysOf(0).keys;
      const logits = await model.logits(points, { ...signal, keys: Uint32Array.from(candidates, (i) => keys[i]!) });
      const reached = local.take(candidates).isReached(logits).data;
      candidates.forEach((i, at) => {
        findings.queries[active[i]!]!++;
        if (reached[at] === 0) return;
        findings.offer(active[i]!, points, at, true, loss[i]!);
        gone.add(i);
      });
    }
    return range(0, active.length).filter((i) => !gone.has(i));
  };

  for (let step = 0; step < steps; step++) {
    await pace();
    const { logits, value, gradient } = await model.gradient(current, local.loss, { ...signal, ...keysOf(step + 1) });
    for (const row of active) {
      findings.queries[row]!++;
      findings.gradients[row]!++;
    }
    let ascent = gradient;
    if (earlyStop) {
      const left = await leave(local.isReached(logits).data, value.data);
      if (left.length === 0) return;
      if (left.length < active.length) {
        velocity = velocity && takeRows({ ...gradient, data: velocity }, left).data;
        ascent = takeRows(gradient, left);
        from = takeRows(from, left);
        active = left.map((i) => active[i]!);
        local = goal.take(active);
      }
    }
    if (momentum > 0) {
      velocity = accumulate(velocity, ascent, momentum);
      ascent = { ...ascent, data: velocity };
    }
    current = threat.step(active, from, ascent, stepSize);
    from = current;
    progress(rows.length * (step + 1));
  }

  await pace();
  const logits = await model.logits(current, { ...signal, ...keysOf(0) });
  const reached = local.isReached(logits).data;
  const value = local.loss.value(logits).data;
  active.forEach((row, i) => {
    findings.queries[row]!++;
    findings.offer(row, current, i, reached[i] === 1, value[i]!);
  });
}

/** Momentum as in MI-FGSM: the old direction decays, the new one enters with l1 length 1. */
function accumulate(velocity: Float32Array | undefined, gradient: NdArray, decay: number): Float32Array {
  const n = gradient.shape[0]!;
  const width = gradient.data.length / n;
  const next = new Float32Array(gradient.data.length);
  for (let i = 0; i < n; i++) {
    let length = 0;
    for (let j = i * width; j < (i + 1) * width; j++) length += Math.abs(gradient.data[j]!);
    const scale = length > 0 && Number.isFinite(length) ? 1 / length : 0;
    for (let j = i * width; j < (i + 1) * width; j++) {
      next[j] = decay * (velocity?.[j] ?? 0) + (scale === 0 ? 0 : scale * gradient.data[j]!);
    }
  }
  return next;
}

function range(from: number, to: number): Int32Array {
  return Int32Array.from({ length: to - from }, (_, i) => from + i);
}
