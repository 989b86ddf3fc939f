import { closeSync, fsync, mkdirSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { promisify } from "node:util";
import { expected } from "@parapet/core";
import type { LogStorage } from "../log/storage.ts";
import { createNodeHasher } from "./log-hasher.ts";
import { createFolderLock } from "./log-lock.ts";

/** How many files are made durable at a time: twice as many as Node has threads for it, so that none of them waits. */
const AT_ONCE = 8;

const flush = promisify(fsync);

/** Whether a file is not there. */
const isMissing = (error: unknown) => ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");

/**
 * A log's place in a folder, in the layout of a static host: `checkpoint`, `tile/...`; beside them `journal/` and `lock/`, which need
 * not be served. Several processes of one machine can write to it.
 *
 * @param path - the folder; it is made when it is not there
 * @param options - `lockTimeout`: for how many milliseconds to wait for the lock, 30,000 by default
 * @returns the storage
 *
 * @example
 * ```ts
 * import { mkdtempSync, rmSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { ed25519Signer } from "@parapet/attestation/small";
 * import { noteSigner, openLog } from "@parapet/provenance";
 * import { folderStorage } from "@parapet/provenance/node";
 * const folder = mkdtempSync(join(tmpdir(), "log-"));
 * const signer = noteSigner("example.com/log", ed25519Signer(new Uint8Array(32)));
 * const log = await openLog(folderStorage(folder), { signer });
 * const { index } = await log.append(Uint8Array.of(1, 2, 3));
 * await log.close();
 * rmSync(folder, { recursive: true });
 * console.log(index); // => 0
 * ```
 *
 * Source: https://c2sp.org/tlog-tiles, "APIs".
 */
export function folderStorage(path: string, options: { readonly lockTimeout?: number } = {}): LogStorage {
  if (typeof path !== "string" || path === "") throw new TypeError(expected("path", "a folder", path));
  const root = resolve(path);
  const made = new Set<string>();
  const fileOf = (name: string): string => {
    if (!/^[a-z0-9.]+(\/[a-z0-9.]+)*$/.test(name) || /(^|\/)\.\.?(\/|$)/.test(name)) {
      throw new TypeError(expected("name", "an object of a log", name));
    }
    return join(root, ...name.split("/"));
  };
  const makeFolder = (file: string) => {
    const folder = dirname(file);
    if (made.has(folder)) return;
    mkdirSync(folder, { recursive: true });
    made.add(folder);
  };
  const put = (file: string, data: Uint8Array) => {
    let handle: number;
    try {
      makeFolder(file);
      handle = openSync(file, "w");
    } catch (error) {
      if (!isMissing(error)) throw error;
      made.clear();
      makeFolder(file);
      handle = openSync(file, "w");
    }
    try {
      for (let at = 0; at < data.length; ) at += writeSync(handle, data, at);
    } finally {
      closeSync(handle);
    }
  };
  /** Files, and the folders that lead to them: without these a new file may be gone after a loss of power. */
  const syncAll = async (files: readonly string[]) => {
    const folders = new Set<string>();
    for (const file of files) {
      for (let folder = dirname(file); folder.startsWith(root) && !folders.has(folder); folder = dirname(folder)) {
        folders.add(folder);
      }
    }
    for (const group of [files, process.platform === "win32" ? [] : [...folders]]) {
      let next = 0;
      const work = async () => {
        while (next < group.length) {
          // Opening is quick; only the wait for the disk is worth a thread.
          const handle = openSync(group[next++]!, process.platform === "win32" ? "r+" : "r");
          try {
            await flush(handle);
          } finally {
            closeSync(handle);
          }
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    }
  };
  return {
    hasher: createNodeHasher(),
    async read(name) {
      try {
        return new Uint8Array(readFileSync(fileOf(name)));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async write(objects) {
      for (const { name, data } of objects) put(fileOf(name), data);
    },
    async replace({ name, data }) {
      const file = fileOf(name);
      put(`${file}.new`, data);
      renameSync(`${file}.new`, file);
    },
    sync: (names) => syncAll(names.map(fileOf)),
    async remove(names) {
      for (const name of names) {
        try {
          unlinkSync(fileOf(name));
        } catch (error) {
          if (!isMissing(error)) throw error;
        }
        // A folder of tiles that were not full: it goes with the last of them.
        const folder = dirname(fileOf(name));
        if (folder.endsWith(".p")) await rm(folder, { recursive: false }).catch(() => undefined);
      }
    },
    async list(prefix) {
      const slash = prefix.lastIndexOf("/");
      const names: string[] = [];
      const walk = async (folder: string) => {
        const found = await readdir(join(root, folder), { withFileTypes: true }).catch((error) => {
          if (isMissing(error)) return [];
          throw error;
        });
        for (const entry of found) {
          const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
          if (!name.startsWith(prefix) && !prefix.startsWith(`${name}/`)) continue;
          if (entry.isDirectory()) await walk(name);
          else if (name.startsWith(prefix)) names.push(name);
        }
      };
      await walk(slash < 0 ? "" : prefix.slice(0, slash));
      return names.map((name) => name.split(sep).join("/"));
    },
    lock: createFolderLock(join(root, "lock"), options.lockTimeout),
  };
}
