import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import {
  checkNumber,
  createRng,
  expected,
  type Labeler,
  type Labels,
  type NdArray,
  ParapetError,
  toLabels,
} from "@parapet/core";
import { conduct } from "../evaluation/conduct.ts";
import type { RobustnessEvaluation } from "../evaluation/evaluation.ts";
import { type EvaluationOptions, problemOf } from "../evaluation/problem.ts";
import type { Execute, Task } from "../evaluation/work.ts";
import { openCheckpoints } from "./checkpoints.ts";
import type { EvaluationModule, Message, WorkerSettings } from "./worker.ts";

/** Options of `evaluateInWorkers`: those of `evaluateRobustness` that can be sent to a thread, and the threads. */
export interface WorkersOptions extends Omit<EvaluationOptions, "attacks" | "checks" | "rng" | "seed"> {
  /** Path or URL of a module that exports `createModel` and `attacks`, and `checks` where they are not the default ones. */
  readonly module: string | URL;
  readonly seed: number | string;
  /** Threads; default: one for each core. */
  readonly workers?: number;
  /** Cores to be shared out among them; default: all that the process may use. */
  readonly cores?: number;
  /** A file of checkpoints (see `openCheckpoints`): read before, written as the work goes on. */
  readonly checkpoint?: string;
}

/**
 * `evaluateRobustness` in worker threads: each makes its own model and gets its share of the cores, and they divide the
 * batches and the checks. The result is the one of a single thread, byte for byte, as long as the model's answers do
 * not depend on its number of threads.
 *
 * @param x - test examples, shape [n, ...inputShape]
 * @param labels - n true classes
 * @param options - the module, norm, epsilon and seed; see `WorkersOptions`
 * @returns the evaluation
 * @throws what `evaluateRobustness` throws; what the module throws; ParapetError `attacks/worker-ended` when a thread
 *   ends before its work
 *
 * The module, say `model.mjs`, is `export const createModel = ({ threads }) => ...` and
 * `export const attacks = { pgd: pgd({ epsilon: 0.3 }) }`.
 *
 * @example
 * ```ts
 * import { evaluateInWorkers } from "@parapet/attacks/node";
 * import { ndArray } from "@parapet/core";
 * const module = "data:text/javascript,export const attacks = {};"; // no createModel
 * const options = { module, norm: "linf", epsilon: 0.3, seed: 7, workers: 2 } as const;
 * const failure = await evaluateInWorkers(ndArray([0, 1], [1, 2]), [0], options).catch((error) => error.message);
 * console.log(failure); // => "module" expected a module that exports createModel, got undefined
 * ```
 */
export async function evaluateInWorkers(
  x: NdArray,
  labels: Labels,
  options: WorkersOptions,
): Promise<RobustnessEvaluation> {
  const { module, seed, checkpoint, signal, resume, onCheckpoint, onProgress, subject, versions, command, ...rest } =
    options;
  const { cores: _cores, workers: _workers, ...settings } = rest;
  signal?.throwIfAborted();
  const cores = checkNumber("cores", options.cores ?? availableParallelism(), { min: 1, integer: true });
  const workers = checkNumber("workers", options.workers ?? cores, { min: 1, integer: true });
  const href = module instanceof URL ? module.href : /^[a-z]{2,}:/i.test(module) ? module : pathToFileURL(module).href;
  const exported = (await import(href)) as EvaluationModule;
  if (typeof exported.createModel !== "function") {
    throw new TypeError(expected("module", "a module that exports createModel", exported.createModel));
  }
  const truth = toLabels(labels);
  const shared: Omit<WorkerSettings, "worker"> = {
    entry: import.meta.url,
    module: href,
    threads: Math.max(1, Math.floor(cores / workers)),
    x,
    labels: truth,
    options: { ...settings, seed },
  };
  const file = checkpoint === undefined ? undefined : await openCheckpoints(checkpoint);
  const pool: Thread[] = [];
  const stop = () => pool.map((thread) => thread.stop(signal?.reason));
  signal?.addEventListener("abort", stop);
  try {
    for (let worker = 0; worker < workers; worker++) pool.push(startThread({ ...shared, worker }));
    const [about] = await Promise.all(pool.map((thread) => thread.ready));
    const problem = await problemOf(about!, x, truth, {
      ...settings,
      attacks: exported.attacks,
      rng: createRng(seed),
      seed,
      ...(exported.checks === undefined ? {} : { checks: exported.checks }),
    });
    const idle = [...pool];
    const execute = (async (task, share) => {
      const thread = idle.pop()!;
      try {
        return await thread.run(task, share);
      } finally {
        idle.push(thread);
      }
    }) as Execute;
    return await conduct(
      problem,
      {
        resume: [...(file?.pieces ?? []), ...(resume ?? [])],
        async onCheckpoint(piece) {
          await file?.append(piece);
          await onCheckpoint?.(piece);
        },
        ...(onProgress === undefined ? {} : { onProgress }),
        ...(signal === undefined ? {} : { signal }),
        ...(subject === undefined ? {} : { subject }),
        ...(versions === undefined ? {} : { versions }),
        ...(command === undefined ? {} : { command }),
      },
      execute,
      workers,
    );
  } finally {
    signal?.removeEventListener("abort", stop);
    await Promise.all(stop());
    await file?.close();
  }
}

/** A worker from the outside. */
interface Thread {
  readonly ready: Promise<Pick<Labeler, "inputShape" | "numClasses" | "bounds">>;
  /** One task at a time. */
  run(task: Task, onProgress: (share: number) => void): Promise<unknown>;
  stop(reason?: unknown): Promise<unknown>;
}

function startThread(settings: WorkerSettings): Thread {
  const code = 'import(require("node:worker_threads").workerData.entry).then((entry) => entry.evaluationWorker());';
  const worker = new Worker(code, { eval: true, workerData: settings });
  let next = 0;
  let failure: { readonly reason: unknown } | undefined;
  let onShare: ((share: number) => void) | undefined;
  let settle: { resolve(value: unknown): void; reject(reason: unknown): void } | undefined;
  const expecting = () =>
    new Promise<unknown>((resolve, reject) => {
      if (failure === undefined) settle = { resolve, reject };
      else reject(failure.reason);
    });
  const ready = expecting() as Thread["ready"];
  const end = (reason: unknown) => {
    failure ??= { reason };
    settle?.reject(reason);
  };
  worker.on("message", (message: Message) => {
    if (message.kind === "progress") onShare?.(message.share);
    else if (message.kind === "ready") settle?.resolve(message.about);
    else if (message.kind === "done") settle?.resolve(message.result);
    else {
      const { error, code } = message;
      // Cloning an error loses its code.
      if (code !== undefined && error instanceof Error) Object.assign(error, { code });
      settle?.reject(error);
    }
  });
  worker.on("error", (cause) => end(new ParapetError("attacks/worker-ended", `a worker ended: ${cause}`, { cause })));
  worker.on("exit", (status) => end(new ParapetError("attacks/worker-ended", `a worker ended with status ${status}`)));
  return {
    ready,
    run(task, onProgress) {
      onShare = onProgress;
      const answer = expecting();
      worker.postMessage({ id: next++, task });
      return answer;
    },
    stop(reason) {
      end(reason ?? new ParapetError("attacks/worker-ended", "the evaluation is over"));
      return worker.terminate();
    },
  };
}
