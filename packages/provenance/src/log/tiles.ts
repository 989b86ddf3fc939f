import { checkNumber, expected } from "@parapet/core";
import { joined, rootOver, type TreeHasher } from "../merkle/hasher.ts";
import { splitOf } from "../merkle/tree.ts";
import { malformed } from "./text.ts";

/** How many hashes a full tile has, and how many entries a full bundle. */
export const TILE_WIDTH = 256;

/** The longest entry: two bytes say how long it is. */
const MAX_ENTRY = 65_535;

/** Hashes at a level of the tree, each over 256 of the level below; or "entries", the entries themselves. */
export type TileLevel = number | "entries";

/** Where a tile stands, and how much is in it. */
export interface Tile {
  readonly level: TileLevel;
  /** Which of its level. */
  readonly index: number;
  /** 1 to 256. */
  readonly width: number;
}

/**
 * The path of a tile, or of a bundle of entries.
 *
 * @param tile - level 0 to 63 or "entries", index, and width
 * @returns a path below the log's address
 * @throws RangeError when there is no such tile
 *
 * @example
 * ```ts
 * import { tilePath } from "@parapet/provenance";
 * console.log(tilePath({ level: 0, index: 1234067, width: 256 }), tilePath({ level: "entries", index: 3, width: 7 })); // => tile/0/x001/x234/067 tile/entries/003.p/7
 * ```
 *
 * Source: https://c2sp.org/tlog-tiles, "Merkle Tree" and "Log entries".
 */
export function tilePath({ level, index, width }: Tile): string {
  if (level !== "entries") checkNumber("level", level, { min: 0, max: 63, integer: true });
  checkNumber("index", index, { min: 0, max: Number.MAX_SAFE_INTEGER, integer: true });
  checkNumber("width", width, { min: 1, max: TILE_WIDTH, integer: true });
  const parts: string[] = [];
  let rest = index;
  do {
    parts.unshift(`${parts.length > 0 ? "x" : ""}${String(rest % 1000).padStart(3, "0")}`);
    rest = Math.floor(rest / 1000);
  } while (rest > 0);
  return `tile/${level}/${parts.join("/")}${width === TILE_WIDTH ? "" : `.p/${width}`}`;
}

/**
 * Which tile a path is of.
 *
 * @param path - from outside
 * @returns the tile, or undefined when the path is none of a tile in its one form
 *
 * @example
 * ```ts
 * import { readTilePath } from "@parapet/provenance";
 * console.log(readTilePath("tile/1/x001/234.p/17"), readTilePath("tile/01/000")); // => { level: 1, index: 1234, width: 17 } undefined
 * ```
 *
 * Source: https://c2sp.org/tlog-tiles, "Merkle Tree".
 */
export function readTilePath(path: string): Tile | undefined {
  const form = /^tile\/(entries|[0-9]{1,2})\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([0-9]{1,3}))?$/;
  const [, level, digits, width = String(TILE_WIDTH)] = form.exec(path) ?? [];
  if (level === undefined || digits === undefined) return undefined;
  const tile = {
    level: level === "entries" ? ("entries" as const) : Number(level),
    index: Number(digits.replace(/[x/]/g, "")),
    width: Number(width),
  };
  const exists = tile.width >= 1 && tile.width <= TILE_WIDTH && tile.index <= Number.MAX_SAFE_INTEGER;
  return exists && (level === "entries" || Number(level) <= 63) && tilePath(tile) === path ? tile : undefined;
}

/** How many whole hashes a level of a tree has. */
export const hashesAt = (size: number, level: number): number => Math.floor(size / TILE_WIDTH ** level);

/** How wide a tile of a tree is; 0 when there is none. */
export function widthOf(size: number, level: TileLevel, index: number): number {
  const hashes = hashesAt(size, level === "entries" ? 0 : level);
  return Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH));
}

/**
 * Entries one after another, each behind its length.
 *
 * @param entries - of at most 65,535 bytes each
 * @returns the bytes
 * @throws RangeError when one is longer
 *
 * @example
 * ```ts
 * import { writeBundle } from "@parapet/provenance";
 * console.log(writeBundle([Uint8Array.of(7, 8), Uint8Array.of()]).join()); // => 0,2,7,8,0,0
 * ```
 *
 * Source: https://c2sp.org/tlog-tiles, "Log entries".
 */
export function writeBundle(entries: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const entry of entries) {
    if (!(entry instanceof Uint8Array)) throw new TypeError(expected("entry", "bytes", entry));
    if (entry.length > MAX_ENTRY) {
      throw new RangeError(
        expected("entry", `at most ${MAX_ENTRY} bytes (log the digest of what is longer)`, entry.length),
      );
    }
    length += 2 + entry.length;
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const entry of entries) {
    bytes[at] = entry.length >> 8;
    bytes[at + 1] = entry.length & 255;
    bytes.set(entry, at + 2);
    at += 2 + entry.length;
  }
  return bytes;
}

/**
 * Reads entries that lie one after another.
 *
 * @param bytes - a bundle, or the beginning of one
 * @param count - how many entries to read
 * @returns the entries, as views of `bytes`
 * @throws `provenance/malformed` when there are fewer, or more of them when `exact`
 *
 * @example
 * ```ts
 * import { readBundle } from "@parapet/provenance";
 * console.log(readBundle(Uint8Array.of(0, 2, 7, 8, 0, 0), 2)[0]?.join()); // => 7,8
 * ```
 *
 * Source: https://c2sp.org/tlog-tiles, "Log entries".
 */
export function readBundle(bytes: Uint8Array, count: number, exact = true): readonly Uint8Array[] {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (entries.length < count) {
    if (at + 2 > bytes.length) throw malformed(`bundle expected ${count} entries, got ${entries.length}`);
    const end = at + 2 + bytes[at]! * 256 + bytes[at + 1]!;
    if (end > bytes.length) throw malformed(`bundle expected an entry up to byte ${end}, got ${bytes.length} bytes`);
    entries.push(bytes.subarray(at + 2, end));
    at = end;
  }
  if (exact && at !== bytes.length) throw malformed(`bundle expected ${count} entries, got more behind byte ${at}`);
  return entries;
}

/** Gives hashes of one tile from `start` to before `end`. */
export type TileReader = (level: number, index: number, start: number, end: number) => Promise<Uint8Array>;

/**
 * The hash over the entries from `start` to before `end` of a tree, from its tiles. The range is one that the recursion of RFC 6962
 * makes: a whole subtree, or the rest of the tree.
 */
export async function rangeHash(start: number, end: number, read: TileReader, hasher: TreeHasher): Promise<Uint8Array> {
  const size = end - start;
  const height = Math.floor(Math.log2(size));
  if (2 ** height !== size) {
    const middle = start + splitOf(size);
    return joined(await rangeHash(start, middle, read, hasher), await rangeHash(middle, end, read, hasher), hasher);
  }
  // A whole subtree of up to 2^7 hashes of one level.
  const level = Math.floor(height / 8);
  const width = 2 ** (height % 8);
  const first = start / TILE_WIDTH ** level;
  const index = Math.floor(first / TILE_WIDTH);
  const at = first - index * TILE_WIDTH;
  return rootOver(await read(level, index, at, at + width), hasher);
}
