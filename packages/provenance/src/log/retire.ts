import { JOURNAL } from "./journal.ts";
import { CHECKPOINT } from "./log-files.ts";
import type { JournalSpan } from "./recovery.ts";
import type { LogStorage } from "./storage.ts";
import { hashesAt, TILE_WIDTH, type Tile, type TileLevel, tilePath, widthOf } from "./tiles.ts";

/** Every tile and bundle of a log of `size` entries that holds something of the entries from `first` on. */
export function tilesSince(first: number, size: number): readonly Tile[] {
  const tiles: Tile[] = [];
  const add = (level: TileLevel, power: number) => {
    for (let index = Math.floor(first / TILE_WIDTH ** (power + 1)); ; index++) {
      const width = widthOf(size, level, index);
      if (width === 0) return;
      tiles.push({ level, index, width });
    }
  };
  add("entries", 0);
  for (let level = 0; hashesAt(size, level) > 0; level++) add(level, level);
  return tiles;
}

const full = (tile: Tile): Tile => ({ ...tile, width: TILE_WIDTH });

/**
 * Makes durable what the journals hold, and then removes them: first what they protect, then they, then tiles that are not needed any
 * more. A crash between two steps leaves something to be done again, and never too little.
 */
export async function retire(
  storage: LogStorage,
  journals: readonly JournalSpan[],
  size: number,
  partial: ReadonlySet<string>,
): Promise<void> {
  if (journals.length === 0) return;
  const first = Math.min(...journals.map(({ start }) => start));
  const tiles = tilesSince(first, size);
  try {
    await storage.sync([...tiles.map(tilePath), CHECKPOINT]);
  } catch (error) {
    // Another process may have completed and removed the last ones.
    let instead = false;
    const names: string[] = [];
    for (const tile of tiles) {
      const gone = tile.width < TILE_WIDTH && (await storage.read(tilePath(tile))) === undefined;
      instead ||= gone;
      names.push(tilePath(gone ? full(tile) : tile));
    }
    if (!instead) throw error;
    await storage.sync([...names, CHECKPOINT]);
  }
  await storage.remove(journals.map(({ name }) => name).filter((name) => name.startsWith(JOURNAL)));
  const seen = new Set<TileLevel>();
  for (const tile of tiles) {
    const isFirst = !seen.has(tile.level);
    seen.add(tile.level);
    const name = tilePath(full(tile));
    if (tile.width === TILE_WIDTH && (isFirst || partial.has(name)))
      await storage.remove(await storage.list(`${name}.p/`));
  }
}
