import { equalBytes } from "@parapet/attestation";
import { checkNumber } from "@parapet/core";
import type { TreeHasher } from "../merkle/hasher.ts";
import { consistencyRanges, inclusionRanges, verifyConsistency, verifyInclusion } from "../merkle/tree.ts";
import type { ProvenCheckpoint } from "./checkpoint.ts";
import { changed, createTileReader, readTile } from "./log-files.ts";
import type { LogStorage } from "./storage.ts";
import { rangeHash, readBundle, TILE_WIDTH, type Tile, widthOf } from "./tiles.ts";

/** The hashes of a proof, and the entry's own. */
export interface Inclusion {
  readonly size: number;
  readonly hashes: readonly Uint8Array[];
  readonly leaf: Uint8Array;
}

/** Reads entries and makes proofs, from tiles, against a checkpoint. None goes out that does not hold. */
export interface LogReader {
  readonly inclusion: (checkpoint: ProvenCheckpoint, index: number) => Promise<Inclusion>;
  readonly consistency: (checkpoint: ProvenCheckpoint, first: number, second: number) => Promise<readonly Uint8Array[]>;
  readonly entry: (checkpoint: ProvenCheckpoint, index: number) => Promise<Uint8Array>;
}

/** Makes a reader. */
export function createLogReader(storage: LogStorage, hasher: TreeHasher): LogReader {
  const tiles = createTileReader(storage);

  async function inclusion({ size, root }: ProvenCheckpoint, index: number): Promise<Inclusion> {
    checkNumber("index", index, { min: 0, max: size - 1, integer: true });
    const read = tiles(size);
    const hashes: Uint8Array[] = [];
    for (const [start, end] of inclusionRanges(index, size)) hashes.push(await rangeHash(start, end, read, hasher));
    const leaf = (await rangeHash(index, index + 1, read, hasher)).slice();
    try {
      verifyInclusion({ index, size, hashes }, leaf, root);
    } catch (cause) {
      throw changed(
        `tiles expected to lead from entry ${index} to the root of ${size} entries: one was changed`,
        cause,
      );
    }
    return { size, hashes, leaf };
  }

  return {
    inclusion,
    async consistency(checkpoint, first, second) {
      checkNumber("second", second, { min: 0, max: checkpoint.size, integer: true });
      checkNumber("first", first, { min: 0, max: second, integer: true });
      if (first === 0 || first === second) return [];
      const read = tiles(checkpoint.size);
      const hashes: Uint8Array[] = [];
      for (const [start, end] of consistencyRanges(first, second))
        hashes.push(await rangeHash(start, end, read, hasher));
      const before = await rangeHash(0, first, read, hasher);
      const after = second === checkpoint.size ? checkpoint.root : await rangeHash(0, second, read, hasher);
      try {
        verifyConsistency({ first, second, hashes }, before, after);
      } catch (cause) {
        throw changed(`tiles expected the tree of ${first} entries within that of ${second}: one was changed`, cause);
      }
      return hashes;
    },
    async entry(checkpoint, index) {
      const { leaf } = await inclusion(checkpoint, index);
      const bundle = Math.floor(index / TILE_WIDTH);
      const tile: Tile = { level: "entries", index: bundle, width: widthOf(checkpoint.size, "entries", bundle) };
      const entry = readBundle(await readTile(storage, tile), tile.width)[index % TILE_WIDTH]!;
      const hash = new Uint8Array(32);
      hasher.leaf(entry, 0, entry.length, hash, 0);
      if (!equalBytes(hash, leaf))
        throw changed(`entry ${index} expected its hash in the log's tree, got another: it was changed`);
      return entry.slice();
    },
  };
}
