/**
 * Keeps a long loop polite: an awaited call lets timers, signals and the page's events through when 16 ms have passed
 * since it last did, and throws when the signal is aborted. Without it, work whose promises resolve as microtasks (cpu
 * and wasm backends, plain JavaScript) starves the very timer that should stop it.
 *
 * @param signal - stops the loop; optional
 * @returns a function to await once per round; it rejects with the signal's reason once that is aborted
 *
 * @example
 * ```ts
 * import { createPacer } from "@parapet/core";
 * const controller = new AbortController();
 * const pace = createPacer(controller.signal);
 * setTimeout(() => controller.abort(new Error("enough")), 20);
 * try {
 *   for (;;) await pace();
 * } catch (error) {
 *   console.log((error as Error).message); // => enough
 * }
 * ```
 */
export function createPacer(signal?: AbortSignal): () => Promise<void> {
  let last = performance.now();
  return async () => {
    signal?.throwIfAborted();
    if (performance.now() - last < 16) return;
    await macrotask();
    last = performance.now();
    signal?.throwIfAborted();
  };
}

function macrotask(): Promise<void> {
  // Both are quicker than setTimeout, which waits 4 ms in browsers.
  const { setImmediate } = globalThis as { setImmediate?: (f: () => void) => unknown };
  if (setImmediate !== undefined) return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
