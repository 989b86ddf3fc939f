import { concatBytes, equalBytes, sha256, toHex } from "@parapet/attestation";
import { type Hasher, type HashName, hasherOf } from "../hashing.ts";
import type { Resource } from "../manifest.ts";
import { problem } from "../problem.ts";
import type { ProvenManifest } from "../verify.ts";

/** What is held in memory until it is proven, at times twice, as WebCrypto hashes one piece; what is longer is read twice. */
const HELD = 32 << 20;
/** A block of a file that is read twice. */
const BLOCK = 1 << 20;

/** Hands out the bytes of signed files, each piece once it is proven and not before. */
export interface SignedFiles {
  readonly names: readonly string[];
  /**
   * The proven bytes of a file.
   *
   * @param name - as it was signed
   * @param open - reads the file from its beginning; called again for a file that is too long to be held
   * @param size - bytes, where they are known: only what is too long depends on it, so nobody needs to trust it
   */
  readonly release: (
    name: string,
    open: () => AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>,
    size?: number,
  ) => AsyncGenerator<Uint8Array>;
}

/**
 * The files of a proven manifest.
 *
 * A file or shard of up to 32 MiB is held until its digest is known to be right. A longer one is read twice: the first time it
 * is hashed as a whole and block by block; the second time every block must be the one that was part of the right whole.
 */
export function signedFiles(
  { resources, hash }: ProvenManifest,
  options: { readonly hashers?: Partial<Record<HashName, Hasher>>; readonly held?: number } = {},
): SignedFiles {
  const { hashers, held = HELD } = options;
  const hasher = hasherOf(hash, hashers);
  const streaming = hashers?.[hash] ?? (hash === "sha256" ? nobleSha256 : hasher);
  const parts = new Map<string, Resource[]>();
  for (const resource of resources) {
    const list = parts.get(resource.name);
    if (list === undefined) parts.set(resource.name, [resource]);
    else list.push(resource);
  }
  for (const list of parts.values()) list.sort((a, b) => (a.shard?.start ?? 0) - (b.shard?.start ?? 0));

  return {
    names: [...parts.keys()],
    async *release(name, open, size) {
      const units = parts.get(name);
      if (units === undefined) {
        throw problem(
          "model-signing/unsigned",
          `${JSON.stringify(name)} expected to be signed, got a file that nobody signed`,
        );
      }
      const reader = new Reader(await open());
      let large = units.some(({ shard }) => (shard === undefined ? (size ?? 0) : shard.end - shard.start) > held);
      // Of a file whose length nobody says, less is held: it may be of any.
      const most = size === undefined ? held / 4 : held;
      let begun: Uint8Array[] = [];
      for (const unit of large ? [] : units) {
        const pieces = await reader.pieces(unit.shard === undefined ? most : unit.shard.end - unit.shard.start);
        large = unit.shard === undefined && !(await reader.isAtEnd());
        if (large) {
          begun = pieces;
          break;
        }
        const bytes = joined(pieces);
        check(unit, await hasher(one(bytes)));
        yield bytes;
      }
      if (!large) {
        if (!(await reader.isAtEnd())) throw longer(name);
        return;
      }
      const blocks = await firstReading(units, reader, begun, streaming);
      const again = new Reader(await open());
      for (const digest of blocks) {
        const block = await again.take(BLOCK);
        if (!equalBytes(await sha256(block), digest)) {
          throw problem(
            "model-signing/changed",
            `${JSON.stringify(name)} expected the same bytes when it was read again, got others`,
          );
        }
        yield block;
      }
      if (!(await again.isAtEnd())) throw longer(name);
    },
  };
}

const longer = (name: string) =>
  problem("model-signing/changed", `${JSON.stringify(name)} expected to end as it was signed, got more bytes`);

/** SHA-256 of what is too long for WebCrypto, in JavaScript. */
const nobleSha256: Hasher = async (pieces) => {
  const { sha256: noble } = await import("@noble/hashes/sha2.js");
  const hash = noble.create();
  for await (const piece of pieces) hash.update(piece);
  return hash.digest();
};

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Hashes units as they were signed, and all of the file in blocks; returns the digests of the blocks. */
async function firstReading(
  units: readonly Resource[],
  reader: Reader,
  begun: Uint8Array[],
  hasher: Hasher,
): Promise<readonly Uint8Array[]> {
  const blocks: Uint8Array[] = [];
  let open: Uint8Array[] = [];
  let filled = 0;
  const inBlocks = async (piece: Uint8Array) => {
    for (let at = 0; at < piece.length; ) {
      const part = piece.slice(at, at + BLOCK - filled);
      open.push(part);
      filled += part.length;
      at += part.length;
      if (filled < BLOCK) continue;
      blocks.push(await sha256(concatBytes(...open)));
      open = [];
      filled = 0;
    }
  };
  for (const unit of units) {
    let left = unit.shard === undefined ? Number.POSITIVE_INFINITY : unit.shard.end - unit.shard.start;
    const pieces = async function* () {
      // Each is let go as soon as it is hashed.
      for (let piece = begun.shift(); piece !== undefined; piece = begun.shift()) {
        await inBlocks(piece);
        yield piece;
      }
      while (left > 0) {
        const piece = await reader.take(Math.min(left, BLOCK));
        if (piece.length === 0) return;
        left -= piece.length;
        await inBlocks(piece);
        yield piece;
      }
    };
    check(unit, await hasher(pieces()));
  }
  if (filled > 0) blocks.push(await sha256(concatBytes(...open)));
  return blocks;
}

function check({ name, shard, digest }: Resource, got: Uint8Array): void {
  if (equalBytes(digest, got)) return;
  const where = shard === undefined ? "" : `, bytes ${shard.start} to ${shard.end},`;
  throw problem(
    "model-signing/changed",
    `${JSON.stringify(name)}${where} expected ${toHex(digest).slice(0, 16)}..., as it was signed; got ${toHex(got).slice(0, 16)}...: it was changed after it was signed`,
  );
}

const joined = (pieces: readonly Uint8Array[]): Uint8Array =>
  pieces.length === 1 ? pieces[0]! : concatBytes(...pieces);

/** Takes as many bytes as it is asked for from pieces of any size. */
class Reader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** Fresh memory; fewer bytes only at the end. */
  async take(count: number): Promise<Uint8Array> {
    return joined(await this.pieces(count));
  }

  async pieces(count: number): Promise<Uint8Array[]> {
    const taken: Uint8Array[] = [];
    let length = 0;
    while (length < count && !(await this.isAtEnd())) {
      const part = this.#rest.slice(0, count - length);
      this.#rest = this.#rest.subarray(part.length);
      taken.push(part);
      length += part.length;
    }
    return taken;
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#pieces.next();
      if (done === true) return true;
      this.#rest = value;
    }
    return false;
  }
}
