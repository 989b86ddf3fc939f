import { CHECKPOINT } from "./log-files.ts";
import type { JournalSpan } from "./recovery.ts";
import type { LogStorage } from "./storage.ts";
import { hashesAt, TILE_WIDTH, type Tile, type TileLevel, tilePath, widthOf } from "./tiles.ts";

/** Every tile and bundle of a log of `size` entries that holds something of the entries from `first` on. */
function tilesSince(first: number, size: number): readonly Tile[] {
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

/** How often files may vanish between looking for them and making them durable. */
const ATTEMPTS = 20;

const full = (tile: Tile): Tile => ({ ...tile, width: TILE_WIDTH });

/**
 * Makes durable what the journals hold, and then removes them: first what they protect, then they, then tiles that are not needed any
 * more. A crash between two steps leaves something to be done again, and never too little. `narrow` names the tiles that were written
 * while they were not full; those that a wider one replaced must be whole as well, as nothing would mend them later.
 */
export async function retire(
  storage: LogStorage,
  journals: readonly JournalSpan[],
  size: number,
  narrow: ReadonlySet<string>,
): Promise<void> {
  if (journals.length === 0) return;
  const first = Math.min(...journals.map(({ start }) => start));
  const tiles = tilesSince(first, size);
  for (let attempt = 1; ; attempt++) {
    try {
      await storage.sync(await namesToSync(storage, tiles, narrow));
      break;
    } catch (error) {
      // Another process may have removed some in between, when it had completed them; again and again, if it is quick.
      if (attempt === ATTEMPTS) throw error;
    }
  }
  await storage.remove(journals.map(({ name }) => name));
  const bases = new Set([...narrow].map(baseOf));
  const seen = new Set<TileLevel>();
  for (const tile of tiles) {
    const isFirst = !seen.has(tile.level);
    seen.add(tile.level);
    const name = tilePath(full(tile));
    if (tile.width === TILE_WIDTH && (isFirst || bases.has(name))) {
      await storage.remove(await storage.list(`${name}.p/`));
    }
  }
}

const baseOf = (name: string) => name.replace(/\.p\/[0-9]+$/, "");

async function namesToSync(storage: LogStorage, tiles: readonly Tile[], narrow: ReadonlySet<string>) {
  const names = new Set([CHECKPOINT]);
  for (const tile of tiles) {
    const name = tilePath(tile);
    const isGone = tile.width < TILE_WIDTH && (await storage.read(name)) === undefined;
    names.add(isGone ? tilePath(full(tile)) : name);
  }
  for (const name of narrow) if (!names.has(name) && (await storage.read(name)) !== undefined) names.add(name);
  return [...names];
}
