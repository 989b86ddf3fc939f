import { joined, rootOver, type TreeHasher } from "../merkle/hasher.ts";
import { portableHash } from "../merkle/tree.ts";
import { readBundle, TILE_WIDTH, type TileLevel, tilePath } from "./tiles.ts";

/** All that it takes to append to a log: its last tiles, as far as they are not full. */
export interface Growth {
  readonly size: number;
  /** The hashes of the last tile of each level, one after another; nothing where it would be full. */
  readonly levels: readonly Uint8Array[];
  /** The entries of the last bundle. */
  readonly bundle: Uint8Array;
}

/** A tile or bundle to be stored. */
export interface TileObject {
  readonly name: string;
  readonly level: TileLevel;
  readonly index: number;
  readonly width: number;
  readonly data: Uint8Array;
}

/** What came of appending: the new end, and every tile that is new or wider. */
export interface Grown {
  readonly growth: Growth;
  readonly objects: readonly TileObject[];
}

/** The end of an empty log. */
export const nothing: Growth = { size: 0, levels: [], bundle: new Uint8Array() };

const object = (level: TileLevel, index: number, width: number, data: Uint8Array): TileObject => ({
  name: tilePath({ level, index, width }),
  level,
  index,
  width,
  data,
});

/** Appends the entries of a block, which lie in it as in a bundle. Nothing of `from` changes. */
export function grow(from: Growth, block: Uint8Array, hasher: TreeHasher): Grown {
  const objects: TileObject[] = [];
  const tiles = from.levels.map((hashes) => {
    const tile = new Uint8Array(32 * TILE_WIDTH);
    tile.set(hashes);
    return tile;
  });
  const full = from.levels.map(() => 0);
  let { size, bundle } = from;
  let [start, at] = [0, 0];
  const room = (level: number) => {
    tiles[level] ??= new Uint8Array(32 * TILE_WIDTH);
    full[level] ??= 0;
    return tiles[level];
  };
  /** A level's tile has its last hash: it goes out, and its root into the level above. */
  const complete = (level: number) => {
    const tile = tiles[level]!;
    const count = size / TILE_WIDTH ** (level + 1);
    objects.push(object(level, count - 1, TILE_WIDTH, tile));
    const above = room(level + 1);
    const place = (count - 1) % TILE_WIDTH;
    above.set(rootOver(tile, hasher), 32 * place);
    tiles[level] = new Uint8Array(32 * TILE_WIDTH);
    if (place === TILE_WIDTH - 1) complete(level + 1);
  };
  while (at < block.length) {
    const place = size % TILE_WIDTH;
    const end = at + 2 + block[at]! * 256 + block[at + 1]!;
    hasher.leaf(block, at + 2, end, room(0), 32 * place);
    at = end;
    size++;
    if (place < TILE_WIDTH - 1) continue;
    const index = size / TILE_WIDTH - 1;
    objects.push(object("entries", index, TILE_WIDTH, withPrefix(bundle, block.subarray(start, at))));
    [bundle, start] = [new Uint8Array(), at];
    complete(0);
  }
  bundle = withPrefix(bundle, block.subarray(start, at));
  const levels = tiles.map((tile, level) => tile.slice(0, 32 * (Math.floor(size / TILE_WIDTH ** level) % TILE_WIDTH)));
  const growth = { size, levels, bundle };
  if (size > from.size) objects.push(...partsOf(growth, from.size));
  return { growth, objects };
}

function withPrefix(prefix: Uint8Array, rest: Uint8Array): Uint8Array {
  if (prefix.length === 0) return rest;
  const bytes = new Uint8Array(prefix.length + rest.length);
  bytes.set(prefix);
  bytes.set(rest, prefix.length);
  return bytes;
}

/** The tiles at the end that are not full; without those that had as many hashes at size `since`. */
export function partsOf({ size, levels, bundle }: Growth, since?: number): readonly TileObject[] {
  const parts: TileObject[] = [];
  levels.forEach((hashes, level) => {
    const count = Math.floor(size / TILE_WIDTH ** level);
    if (hashes.length === 0 || (since !== undefined && count === Math.floor(since / TILE_WIDTH ** level))) return;
    const [index, width] = [Math.floor(count / TILE_WIDTH), count % TILE_WIDTH];
    if (level === 0) parts.push(object("entries", index, width, bundle));
    parts.push(object(level, index, width, hashes));
  });
  return parts;
}

/** The root of a log by its end. */
export function growthRoot({ levels }: Growth, hasher: TreeHasher): Uint8Array {
  let root: Uint8Array | undefined;
  for (const hashes of levels) {
    // From the smallest subtree to the largest.
    let end = hashes.length / 32;
    for (let width = 1; end > 0; width *= 2) {
      if (end % (2 * width) === 0) continue;
      const subtree = rootOver(hashes.subarray(32 * (end - width), 32 * end), hasher);
      root = root === undefined ? subtree : joined(subtree, root, hasher);
      end -= width;
    }
  }
  return root ?? portableHash(new Uint8Array());
}

/** The entries of a bundle's beginning, as bytes. */
export function bundlePrefix(bundle: Uint8Array, count: number): Uint8Array {
  const entries = readBundle(bundle, count, false);
  return bundle.subarray(
    0,
    entries.reduce((sum, { length }) => sum + 2 + length, 0),
  );
}
