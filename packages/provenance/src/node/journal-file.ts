import { mkdir, open, readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Journal } from "../recorder/journal.ts";
import { syncFolder } from "./durable.ts";

/**
 * A run's journal in a file: events are on the disk before the script goes on. One program writes to it at a time.
 *
 * @param path - of the file; made where it is missing, its folder too
 * @returns the journal, for `createRecorder`
 *
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { createRecorder } from "@parapet/provenance";
 * import { fileJournal } from "@parapet/provenance/node";
 * const path = join(mkdtempSync(join(tmpdir(), "run-")), "run.jsonl");
 * const recorder = await createRecorder(fileJournal(path), { name: "digits" });
 * await recorder.step({ kind: "load", name: "Load" }, () => undefined);
 * // A program that was killed here goes on with:
 * const again = await createRecorder(fileJournal(path), { name: "digits" });
 * console.log(again.done("Load")?.status); // => done
 * ```
 */
export function fileJournal(path: string): Journal {
  const file = resolve(path);
  return {
    async read() {
      try {
        return Uint8Array.from(await readFile(file));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Uint8Array();
        throw error;
      }
    },
    async append(bytes) {
      await mkdir(dirname(file), { recursive: true });
      const handle = await open(file, "a");
      try {
        const { size } = await handle.stat();
        await handle.appendFile(bytes);
        await handle.sync();
        if (size === 0) await syncFolder(dirname(file));
      } finally {
        await handle.close();
      }
    },
    async truncate(length) {
      const handle = await open(file, "r+").catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return undefined;
        throw error;
      });
      if (handle === undefined) return;
      try {
        await handle.truncate(length);
        await handle.sync();
      } finally {
        await handle.close();
      }
    },
  };
}
