import { problem } from "../problem.ts";
import { bundlePrefix, type Growth } from "./growth.ts";
import type { LogStorage } from "./storage.ts";
import {
  hashesAt,
  readBundle,
  readTilePath,
  TILE_WIDTH,
  type Tile,
  type TileReader,
  tilePath,
  widthOf,
} from "./tiles.ts";

/** Where the checkpoint lies. */
export const CHECKPOINT = "checkpoint";

export const changed = (message: string, cause?: unknown) =>
  problem("provenance/changed", message, cause === undefined ? undefined : { cause });

export const missing = (name: string) =>
  problem("provenance/missing", `log expected the object ${name}, got none: put it back from a copy`);

/** What a tile or bundle must be long for, or the error that says it is not. */
export function checkTile(tile: Tile, bytes: Uint8Array): Uint8Array {
  const name = tilePath(tile);
  if (tile.level === "entries") {
    try {
      readBundle(bytes, tile.width);
    } catch (cause) {
      throw changed(`${name} expected ${tile.width} entries, got something else: it was changed`, cause);
    }
  } else if (bytes.length !== 32 * tile.width) {
    throw changed(`${name} expected ${32 * tile.width} bytes, got ${bytes.length}: it was changed`);
  }
  return bytes;
}

/** A tile or bundle: itself, or the beginning of one that is wider, as narrow ones may be removed when the full one is there. */
export async function readTile(storage: LogStorage, tile: Tile): Promise<Uint8Array> {
  const exact = await storage.read(tilePath(tile));
  if (exact !== undefined) return checkTile(tile, exact);
  if (tile.width === TILE_WIDTH) throw missing(tilePath(tile));
  const base = tilePath({ ...tile, width: TILE_WIDTH });
  const wider = [{ ...tile, width: TILE_WIDTH }];
  for (const name of await storage.list(`${base}.p/`)) {
    const other = readTilePath(name);
    if (other !== undefined && other.width > tile.width) wider.push({ ...tile, width: other.width });
  }
  for (const other of wider) {
    const bytes = await storage.read(tilePath(other));
    if (bytes === undefined) continue;
    checkTile(other, bytes);
    return tile.level === "entries" ? bundlePrefix(bytes, tile.width) : bytes.subarray(0, 32 * tile.width);
  }
  throw missing(tilePath(tile));
}

/** The end of a log of a size, from its tiles. */
export async function loadGrowth(storage: LogStorage, size: number): Promise<Growth> {
  const levels: Uint8Array[] = [];
  let bundle: Uint8Array = new Uint8Array();
  for (let level = 0; hashesAt(size, level) > 0; level++) {
    const hashes = hashesAt(size, level);
    const [index, width] = [Math.floor(hashes / TILE_WIDTH), hashes % TILE_WIDTH];
    levels.push(width === 0 ? new Uint8Array() : await readTile(storage, { level, index, width }));
    if (level === 0 && width > 0) bundle = await readTile(storage, { level: "entries", index, width });
  }
  return { size, levels, bundle };
}

/** Tiles that were read last; they never change. 4 MB at most. */
const MAX_CACHED = 512;

/** Reads tiles of a log of any size, and remembers the last full ones. */
export function createTileReader(storage: LogStorage): (size: number) => TileReader {
  const cache = new Map<string, Uint8Array>();
  return (size) => async (level, index, start, end) => {
    const tile = { level, index, width: widthOf(size, level, index) };
    const key = `${level}/${index}`;
    let bytes = cache.get(key);
    if (bytes === undefined || bytes.length < 32 * end) {
      bytes = await readTile(storage, tile);
      cache.delete(key);
      cache.set(key, bytes);
      if (cache.size > MAX_CACHED) cache.delete(cache.keys().next().value!);
    }
    return bytes.subarray(32 * start, 32 * end);
  };
}
