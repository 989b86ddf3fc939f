import { equalBytes } from "@parapet/attestation";
import type { TreeHasher } from "../merkle/hasher.ts";
import type { ProvenCheckpoint } from "./checkpoint.ts";
import { bundlePrefix, type Growth, grow, growthRoot, nothing, partsOf, type TileObject } from "./growth.ts";
import { JOURNAL, journalStart, readJournal } from "./journal.ts";
import { changed, checkTile, missing } from "./log-files.ts";
import type { LogStorage } from "./storage.ts";
import { readBundle, readTilePath, TILE_WIDTH, type Tile, tilePath, widthOf, writeBundle } from "./tiles.ts";

/** Reads everything that a log is, and throws at the first thing that is not as its checkpoint says. */
export async function checkAll(
  storage: LogStorage,
  { size, root }: ProvenCheckpoint,
  hasher: TreeHasher,
): Promise<void> {
  const names = await storage.list("tile/");
  const narrow = narrowOnes(names, size);
  const compare = async (object: TileObject) => {
    const there = await storage.read(object.name);
    if (there === undefined) throw missing(object.name);
    if (!equalBytes(there, object.data))
      throw changed(`${object.name} expected what its entries give, got something else`);
    for (const tile of narrow.get(tilePath({ ...object, width: TILE_WIDTH })) ?? []) {
      if (tile.width < object.width) await compareNarrow(storage, tile, object.data);
    }
  };
  let growth: Growth = nothing;
  for (let index = 0; growth.size < size; index++) {
    const tile: Tile = { level: "entries", index, width: widthOf(size, "entries", index) };
    const bundle = await storage.read(tilePath(tile));
    if (bundle === undefined) throw missing(tilePath(tile));
    const grown = grow(growth, checkTile(tile, bundle), hasher);
    growth = grown.growth;
    for (const object of grown.objects) if (object.width === TILE_WIDTH) await compare(object);
  }
  for (const object of partsOf(growth)) await compare(object);
  if (!equalBytes(growthRoot(growth, hasher), root)) {
    throw changed(`entries expected the root of the checkpoint of ${size} entries, got another: something was changed`);
  }
  await checkJournals(storage, size, hasher);
}

/** Tiles that a wider one replaced, by the name of the full one; any other that is not of this log is refused. */
function narrowOnes(names: readonly string[], size: number): ReadonlyMap<string, readonly Tile[]> {
  const narrow = new Map<string, Tile[]>();
  for (const name of names) {
    const tile = readTilePath(name);
    const width = tile === undefined ? 0 : widthOf(size, tile.level, tile.index);
    if (tile === undefined || tile.width > width) {
      throw changed(
        `${name} expected not to be there by the checkpoint of ${size} entries: it was added, or the checkpoint is older`,
      );
    }
    if (tile.width === width) continue;
    const base = tilePath({ ...tile, width: TILE_WIDTH });
    narrow.set(base, [...(narrow.get(base) ?? []), tile]);
  }
  return narrow;
}

async function compareNarrow(storage: LogStorage, tile: Tile, wide: Uint8Array): Promise<void> {
  const there = await storage.read(tilePath(tile));
  const wanted = tile.level === "entries" ? bundlePrefix(wide, tile.width) : wide.subarray(0, 32 * tile.width);
  if (there !== undefined && !equalBytes(there, wanted)) {
    throw changed(`${tilePath(tile)} expected the beginning of the wider one, got something else`);
  }
}

async function checkJournals(storage: LogStorage, size: number, hasher: TreeHasher): Promise<void> {
  for (const name of await storage.list(JOURNAL)) {
    const bytes = await storage.read(name);
    if (bytes === undefined) continue;
    const record = readJournal(bytes, hasher);
    if (record === undefined || record.start !== journalStart(name) || record.start + record.count > size) {
      throw changed(`${name} expected a whole journal of entries below ${size}, got something else`);
    }
    const entries = readBundle(record.block, record.count);
    for (let at = 0; at < entries.length; ) {
      const index = Math.floor((record.start + at) / TILE_WIDTH);
      const tile: Tile = { level: "entries", index, width: widthOf(size, "entries", index) };
      const bundle = await storage.read(tilePath(tile));
      if (bundle === undefined) throw missing(tilePath(tile));
      const from = record.start + at - index * TILE_WIDTH;
      const there = readBundle(bundle, tile.width).slice(from, from + entries.length - at);
      if (!equalBytes(writeBundle(there), writeBundle(entries.slice(at, at + there.length)))) {
        throw changed(`${name} expected the entries of ${tilePath(tile)}, got others`);
      }
      at += there.length;
    }
  }
}
