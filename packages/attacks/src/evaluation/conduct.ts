import { type Rate, wilson } from "@parapet/core";
import { range } from "../shared/run.ts";
import { sha256 } from "./bytes.ts";
import type {
  AttackPiece,
  AttackSummary,
  Checkpoint,
  ExampleRecord,
  Exhibit,
  Finding,
  Outcome,
  RobustnessEvaluation,
} from "./evaluation.ts";
import { robustnessEvaluationType } from "./evaluation.ts";
import { reachOf } from "./judge.ts";
import { boundsAsJson, type EvaluationOptions, fingerprintOf, type Problem } from "./problem.ts";
import { defaultRadii, securityCurve } from "./security-curve.ts";
import type { Execute } from "./work.ts";

/** What of the options is left for whoever leads the work. */
export type Direction = Pick<
  EvaluationOptions,
  "subject" | "versions" | "command" | "resume" | "onCheckpoint" | "onProgress" | "signal"
>;

/**
 * Leads an evaluation: cuts it into pieces, has at most `lanes` of them done at a time, and puts the results together
 * in an order that does not depend on who was finished first.
 */
export async function conduct(
  problem: Problem,
  direction: Direction,
  execute: Execute,
  lanes: number,
): Promise<RobustnessEvaluation> {
  const { attacks, checks, batchSize, labels, cascade } = problem;
  const { signal, onProgress, onCheckpoint } = direction;
  const n = labels.length;
  const batches: number[][] = [];
  for (let from = 0; from < n; from += batchSize) batches.push([...range(from, Math.min(n, from + batchSize))]);

  const total = batches.length * (1 + attacks.length) + checks.length;
  let finished = 0;
  let told = 0;
  const parts = new Map<object, number>();
  const tell = (task: string): void => {
    let done = finished;
    for (const part of parts.values()) done += part;
    told = Math.max(told, Math.min(total, done));
    onProgress?.({ done: told, total, task });
  };
  /** Has one piece done and tells how far it is. */
  const piece = async <T>(task: string, run: (share: (part: number) => void) => Promise<T>): Promise<T> => {
    signal?.throwIfAborted();
    const mark = {};
    const result = await run((part) => {
      parts.set(mark, Math.min(1, part));
      tell(task);
    });
    parts.delete(mark);
    finished++;
    tell(task);
    return result;
  };

  const clean = { answers: new Int32Array(n), right: new Uint8Array(n) };
  let witness: readonly number[] = [];
  await inLanes(
    lanes,
    batches.map((rows) => async () => {
      const result = await piece("clean", (share) => execute({ kind: "clean", rows }, share));
      if (rows[0] === 0) witness = result.witness;
      rows.forEach((row, i) => {
        clean.answers[row] = result.answers[i]!;
        clean.right[row] = result.right[i]!;
      });
    }),
  );

  const kept = new Map<string, Checkpoint["result"]>();
  for (const old of direction.resume ?? []) if (isSame(old.witness, witness)) kept.set(old.id, old.result);
  const head = headOf(problem, direction, clean.answers);
  /** A piece that was finished earlier, or is finished now. */
  const resumable = async <T extends Checkpoint["result"]>(what: object, run: () => Promise<T>): Promise<T> => {
    const id = await sha256(JSON.stringify({ ...head, ...what }));
    const old = kept.get(id);
    if (old !== undefined) return old as T;
    const result = await run();
    await onCheckpoint?.({ id, witness, result });
    return result;
  };

  const table: (Outcome | null)[][] = Array.from({ length: n }, () => []);
  const exhibits = new Map<string, Exhibit>();
  const againstBatch = (batch: readonly number[]) => async () => {
    let rows = batch.filter((row) => clean.right[row] === 1);
    for (let a = 0; a < attacks.length; a++) {
      const { name, norm, epsilon, kind, parameters } = attacks[a]!;
      const asked = rows;
      for (const row of batch) table[row]![a] = null;
      await piece(name, async (share) => {
        if (asked.length === 0) return;
        const what = { attack: { name, norm, epsilon: String(epsilon), kind, parameters }, rows: asked };
        const result = await resumable<AttackPiece>({ ...what, exhibits: problem.exhibits }, () =>
          execute({ kind: "attack", attack: a, rows: asked }, share),
        );
        asked.forEach((row, i) => {
          table[row]![a] = result.outcomes[i]!;
        });
        for (const exhibit of result.exhibits) exhibits.set(`${exhibit.index}:${a}`, exhibit);
      });
      if (cascade) rows = rows.filter((row) => table[row]![a]?.broken !== true);
    }
  };

  const probes = [...range(0, n)].filter((row) => clean.right[row] === 1).slice(0, problem.checkExamples);
  const findings: Finding[] = [];
  const looking = (c: number) => async () => {
    const { name } = checks[c]!;
    findings[c] = await piece(name, (share) => {
      const why = probes.length === 0 ? "No example is answered rightly." : "The radius is 0.";
      if (probes.length === 0 || problem.epsilon === 0) {
        return Promise.resolve({ name, flag: null, says: why, evidence: {}, advice: "", adaptive: [] });
      }
      const what = {
        check: name,
        rows: probes,
        attacks: attacks.map(({ name, norm, epsilon, kind, parameters }) => [
          name,
          norm,
          String(epsilon),
          kind,
          parameters,
        ]),
      };
      return resumable<Finding>(what, () => execute({ kind: "check", check: c, rows: probes }, share));
    });
  };
  await inLanes(lanes, [...batches.map(againstBatch), ...checks.map((_, c) => looking(c))]);
  signal?.throwIfAborted();

  return assemble(problem, direction, clean, table, exhibits, findings);
}

/** Runs jobs in their order, at most `lanes` at a time. The first failure ends them all. */
async function inLanes(lanes: number, jobs: readonly (() => Promise<void>)[]): Promise<void> {
  let next = 0;
  let failed = false;
  const lane = async () => {
    while (next < jobs.length && !failed) {
      try {
        await jobs[next++]!();
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, jobs.length) }, lane));
}

/** Whether logits are the same but for what other threads or another machine make of float32. */
function isSame(old: readonly number[], now: readonly number[]): boolean {
  const scale = now.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return old.length === now.length && now.every((value, i) => !(Math.abs(value - old[i]!) > 1e-4 * scale));
}

/** What every piece depends on, but for the model's exact weights: those are known by the digest, where it was given. */
function headOf(problem: Problem, { subject }: Direction, answers: Int32Array): object {
  const { digest, norm, epsilon, mask } = problem;
  return {
    subject: subject?.digest ?? null,
    answers: [...answers].join(),
    digest,
    threat: { norm, epsilon, mask: mask === undefined ? null : [...mask.data].join("") },
    fingerprint: fingerprintOf(problem.rng),
  };
}

/** Puts the pieces together. */
function assemble(
  problem: Problem,
  { subject, versions, command }: Direction,
  clean: { readonly answers: Int32Array; readonly right: Uint8Array },
  table: readonly (readonly (Outcome | null)[])[],
  exhibits: ReadonlyMap<string, Exhibit>,
  checks: readonly Finding[],
): RobustnessEvaluation {
  const { about, attacks, labels, keys, norm, epsilon, confidence, cascade } = problem;
  const n = labels.length;
  const rate = (count: number, total = n): Rate => wilson(count, total, { confidence });

  const nearest = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
  const examples = table.map((outcomes, index): ExampleRecord => {
    const right = clean.right[index] === 1;
    let by: string | null = null;
    if (!right) nearest[index] = 0;
    outcomes.forEach((outcome, a) => {
      const size = outcome?.distance ?? Number.POSITIVE_INFINITY;
      if (attacks[a]!.norm !== norm || !(size < nearest[index]!)) return;
      nearest[index] = size;
      by = attacks[a]!.name;
    });
    const first = outcomes.findIndex((outcome) => outcome?.broken === true);
    const sum = (what: "queries" | "gradients") => outcomes.reduce((all, outcome) => all + (outcome?.[what] ?? 0), 0);
    return {
      index,
      label: labels[index]!,
      answer: clean.answers[index]!,
      clean: right,
      robust: right && first < 0,
      brokenBy: first < 0 ? null : attacks[first]!.name,
      nearest: Number.isFinite(nearest[index]) ? nearest[index]! : null,
      nearestBy: by,
      queries: sum("queries"),
      gradients: sum("gradients"),
      key: keys[index]!,
      attacks: outcomes,
    };
  });

  const summaries = attacks.map((attack, a): AttackSummary => {
    const run = examples.flatMap(({ attacks: outcomes }) => outcomes[a] ?? []);
    const broke = run.filter(({ broken }) => broken).length;
    const before = (example: ExampleRecord) =>
      example.attacks.slice(cascade ? 0 : a, a + 1).some((outcome) => outcome?.broken === true);
    return {
      name: attack.name,
      norm: attack.norm,
      epsilon: Number.isFinite(attack.epsilon) ? attack.epsilon : null,
      goal: attack.kind,
      parameters: attack.parameters,
      accuracy: rate(examples.filter((example) => example.clean && !before(example)).length),
      success: run.length === 0 ? null : rate(broke, run.length),
      first: examples.filter(({ brokenBy }) => brokenBy === attack.name).length,
      medianDistance: medianOf(run.map(({ distance }) => distance ?? Number.POSITIVE_INFINITY)),
      queries: run.reduce((sum, { queries }) => sum + queries, 0),
      gradients: run.reduce((sum, { gradients }) => sum + gradients, 0),
    };
  });

  const farthest = nearest.reduce((most, size) => (Number.isFinite(size) ? Math.max(most, size) : most), 0);
  const radii = problem.radii ?? defaultRadii(epsilon, farthest, problem.reach);
  const shown = examples.flatMap(({ index, brokenBy }) => {
    const a = attacks.findIndex(({ name }) => name === brokenBy);
    return exhibits.get(`${index}:${a}`) ?? [];
  });
  return {
    schema: robustnessEvaluationType,
    subject: subject ?? null,
    model: { inputShape: [...about.inputShape], numClasses: about.numClasses, bounds: boundsAsJson(about) },
    data: { examples: n, digest: { sha256: problem.digest } },
    threat: { norm, epsilon, masked: problem.mask !== undefined },
    randomness: { seed: problem.seed, fingerprint: fingerprintOf(problem.rng) },
    cascade,
    confidence,
    versions: { ...versions },
    command: command ?? null,
    clean: rate(examples.filter((example) => example.clean).length),
    robust: rate(examples.filter((example) => example.robust).length),
    attacks: summaries,
    curve: securityCurve(nearest, radii, { confidence, reach: (radius) => reachOf(radius, about.bounds) }),
    checks,
    examples,
    exhibits: shown.slice(0, problem.exhibits),
  };
}

/** The median where failures are infinite; null where it is one of them, or there is nothing. */
function medianOf(distances: readonly number[]): number | null {
  if (distances.length === 0) return null;
  const sorted = Float64Array.from(distances).sort();
  const middle = (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
  return Number.isFinite(middle) ? middle : null;
}
