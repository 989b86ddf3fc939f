import { createPacer } from "./pacer.ts";

/** Runs tasks one after the other, in the order in which they were asked for. */
export type Queue = <T>(task: () => Promise<T>, signal?: AbortSignal) => Promise<T>;

/**
 * The order in which an engine answers: one call after the other, so that nothing overtakes a change of the weights. A
 * task that fails does not stop those behind it, one whose signal is aborted before its turn is not begun, and between
 * tasks timers and events get their chance.
 *
 * @returns the queue
 *
 * @example
 * ```ts
 * import { createQueue } from "@parapet/core";
 * const queue = createQueue();
 * const order: number[] = [];
 * const slow = queue(async () => {
 *   await new Promise((resolve) => setTimeout(resolve, 5));
 *   order.push(1);
 * });
 * await Promise.all([slow, queue(async () => order.push(2))]);
 * console.log(order.join(" ")); // => 1 2
 * ```
 */
export function createQueue(): Queue {
  const pace = createPacer();
  let last: Promise<unknown> = Promise.resolve();
  return (task, signal) => {
    const run = last.then(async () => {
      signal?.throwIfAborted();
      await pace();
      signal?.throwIfAborted();
      return task();
    });
    last = run.catch(() => undefined);
    return run;
  };
}
