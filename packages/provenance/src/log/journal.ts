import { concatBytes, equalBytes, fromUtf8, toUtf8 } from "@parapet/attestation";
import type { TreeHasher } from "../merkle/hasher.ts";
import { readBundle } from "./tiles.ts";

// Entries are first written here together with the checkpoint that will cover them, in one object, and that is made durable: only
// then do tiles and checkpoint follow. What a crash leaves half done is completed from it.

/** One step of a log: entries, and the checkpoint with them. */
export interface JournalRecord {
  readonly start: number;
  readonly count: number;
  /** The entries, as they lie in bundles. */
  readonly block: Uint8Array;
  readonly note: string;
}

/** Where journals lie. */
export const JOURNAL = "journal/";

/** The name of the journal whose first entry has an index. */
export const journalName = (start: number): string => `${JOURNAL}${String(start).padStart(16, "0")}`;

/** The index of a journal's first entry by its name. */
export function journalStart(name: string): number | undefined {
  const start = Number(name.slice(JOURNAL.length));
  return /^journal\/[0-9]{16}$/.test(name) && Number.isSafeInteger(start) ? start : undefined;
}

/** Writes a journal: a line, the checkpoint, the entries, and a hash over all, by which a torn one is known. */
export function writeJournal(
  start: number,
  count: number,
  block: Uint8Array,
  note: string,
  hasher: TreeHasher,
): Uint8Array<ArrayBuffer> {
  const bytes = toUtf8(note);
  const header = toUtf8(`parapet/journal/v1 ${start} ${count} ${bytes.length} ${block.length}\n`);
  const whole = concatBytes(header, bytes, block, new Uint8Array(32));
  hasher.leaf(whole, 0, whole.length - 32, whole, whole.length - 32);
  return whole;
}

/** Reads a journal; undefined when it is not whole. */
export function readJournal(bytes: Uint8Array, hasher: TreeHasher): JournalRecord | undefined {
  const checksum = new Uint8Array(32);
  if (bytes.length < 32) return undefined;
  hasher.leaf(bytes, 0, bytes.length - 32, checksum, 0);
  if (!equalBytes(checksum, bytes.subarray(-32))) return undefined;
  const end = bytes.indexOf(10);
  const form = /^parapet\/journal\/v1 ([0-9]{1,16}) ([0-9]{1,9}) ([0-9]{1,9}) ([0-9]{1,10})$/;
  const [, ...digits] = form.exec(String.fromCharCode(...bytes.subarray(0, Math.min(end, 100)))) ?? [];
  if (digits.length === 0) return undefined;
  const [start, count, noteLength, blockLength] = digits.map(Number) as [number, number, number, number];
  const from = end + 1 + noteLength;
  if (from + blockLength + 32 !== bytes.length) return undefined;
  try {
    const note = fromUtf8(bytes.subarray(end + 1, from));
    const block = bytes.subarray(from, from + blockLength);
    readBundle(block, count);
    return { start, count, block, note };
  } catch {
    return undefined;
  }
}
