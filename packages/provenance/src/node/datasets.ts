import { constants } from "node:fs";
import { lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { concatBytes, equalBytes, toUtf8 } from "@parapet/attestation";
import { checkNumber, expected } from "@parapet/core";
import { checkManifest } from "../datasets/check-manifest.ts";
import { WIDTH } from "../datasets/commitment.ts";
import { type Dataset, mistaken } from "../datasets/dataset.ts";
import { isErased } from "../datasets/erase.ts";
import { at } from "../datasets/levels.ts";
import type { DatasetManifest } from "../datasets/manifest.ts";
import { MOST_BYTES, manifestBytes, manifestId, readManifest } from "../datasets/read-manifest.ts";
import { verifyCommitments } from "../datasets/roots.ts";
import { problem } from "../problem.ts";
import { openFile } from "./dataset-files.ts";
import { writeDurably } from "./durable.ts";
import { nodeHash256 } from "./hash.ts";

/** Bytes of a salt in its file: the salt, and 4 bytes that tell damage. */
const ENTRY = WIDTH + 4;

const TAG = toUtf8("urn:parapet:salt-check:v1");

const NAMES = { manifest: "manifest.json", commitments: "commitments.bin", salts: "salts.bin" };

const changed = (message: string) => problem("provenance/changed", message);

/** The first 4 bytes of SHA-256 of the tag, the index (4 bytes, little-endian) and the salt. */
function checkOf(index: number, salt: Uint8Array): Uint8Array {
  const place = new DataView(new ArrayBuffer(4));
  place.setUint32(0, index, true);
  return nodeHash256(concatBytes(TAG, new Uint8Array(place.buffer), salt)).subarray(0, 4);
}

/**
 * Writes a dataset to a folder, each file durably and in one piece, the manifest last: without it there is no dataset.
 *
 * - `manifest.json`: the manifest's canonical JSON, whose SHA-256 is the identity;
 * - `commitments.bin`: that SHA-256, then 32 bytes a record;
 * - `salts.bin`: 36 bytes a record: the salt, and the first 4 bytes of SHA-256 of "urn:parapet:salt-check:v1", the index (4 bytes,
 *   little-endian) and the salt; an erased one is all zero. To be kept secret: only its owner may read it.
 *
 * @param folder - is made where it is not there; must not hold a dataset
 * @param dataset - from `createDataset`
 * @throws RangeError when there is a dataset
 * @throws TypeError when the parts do not belong together
 * @throws the errors of the file system
 *
 * @example
 * ```ts
 * import { mkdtempSync, readdirSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { createDataset } from "@parapet/provenance";
 * import { saveDataset } from "@parapet/provenance/node";
 * const folder = mkdtempSync(join(tmpdir(), "dataset-"));
 * await saveDataset(folder, await createDataset([{ a: 1 }], { name: "one" }));
 * console.log(readdirSync(folder).sort().join()); // => commitments.bin,manifest.json,salts.bin
 * ```
 */
export async function saveDataset(folder: string, dataset: Dataset): Promise<void> {
  const { commitments, salts } = dataset;
  const manifest = checkManifest(dataset.manifest, mistaken);
  const length = manifest.records * WIDTH;
  if (commitments.length !== length || salts.length !== length) {
    throw new TypeError(
      expected("dataset", `${length} bytes of commitments and of salts`, [commitments.length, salts.length]),
    );
  }
  await mkdir(folder, { recursive: true });
  const isThere = await lstat(join(folder, NAMES.manifest)).then(
    () => true,
    () => false,
  );
  if (isThere) throw new RangeError(expected("folder", `no ${NAMES.manifest} in it`, folder));
  const entries = new Uint8Array(manifest.records * ENTRY);
  for (let i = 0; i < manifest.records; i++) {
    if (isErased(dataset, i)) continue;
    entries.set(at(salts, i), i * ENTRY);
    entries.set(checkOf(i, at(salts, i)), i * ENTRY + WIDTH);
  }
  const text = manifestBytes(manifest);
  await writeDurably(folder, NAMES.salts, entries, 0o600);
  await writeDurably(folder, NAMES.commitments, concatBytes(nodeHash256(text), commitments), 0o644);
  await writeDurably(folder, NAMES.manifest, text, 0o644);
}

/** Reads a file of a length that is known before, or bounded. */
async function readOf(folder: string, name: string, allowed: (size: number) => boolean): Promise<Uint8Array> {
  const file = await openFile(join(folder, name));
  try {
    const { size } = await file.stat();
    if (!allowed(size)) throw changed(`${name} expected another length, got ${size} bytes`);
    const bytes = await file.readFile();
    if (!allowed(bytes.length)) throw changed(`${name} expected to stay as it is while it is read`);
    return Uint8Array.from(bytes);
  } finally {
    await file.close();
  }
}

async function openManifest(
  folder: string,
): Promise<{ readonly manifest: DatasetManifest; readonly text: Uint8Array }> {
  const text = await readOf(folder, NAMES.manifest, (size) => size <= MOST_BYTES);
  return { manifest: readManifest(text), text };
}

/**
 * Opens a dataset that was saved, and checks all of it: the manifest's form and hash, the commitments by both roots, every salt by
 * its check. Damage is found always. Someone who may write all three files can put another dataset there, which only `id` finds:
 * take it from a signed place.
 *
 * @param folder - where `saveDataset` wrote it
 * @param options - `id`: the identity that it must have
 * @returns the dataset
 * @throws ParapetError `provenance/missing` when a file is not there, `provenance/changed` or `provenance/malformed` when something
 *   is not as it was saved, `provenance/unsupported` for a link
 *
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { createDataset, manifestId } from "@parapet/provenance";
 * import { openDataset, saveDataset } from "@parapet/provenance/node";
 * const folder = mkdtempSync(join(tmpdir(), "dataset-"));
 * const dataset = await createDataset([{ a: 1 }], { name: "one" });
 * await saveDataset(folder, dataset);
 * const opened = await openDataset(folder, { id: manifestId(dataset.manifest) });
 * console.log(opened.manifest.name); // => one
 * ```
 */
export async function openDataset(folder: string, options: { readonly id?: string } = {}): Promise<Dataset> {
  const { manifest, text } = await openManifest(folder);
  const id = manifestId(manifest, nodeHash256);
  if (options.id !== undefined && options.id !== id) throw changed(`dataset expected to be ${options.id}, got ${id}`);
  const { records } = manifest;
  const stored = await readOf(folder, NAMES.commitments, (size) => size === (records + 1) * WIDTH);
  if (!equalBytes(at(stored, 0), nodeHash256(text)))
    throw changed(`${NAMES.commitments} expected to belong to ${NAMES.manifest}`);
  const commitments = stored.slice(WIDTH);
  verifyCommitments(manifest, commitments, nodeHash256);
  const entries = await readOf(folder, NAMES.salts, (size) => size === records * ENTRY);
  const salts = new Uint8Array(records * WIDTH);
  for (let i = 0; i < records; i++) {
    const entry = entries.subarray(i * ENTRY, (i + 1) * ENTRY);
    const salt = entry.subarray(0, WIDTH);
    if (entry.every((byte) => byte === 0)) continue;
    if (!equalBytes(entry.subarray(WIDTH), checkOf(i, salt))) {
      throw changed(
        `${NAMES.salts} expected the salt of record ${i} as it was saved; where it was being erased, erase it again`,
      );
    }
    salts.set(salt, i * WIDTH);
  }
  return { manifest, commitments, salts };
}

/**
 * Erases a record of a dataset that was saved: its salt is overwritten with zeros at its place, and the file is flushed to the disk
 * before this returns. See `eraseRecord` for what that means and what remains. Backups, snapshots, and disks that write elsewhere
 * than they are told may keep the old salt: encrypt the disk, and let backups expire.
 *
 * @param folder - where `saveDataset` wrote it
 * @param index - of the record, from 0; twice is no mistake, and mends an erasure that was cut off
 * @throws RangeError when there is no such record
 * @throws ParapetError `provenance/missing`, `provenance/changed` or `provenance/malformed` when the dataset is not as it was saved
 *
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { createDataset, isErased } from "@parapet/provenance";
 * import { eraseSavedRecord, openDataset, saveDataset } from "@parapet/provenance/node";
 * const folder = mkdtempSync(join(tmpdir(), "dataset-"));
 * await saveDataset(folder, await createDataset([{ name: "Ada" }], { name: "people" }));
 * await eraseSavedRecord(folder, 0);
 * console.log(isErased(await openDataset(folder), 0)); // => true
 * ```
 */
export async function eraseSavedRecord(folder: string, index: number): Promise<void> {
  const { records } = (await openManifest(folder)).manifest;
  checkNumber("index", index, { min: 0, below: records, integer: true });
  const file = await openFile(join(folder, NAMES.salts), constants.O_RDWR);
  try {
    const { size } = await file.stat();
    if (size !== records * ENTRY) throw changed(`${NAMES.salts} expected ${records * ENTRY} bytes, got ${size}`);
    await file.write(new Uint8Array(ENTRY), 0, ENTRY, index * ENTRY);
    await file.sync();
  } finally {
    await file.close();
  }
}
