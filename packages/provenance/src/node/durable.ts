import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** Makes the names in a folder durable; some systems cannot, and need not. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  await handle.sync().finally(() => handle.close());
}

/** Writes a file so that after a crash it is there as a whole, or as it was before. */
export async function writeDurably(folder: string, name: string, bytes: Uint8Array, mode: number): Promise<void> {
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
  await syncFolder(folder);
}
