import { createHash } from "node:crypto";
import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, lstat, open, readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { compareUtf8 } from "@parapet/attestation";
import { expected } from "@parapet/core";
import { createDataset, type Dataset, type DatasetOptions } from "../datasets/dataset.ts";
import type { DatasetFile } from "../datasets/manifest.ts";
import type { FieldsRecord } from "../datasets/record.ts";
import { problem, shown } from "../problem.ts";
import { nodeHash256 } from "./hash.ts";

/** Bytes that are read at once. */
const PIECE = 1 << 20;

/** Folders inside each other. */
const MOST_DEPTH = 64;

/** Opens a file itself, not what a link leads to; and does not wait, as a pipe would make it. */
export async function openFile(path: string, flags: number = constants.O_RDONLY): Promise<FileHandle> {
  const refuse = (got: string, options?: ErrorOptions) =>
    problem("provenance/unsupported", `file expected at ${shown(path)}, got ${got}`, options);
  let file: FileHandle;
  try {
    file = await open(path, flags | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") throw problem("provenance/missing", `file expected at ${shown(path)}, got none`, { cause });
    if (code === "ELOOP") throw refuse("a link", { cause });
    if (code === "EISDIR" || code === "ENXIO") throw refuse("something else", { cause });
    throw cause;
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw refuse("something else");
}

async function* piecesOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(PIECE);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, PIECE, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/**
 * The bytes of a file, piece by piece, for `readCsv` and `readJsonLines`.
 *
 * @param path - of a file; a link is refused
 * @returns pieces of at most 1 MiB, whose memory is used again
 * @throws ParapetError `provenance/missing`, `provenance/unsupported` for a link; and the errors of the file system
 *
 * @example
 * ```ts
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { createDataset, readCsv } from "@parapet/provenance";
 * import { filePieces } from "@parapet/provenance/node";
 * const path = join(mkdtempSync(join(tmpdir(), "table-")), "ages.csv");
 * writeFileSync(path, "age\n30\n40\n");
 * console.log((await createDataset(readCsv(filePieces(path)), { name: "ages" })).manifest.records); // => 2
 * ```
 */
export async function* filePieces(path: string): AsyncGenerator<Uint8Array> {
  const file = await openFile(path);
  try {
    yield* piecesOf(file);
  } finally {
    await file.close();
  }
}

interface Listed {
  readonly name: string;
  readonly path: string;
  readonly about: BigIntStats;
}

async function walk(folder: string, prefix: string, depth: number, listed: Listed[]): Promise<void> {
  if (depth > MOST_DEPTH)
    throw problem("provenance/too-large", `folder expected at most ${MOST_DEPTH} folders inside each other`);
  for (const bytes of await readdir(folder, { encoding: "buffer" })) {
    const part = bytes.toString("utf8");
    const name = `${prefix}${part}`;
    const refuse = (why: string) => problem("provenance/unsupported", `folder expected ${why}, got ${shown(name)}`);
    if (!Buffer.from(part, "utf8").equals(bytes)) throw refuse("file names in UTF-8");
    if (/[\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/u.test(part))
      throw refuse("file names of characters that can be seen, no backslash");
    const path = join(folder, part);
    const about = await lstat(path, { bigint: true });
    if (about.isDirectory()) await walk(path, `${name}/`, depth + 1, listed);
    else if (about.isFile()) listed.push({ name, path, about });
    else throw refuse(about.isSymbolicLink() ? "no links; copy what they lead to" : "files and folders only");
  }
}

/** Names that a file system of another kind would take for one. */
function checkTwins(listed: readonly Listed[]): void {
  const seen = new Map<string, string>();
  for (const { name } of listed) {
    const plain = name.normalize("NFKC").toLowerCase().normalize("NFKC");
    const other = seen.get(plain);
    if (other !== undefined) {
      throw problem(
        "provenance/unsupported",
        `file name ${shown(name)} expected to differ in more than case or form from ${shown(other)}`,
      );
    }
    seen.set(plain, name);
  }
}

/** Hashes what was listed; another file at its place, or one that is being written to, is refused. */
async function hashFile({ name, path, about }: Listed, signal: AbortSignal | undefined): Promise<DatasetFile> {
  const changed = () =>
    problem("provenance/changed", `file ${shown(name)} expected to stay as it is, got changed while it was read`);
  const file = await openFile(path);
  try {
    const isListed = (now: BigIntStats) =>
      now.ino === about.ino && now.dev === about.dev && now.size === about.size && now.mtimeNs === about.mtimeNs;
    const digest = createHash("sha256");
    let size = 0;
    for await (const piece of piecesOf(file)) {
      signal?.throwIfAborted();
      digest.update(piece);
      size += piece.length;
      if (BigInt(size) > about.size) throw changed();
    }
    if (BigInt(size) !== about.size || !isListed(await file.stat({ bigint: true }))) throw changed();
    return { name, size, sha256: digest.digest("hex") };
  } finally {
    await file.close();
  }
}

/**
 * The record of a file, as `datasetOfFolder` commits to it: its name, its size, and the SHA-256 of what is in it.
 *
 * @param path - where it lies; a link is refused
 * @param name - what the dataset calls it: its path from the folder, with `/`
 * @returns fields "name", "size" and "sha256"
 * @throws ParapetError `provenance/missing`, `provenance/unsupported` for a link, `provenance/changed` when it changes meanwhile
 *
 * @example
 * ```ts
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { proveMembership, verifyMembership } from "@parapet/provenance";
 * import { datasetOfFolder, recordOfFile } from "@parapet/provenance/node";
 * const folder = mkdtempSync(join(tmpdir(), "images-"));
 * writeFileSync(join(folder, "cat.png"), "pixels");
 * const dataset = await datasetOfFolder(folder, { name: "images" });
 * const record = await recordOfFile(join(folder, "cat.png"), "cat.png");
 * console.log(verifyMembership(proveMembership(dataset, 0), record, dataset.manifest).index); // => 0
 * ```
 */
export async function recordOfFile(path: string, name: string): Promise<FieldsRecord> {
  const file = await openFile(path);
  const about = await file.stat({ bigint: true }).finally(() => file.close());
  return { ...(await hashFile({ name, path, about }, undefined)) };
}

/** Options of `datasetOfFolder`. */
export interface FolderOptions extends Omit<DatasetOptions, "files"> {
  /**
   * Lists the files with their plain hashes in the manifest: for data that is public. Default false, as whoever can guess a
   * file's contents could see that it is there.
   */
  readonly listFiles?: boolean;
}

/**
 * Commits to the files of a folder, those in folders inside as well: one record a file, see `recordOfFile`, in the order of the
 * UTF-8 bytes of their names. Files are read piece by piece.
 *
 * @param path - of the folder
 * @param options - as `createDataset`; statistics only where they are asked for
 * @returns as `createDataset`
 * @throws ParapetError `provenance/unsupported` for links, what is neither file nor folder, and names that others would read
 *   differently; `provenance/changed` when a file changes meanwhile; `provenance/missing` when there is no such folder
 * @throws as `createDataset`
 *
 * @example
 * ```ts
 * import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { datasetOfFolder } from "@parapet/provenance/node";
 * const folder = mkdtempSync(join(tmpdir(), "images-"));
 * mkdirSync(join(folder, "cats"));
 * writeFileSync(join(folder, "cats", "1.png"), "pixels");
 * const { manifest } = await datasetOfFolder(folder, { name: "images", listFiles: true });
 * console.log(manifest.files![0]!.name, manifest.files![0]!.size); // => cats/1.png 6
 * ```
 */
export async function datasetOfFolder(path: string, options: FolderOptions): Promise<Dataset> {
  const { listFiles = false, hash = nodeHash256, statistics = false, signal, ...rest } = options;
  const listed: Listed[] = [];
  let root: string;
  try {
    root = await realpath(path);
  } catch (cause) {
    throw problem("provenance/missing", `folder expected at ${shown(path)}, got none`, { cause });
  }
  if (!(await lstat(root)).isDirectory()) throw new TypeError(expected("path", "a folder", path));
  await walk(root, "", 0, listed);
  checkTwins(listed);
  listed.sort((a, b) => compareUtf8(a.name, b.name));
  const files: DatasetFile[] = [];
  async function* records(): AsyncGenerator<FieldsRecord> {
    for (const one of listed) {
      const file = await hashFile(one, signal);
      if (listFiles) files.push(file);
      yield { ...file };
    }
  }
  // The list is complete when the last record was taken, which is when the manifest is made.
  const list = listFiles ? { files } : {};
  const total = { total: listed.length, ...(signal && { signal }) };
  return createDataset(records(), { ...rest, ...total, ...list, hash, statistics });
}
