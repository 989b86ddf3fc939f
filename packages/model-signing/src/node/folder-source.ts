import { constants, type Stats } from "node:fs";
import { lstat, open, readdir, realpath, stat } from "node:fs/promises";
import { basename, join, relative, resolve, sep } from "node:path";
import type { FileSource, ModelEntry } from "../file-source.ts";

/** Bytes that are read at once. */
const PIECE = 1 << 20;

/**
 * A model in a folder, or in one file.
 *
 * @param path - where it lies
 * @returns a source for `signModel` and `verifyModel`; it does not follow links to folders, and opens a file only as what
 *   it was listed as
 * @throws the error of the file system when nothing lies there, or it cannot be read
 *
 * @example
 * ```ts
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { folderSource } from "@parapet/model-signing/node";
 * const folder = mkdtempSync(join(tmpdir(), "model-"));
 * writeFileSync(join(folder, "model.onnx"), "weights");
 * const [entry] = await (await folderSource(folder)).list();
 * console.log(entry!.name, entry!.size); // => model.onnx 7
 * ```
 */
export async function folderSource(path: string): Promise<FileSource> {
  const root = await realpath(resolve(path));
  const single = !(await stat(root)).isDirectory();
  // A model is called as the caller calls it, not as what a link leads to.
  const name = basename(resolve(path));
  return {
    name,
    kind: single ? "file" : "folder",
    async list() {
      if (single) return [{ name, kind: "file", size: (await stat(root)).size }];
      const entries: ModelEntry[] = [];
      await walk(root, root, entries);
      return entries;
    },
    open: (file, start = 0, end) => pieces(single ? root : join(root, ...file.split("/")), root, start, end),
  };
}

async function walk(folder: string, root: string, entries: ModelEntry[]): Promise<void> {
  for (const bytes of await readdir(folder, { encoding: "buffer" })) {
    const text = bytes.toString("utf8");
    if (!Buffer.from(text, "utf8").equals(bytes))
      throw new RangeError(`file name expected UTF-8, got ${bytes.toString("latin1")}`);
    const path = join(folder, text);
    const name = relative(root, path).split(sep).join("/");
    const about = await lstat(path);
    if (about.isDirectory()) await walk(path, root, entries);
    else if (about.isFile()) entries.push({ name, kind: "file", size: about.size });
    else if (about.isSymbolicLink()) entries.push({ name, ...(await linkOf(path, root)) });
    else entries.push({ name, kind: "other", size: 0 });
  }
}

async function linkOf(path: string, root: string): Promise<Pick<ModelEntry, "kind" | "size">> {
  let target: string;
  let about: Stats;
  try {
    target = await realpath(path);
    about = await stat(target);
  } catch {
    return { kind: "broken", size: 0 };
  }
  if (target !== root && !target.startsWith(root + sep)) return { kind: "outside", size: 0 };
  return about.isFile() ? { kind: "link", size: about.size } : { kind: "broken", size: 0 };
}

/** Reads through one descriptor; a last part that is a link is resolved first, and must still lead into the model. */
async function* pieces(path: string, root: string, start: number, end: number | undefined): AsyncGenerator<Uint8Array> {
  const real = await realpath(path);
  if (real !== root && !real.startsWith(root + sep))
    throw new RangeError(`file expected inside of ${root}, got ${real}`);
  const file = await open(real, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    const buffer = new Uint8Array(PIECE);
    const limit = end ?? Number.POSITIVE_INFINITY;
    for (let at = start; at < limit; ) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(PIECE, limit - at), at);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}
