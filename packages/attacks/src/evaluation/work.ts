import { type CallOptions, type DifferentiableClassifier, type Labeler, takeRows } from "@parapet/core";
import type { CheckSubject } from "../checks/check.ts";
import { toBase64 } from "./bytes.ts";
import type { AttackPiece, Exhibit, Finding, Outcome } from "./evaluation.ts";
import { answersOf, judge } from "./judge.ts";
import { contextOf, type Problem } from "./problem.ts";

/** A piece of an evaluation: plain data, so that another thread can be asked for it. */
export type Task =
  | { readonly kind: "clean"; readonly rows: readonly number[] }
  | { readonly kind: "attack"; readonly attack: number; readonly rows: readonly number[] }
  | { readonly kind: "check"; readonly check: number; readonly rows: readonly number[] };

/** The model's answers to the examples themselves, and 1 where they are right. */
export interface CleanPiece {
  readonly answers: readonly number[];
  readonly right: readonly number[];
  /** The first logits, at most 16, by which a model can be recognised. */
  readonly witness: readonly number[];
}

/** What each kind of task gives. */
export interface Results {
  readonly clean: CleanPiece;
  readonly attack: AttackPiece;
  readonly check: Finding;
}

/** Who does the work. */
export type Execute = <T extends Task>(task: T, onProgress: (share: number) => void) => Promise<Results[T["kind"]]>;

/** Does one piece. What comes out depends on the model, the problem and the task alone. */
export async function work(
  model: Labeler,
  problem: Problem,
  task: Task,
  signal: AbortSignal | undefined,
  onProgress: (share: number) => void,
): Promise<Results[keyof Results]> {
  const { rows } = task;
  const x = takeRows(problem.x, rows);
  const labels = Int32Array.from(rows, (row) => problem.labels[row]!);
  const keys = Uint32Array.from(rows, (row) => problem.keys[row]!);
  const call: CallOptions = signal === undefined ? { keys } : { keys, signal };
  signal?.throwIfAborted();

  if (task.kind === "clean") {
    const { answers, wrong, finite, logits } = await answersOf(model, x, labels, call);
    const right = Array.from(wrong, (mark, i) => Number(mark === 0 && finite[i] === 1));
    return { answers: Array.from(answers), right, witness: Array.from(logits.subarray(0, 16)) };
  }

  if (task.kind === "attack") {
    const { name, attack, goal, norm, reach } = problem.attacks[task.attack]!;
    const result = await attack(
      model as DifferentiableClassifier,
      x,
      goal(problem.labels).take(Int32Array.from(rows)),
      {
        ...contextOf(problem, rows, problem.rng.derive("attack").derive(name), signal),
        onProgress: ({ done, total }) => onProgress(total > 0 ? done / total : 0),
      },
    );
    const { answers, distance } = await judge(model, x, labels, result.adversarial, norm, call);
    const outcomes = rows.map((_, i): Outcome => {
      const size = distance[i]!;
      return {
        broken: size <= reach,
        distance: Number.isFinite(size) ? size : null,
        answer: answers[i]!,
        queries: result.queries.data[i]!,
        gradients: result.gradients.data[i]!,
      };
    });
    // The first of all examples that are broken are among the first of this piece, whoever breaks them first.
    const exhibits: Exhibit[] = [];
    for (let i = 0; i < rows.length && exhibits.length < problem.exhibits; i++) {
      if (!outcomes[i]!.broken) continue;
      const data = toBase64(takeRows(result.adversarial, [i]).data);
      exhibits.push({ index: rows[i]!, attack: name, answer: outcomes[i]!.answer, data });
    }
    return { outcomes, exhibits };
  }

  const check = problem.checks[task.check]!;
  const { mask } = contextOf(problem, rows, problem.rng, signal);
  const subject: CheckSubject = {
    model,
    x,
    labels,
    keys,
    norm: problem.norm,
    epsilon: problem.epsilon,
    attacks: problem.attacks,
    rng: problem.rng.derive("check").derive(check.name),
    ...(mask === undefined ? {} : { mask }),
    ...(signal === undefined ? {} : { signal }),
  };
  const verdict = await check.run(subject);
  return { name: check.name, ...verdict };
}
