import { parentPort, workerData } from "node:worker_threads";
import { createRng, type Labeler, type NdArray } from "@parapet/core";
import { type EvaluationOptions, problemOf } from "../evaluation/problem.ts";
import { type Task, work } from "../evaluation/work.ts";

/** What a module says about an evaluation that is shared by threads. */
export interface EvaluationModule {
  /** Makes the model, in each worker anew; `threads` is the worker's share of the cores. */
  readonly createModel: (share: { readonly threads: number; readonly worker: number }) => Labeler | Promise<Labeler>;
  /** As in `evaluateRobustness`. */
  readonly attacks: EvaluationOptions["attacks"];
  readonly checks?: EvaluationOptions["checks"];
}

/** What a worker is given. */
export interface WorkerSettings {
  /** The file that exports `evaluationWorker`, and the caller's module. */
  readonly entry: string;
  readonly module: string;
  readonly threads: number;
  readonly worker: number;
  readonly x: NdArray;
  readonly labels: Int32Array;
  readonly options: Pick<
    EvaluationOptions,
    "norm" | "epsilon" | "mask" | "cascade" | "checkExamples" | "exhibits" | "radii" | "confidence" | "batchSize"
  > & { readonly seed: number | string };
}

/** What a worker says. */
export type Message =
  | { readonly kind: "ready"; readonly about: Pick<Labeler, "inputShape" | "numClasses" | "bounds"> }
  | { readonly kind: "progress"; readonly id: number; readonly share: number }
  | { readonly kind: "done"; readonly id: number; readonly result: unknown }
  | { readonly kind: "failed"; readonly id: number | undefined; readonly error: unknown; readonly code: unknown };

/**
 * What runs in each worker of `evaluateInWorkers`, which starts it: not to be called.
 *
 * @returns when it is ready to work
 *
 * @example
 * ```ts
 * import { evaluationWorker } from "@parapet/attacks/node";
 * console.log(typeof evaluationWorker); // => function
 * ```
 */
export async function evaluationWorker(): Promise<void> {
  const port = parentPort!;
  const say = (message: Message) => port.postMessage(message);
  const fail = (id: number | undefined, error: unknown) =>
    say({ kind: "failed", id, error, code: (error as { code?: unknown })?.code });
  try {
    const { module, threads, worker, x, labels, options } = workerData as WorkerSettings;
    const { createModel, attacks, checks } = (await import(module)) as EvaluationModule;
    const model = await createModel({ threads, worker });
    const problem = await problemOf(model, x, labels, {
      ...options,
      attacks,
      rng: createRng(options.seed),
      ...(checks === undefined ? {} : { checks }),
    });
    port.on("message", async ({ id, task }: { id: number; task: Task }) => {
      try {
        const result = await work(model, problem, task, undefined, (share) => say({ kind: "progress", id, share }));
        say({ kind: "done", id, result });
      } catch (error) {
        fail(id, error);
      }
    });
    const { inputShape, numClasses, bounds } = model;
    say({ kind: "ready", about: { inputShape, numClasses, bounds } });
  } catch (error) {
    fail(undefined, error);
  }
}
