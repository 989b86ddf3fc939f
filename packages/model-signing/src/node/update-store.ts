import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { UpdateStore } from "../updates/store.ts";

/** A file that is being written; one of a program that ended in between is removed after an hour. */
const PART = /^\.[0-9a-f-]{36}\.part$/;
/** Names that mean devices on Windows. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/;

/**
 * A store in a folder of its own, which only this program may write to. A file is written beside the old one, flushed to the
 * disk and put in its place in one step: after a loss of power it is the old one or the new one.
 *
 * @param folder - made where it is missing, for this user alone
 * @returns the store
 *
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { folderStore } from "@parapet/model-signing/node";
 * const store = folderStore(join(mkdtempSync(join(tmpdir(), "updates-")), "state"));
 * await store.write("root.json", Uint8Array.of(1, 2));
 * console.log((await store.read("root.json"))?.length, await store.read("other")); // => 2 undefined
 * ```
 */
export function folderStore(folder: string): UpdateStore {
  const root = resolve(folder);
  let made: Promise<unknown> | undefined;
  const make = () => {
    made ??= mkdir(root, { recursive: true, mode: 0o700 }).then(() => sweep(root));
    return made;
  };
  return {
    async read(name) {
      try {
        const file = await open(join(root, fileNameOf(name)), "r");
        try {
          return new Uint8Array(await file.readFile());
        } finally {
          await file.close();
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    },
    async write(name, bytes) {
      await make();
      await writeWhole(root, fileNameOf(name), bytes);
    },
    async remove(name) {
      await rm(join(root, fileNameOf(name)), { force: true });
      await flushFolder(root);
    },
  };
}

/** Writes a file in one step, and until it is on the disk. */
export async function writeWhole(folder: string, name: string, bytes: Uint8Array, mode = 0o600): Promise<void> {
  const part = join(folder, `.${randomUUID()}.part`);
  try {
    const file = await open(part, "wx", mode);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, join(folder, name));
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  await flushFolder(folder);
}

/** Makes a change of names last; not every system lets folders be opened. */
export async function flushFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOENT", "ENOTSUP"].includes(code ?? "")) throw error;
  }
}

/**
 * One file name for each name, on file systems too that take capital letters for small ones. The rest of a long name is its hash.
 */
function fileNameOf(name: string): string {
  const quoted = name.replace(/[^a-z0-9%._-]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}.`);
  const safe = quoted.replace(/^\./, "%2e.").replace(DEVICE, "%$&");
  if (safe.length <= 200) return safe;
  return `${safe.slice(0, 100)}%${createHash("sha256").update(name).digest("hex")}`;
}

async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!PART.test(name)) continue;
    const path = join(folder, name);
    const about = await stat(path).catch(() => undefined);
    if (about !== undefined && Date.now() - about.mtimeMs > 3_600_000) await rm(path, { force: true });
  }
}
