import { equalBytes } from "@parapet/attestation";
import type { TreeHasher } from "../merkle/hasher.ts";
import { problem } from "../problem.ts";
import type { ProvenCheckpoint } from "./checkpoint.ts";
import { type Growth, grow, growthRoot, nothing, type TileObject } from "./growth.ts";
import { JOURNAL, type JournalRecord, journalStart, readJournal } from "./journal.ts";
import { CHECKPOINT, changed, createTileReader, loadGrowth, missing } from "./log-files.ts";
import type { LogStorage, StoredObject } from "./storage.ts";
import { rangeHash, readTilePath, TILE_WIDTH, tilePath, widthOf } from "./tiles.ts";

/** A log at one checkpoint. */
export interface LogState {
  readonly checkpoint: ProvenCheckpoint;
  readonly growth: Growth;
}

/** A journal that is still there. */
export interface JournalSpan {
  readonly name: string;
  readonly start: number;
  readonly bytes: number;
}

/** What it takes to open a log. */
export interface Recovery {
  readonly storage: LogStorage;
  readonly hasher: TreeHasher;
  readonly origin: string;
  /** Proves that a checkpoint is the log's own. */
  readonly verify: (note: Uint8Array | string) => Promise<ProvenCheckpoint>;
}

/** What was found, and what is not durable of it yet. */
export interface Recovered {
  readonly state: LogState;
  readonly journals: readonly JournalSpan[];
  /** Tiles that are not full, of the entries in journals. */
  readonly narrow: readonly string[];
}

/** The state at a checkpoint, from the tiles. */
export async function loadState({ storage, hasher }: Recovery, checkpoint: ProvenCheckpoint): Promise<LogState> {
  const growth = await loadGrowth(storage, checkpoint.size);
  if (!equalBytes(growthRoot(growth, hasher), checkpoint.root)) {
    throw changed(
      `tiles expected the root of the checkpoint of ${checkpoint.size} entries, got another: something was changed`,
    );
  }
  return { checkpoint, growth };
}

/** The root that a log had when it was smaller. */
export const rootAt = async ({ storage, hasher }: Recovery, size: number): Promise<Uint8Array> =>
  size === 0 ? growthRoot(nothing, hasher) : rangeHash(0, size, createTileReader(storage)(size), hasher);

/**
 * Opens what is there, under the lock. What a crash left half done is completed: every journal that is whole is in the log afterwards,
 * and one that is not was never acknowledged. Undefined when there is no log yet.
 */
export async function recover(recovery: Recovery): Promise<Recovered | undefined> {
  const { storage, hasher, verify, origin } = recovery;
  const published = await storage.read(CHECKPOINT);
  let refusal: unknown;
  let checkpoint: ProvenCheckpoint | undefined;
  try {
    if (published !== undefined) checkpoint = await verify(published);
  } catch (error) {
    refusal = error;
  }
  const known = checkpoint?.size ?? -1;
  const { spans, records, torn } = await readJournals(storage, hasher);

  let last: LogState | undefined;
  const objects = new Map<string, TileObject>();
  for (const { start, count, block, note } of records) {
    try {
      const proven = await verify(note);
      const growth: Growth = last?.growth.size === start ? last.growth : await loadGrowth(storage, start);
      const grown = grow(growth, block, hasher);
      if (proven.size !== start + count || !equalBytes(growthRoot(grown.growth, hasher), proven.root)) {
        throw changed(`journal expected the entries ${start} to ${start + count - 1} of its checkpoint, got others`);
      }
      for (const object of grown.objects) objects.set(object.name, object);
      last = { checkpoint: proven, growth: grown.growth };
    } catch (cause) {
      // What the checkpoint covers is safe without its journal. What it does not cover is only here.
      if (start + count > known) throw changed(`the journal of entry ${start} does not fit the log`, cause);
    }
  }
  if (last === undefined && checkpoint === undefined) {
    const isEmpty = (await storage.list("tile/")).length === 0;
    if (!isEmpty && published === undefined) throw missing(CHECKPOINT);
    if (published !== undefined && !(isEmpty && isTornBeginning(published, origin))) {
      throw changed("checkpoint expected the log's signature: it was changed, or the key is another", refusal);
    }
    await storage.remove(torn.map(({ name }) => name));
    return undefined;
  }

  const size = Math.max(known, last?.checkpoint.size ?? -1);
  await repair(storage, objects.values(), size);
  const isAhead = last !== undefined && last.checkpoint.size > known;
  const state = isAhead ? last! : await loadState(recovery, checkpoint!);
  if (isAhead) {
    if (checkpoint !== undefined && !equalBytes(await rootAt(recovery, known), checkpoint.root)) {
      throw changed(`journal expected to continue the checkpoint of ${known} entries, got another history`);
    }
    checkpoint = last!.checkpoint;
    // A journal that was not made durable may be gone after the next crash although it was read now.
    const ahead = spans.filter(({ start }) => start >= known);
    await rewrite(
      storage,
      ahead.map(({ name }) => name),
    );
    await storage.replace({ name: CHECKPOINT, data: new TextEncoder().encode(checkpoint.note) });
    await storage.sync([CHECKPOINT]);
  }
  const strange = torn.find(({ start }) => start < size);
  if (strange !== undefined)
    throw changed(`${strange.name} expected a whole journal, got a part of one: it was changed`);
  await storage.remove(torn.map(({ name }) => name));
  await checkEnd(storage, size);
  const narrow = [...objects.values()].filter(({ width }) => width < TILE_WIDTH).map(({ name }) => name);
  return { state, journals: spans, narrow };
}

/** Whether a crash may have left this of the first checkpoint, that of no entries. */
function isTornBeginning(bytes: Uint8Array, origin: string): boolean {
  const beginning = new TextEncoder().encode(`${origin}\n0\n`);
  const length = Math.min(bytes.length, beginning.length);
  return bytes.every((byte) => byte === 0) || equalBytes(bytes.subarray(0, length), beginning.subarray(0, length));
}

async function readJournals(storage: LogStorage, hasher: TreeHasher) {
  const spans: JournalSpan[] = [];
  const records: JournalRecord[] = [];
  const torn: { name: string; start: number }[] = [];
  for (const name of [...(await storage.list(JOURNAL))].sort()) {
    const start = journalStart(name);
    if (start === undefined) throw changed(`${name} expected a journal, got another object: take it away`);
    const bytes = await storage.read(name);
    if (bytes === undefined) continue;
    const record = readJournal(bytes, hasher);
    if (record === undefined || record.start !== start) torn.push({ name, start });
    else {
      spans.push({ name, start, bytes: bytes.length });
      records.push(record);
    }
  }
  return { spans, records, torn };
}

/** Writes what is not there, or not as it must be. */
async function repair(storage: LogStorage, objects: Iterable<TileObject>, size: number): Promise<void> {
  const lost: StoredObject[] = [];
  const spare: string[] = [];
  for (const { name, level, index, width, data } of objects) {
    if (width < TILE_WIDTH && widthOf(size, level, index) === TILE_WIDTH) {
      spare.push(name);
      continue;
    }
    const there = await storage.read(name);
    if (there === undefined || !equalBytes(there, data)) lost.push({ name, data });
  }
  if (lost.length > 0) {
    await storage.write(lost);
    await storage.sync(lost.map(({ name }) => name));
  }
  // The full one is there now, and these may be damaged.
  await storage.remove(spare);
}

async function rewrite(storage: LogStorage, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const data = await storage.read(name);
    if (data === undefined)
      throw problem("provenance/locked", `${name} expected to stay, got it removed by somebody else`);
    await storage.replace({ name, data });
  }
  await storage.sync(names);
}

/** Nothing lies behind the end: otherwise the checkpoint was put back to an older one, and appending would make a second history. */
async function checkEnd(storage: LogStorage, size: number): Promise<void> {
  for (const level of ["entries", 0] as const) {
    const last = Math.floor(size / TILE_WIDTH);
    for (const index of [last, last + 1]) {
      for (const name of await storage.list(tilePath({ level, index, width: TILE_WIDTH }))) {
        const tile = readTilePath(name);
        if (tile?.index === index && tile.width > widthOf(size, level, index)) {
          throw changed(
            `${name} expected not to be there by a checkpoint of ${size} entries: the checkpoint is an older one`,
          );
        }
      }
    }
  }
}
