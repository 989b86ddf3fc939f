import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { FileSource } from "../file-source.ts";

/** A worker hashes one part of a file after the other, each through one descriptor. */
const code = `
const { parentPort } = require("node:worker_threads");
const { closeSync, constants, openSync, readSync, realpathSync } = require("node:fs");
const { createHash } = require("node:crypto");
const { sep } = require("node:path");
const buffer = Buffer.allocUnsafe(1 << 20);
parentPort.on("message", ({ path, root, start, end, algorithm }) => {
  try {
    const real = realpathSync(path);
    if (real !== root && !real.startsWith(root + sep)) throw new RangeError("file expected inside of " + root + ", got " + real);
    const file = openSync(real, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    try {
      const hash = createHash(algorithm);
      let told = start;
      let at = start;
      while (at < end) {
        const count = readSync(file, buffer, 0, Math.min(buffer.length, end - at), at);
        if (count === 0) break;
        hash.update(buffer.subarray(0, count));
        at += count;
        if (at - told >= 1 << 24) {
          parentPort.postMessage({ bytes: at - told });
          told = at;
        }
      }
      parentPort.postMessage({ bytes: at - told, digest: new Uint8Array(hash.digest()) });
    } finally {
      closeSync(file);
    }
  } catch (error) {
    parentPort.postMessage({ error: { message: error.message, code: error.code } });
  }
});
`;

/** Smaller models are hashed sooner than a thread is started. */
const WORTHWHILE = 64 << 20;
const ALGORITHMS = { sha256: "sha256", blake2b: "blake2b512" } as const;

interface Message {
  readonly bytes?: number;
  readonly digest?: Uint8Array;
  readonly error?: { readonly message: string; readonly code?: string };
}

/**
 * Runs some work with a source that hashes large files in threads, one for each core and at most four; small models, and hashes
 * that Node does not have, as before.
 */
export async function withHashWorkers<T>(
  source: FileSource,
  root: string,
  hash: string,
  signal: AbortSignal | undefined,
  run: (source: FileSource) => Promise<T>,
): Promise<T> {
  const entries = await source.list();
  const total = entries.reduce((sum, { size }) => sum + size, 0);
  const lanes = Math.min(4, availableParallelism());
  if (total < WORTHWHILE || lanes < 2 || !Object.hasOwn(ALGORITHMS, hash)) return run(source);
  const idle = Array.from({ length: lanes }, () => new Worker(code, { eval: true, execArgv: [] }));
  const all = [...idle];
  const stop = () => Promise.all(all.map((worker) => worker.terminate()));
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return await run({
      ...source,
      hashing: {
        lanes,
        digest(name_, name, range, onBytes) {
          const worker = idle.pop()!;
          const path = source.kind === "file" ? root : join(root, ...name.split("/"));
          return new Promise<Uint8Array>((resolve, reject) => {
            const end = (settle: () => void) => {
              worker.off("message", onMessage).off("error", onError).off("exit", onExit);
              idle.push(worker);
              settle();
            };
            const onMessage = ({ bytes = 0, digest, error }: Message) => {
              onBytes(bytes);
              if (error !== undefined) end(() => reject(Object.assign(new Error(error.message), { code: error.code })));
              else if (digest !== undefined) end(() => resolve(digest));
            };
            const onError = (error: unknown) => end(() => reject(error));
            const onExit = () => end(() => reject(signal?.reason ?? new Error("a hashing thread ended")));
            worker.on("message", onMessage).on("error", onError).on("exit", onExit);
            const { start = 0, end: stopAt = Number.POSITIVE_INFINITY } = range ?? {};
            worker.postMessage({
              path,
              root,
              start,
              end: stopAt,
              algorithm: ALGORITHMS[name_ as keyof typeof ALGORITHMS],
            });
          });
        },
      },
    });
  } finally {
    signal?.removeEventListener("abort", stop);
    await stop();
  }
}
