import { createHash } from "node:crypto";
import { fromBase64, toUtf8 } from "@parapet/attestation";
import { memoryStorage, readBundle, readTilePath, tilePath, writeBundle } from "@parapet/provenance";
import { describe, expect, it } from "vitest";
import { portableHasher } from "../../src/merkle/hasher.ts";
import { createNodeHasher } from "../../src/node/log-hasher.ts";
import { entriesOf, open } from "../helpers/logs.ts";
import go from "../vectors/log/go.json" with { type: "json" };

describe("tiles", () => {
  it("lie at the paths of the specification", () => {
    expect(tilePath({ level: 0, index: 1_234_067, width: 256 })).toBe("tile/0/x001/x234/067");
    expect(tilePath({ level: 63, index: 0, width: 255 })).toBe("tile/63/000.p/255");
    expect(tilePath({ level: "entries", index: 999, width: 1 })).toBe("tile/entries/999.p/1");
    expect(tilePath({ level: "entries", index: 1000, width: 1 })).toBe("tile/entries/x001/000.p/1");
    for (const index of [0, 7, 999, 1000, 999_999, 1_000_000, Number.MAX_SAFE_INTEGER]) {
      for (const width of [1, 255, 256]) {
        const tile = { level: 3, index, width };
        expect(readTilePath(tilePath(tile))).toEqual(tile);
      }
    }
    expect(() => tilePath({ level: 64, index: 0, width: 1 })).toThrow(RangeError);
    expect(() => tilePath({ level: 0, index: -1, width: 1 })).toThrow(RangeError);
    expect(() => tilePath({ level: 0, index: 0, width: 257 })).toThrow(RangeError);
  });

  it.each([
    "tile/0/000/",
    "tile/0/0",
    "tile/00/000",
    "tile/64/000",
    "tile/0/x000/001",
    "tile/0/001/002",
    "tile/0/000.p/0",
    "tile/0/000.p/256",
    "tile/0/000.p/01",
    "tile/0/../000",
    "/tile/0/000",
    "tile/0/x999/x999/x999/x999/x999/999",
    "tile/entries/000.p/1 ",
  ])("are not at %j", (path) => {
    expect(readTilePath(path)).toBeUndefined();
  });

  it("of 70,000 entries are those that Go's sumdb/tlog makes", { timeout: 60_000 }, async () => {
    const objects = new Map<string, Uint8Array>();
    const log = await open(memoryStorage(objects));
    await log.append(entriesOf(0, go.large.size));
    const { root } = await log.check();
    await log.close();
    expect(Buffer.from(root).toString("base64")).toBe(go.large.root);
    const tiles = [...objects.keys()].filter((name) => name.startsWith("tile/") && !name.startsWith("tile/entries/"));
    expect(tiles.sort()).toEqual(go.large.tiles.map(({ path }) => path).sort());
    for (const { path, sha256 } of go.large.tiles) {
      expect([path, createHash("sha256").update(objects.get(path)!).digest("base64")]).toEqual([path, sha256]);
    }
    expect(readBundle(objects.get("tile/entries/273.p/112")!, 112)[111]?.join()).toBe(toUtf8("entry 69999").join());
  });

  it("bundle entries with their lengths, and refuse what is none", () => {
    const entries = [toUtf8("a"), new Uint8Array(), new Uint8Array(300)];
    expect(readBundle(writeBundle(entries), 3).map((entry) => entry.join())).toEqual(
      entries.map((entry) => entry.join()),
    );
    const bytes = writeBundle(entries);
    for (let end = 0; end < bytes.length; end++)
      expect(() => readBundle(bytes.subarray(0, end), 3)).toThrow(/bundle expected/);
    expect(() => readBundle(bytes, 2)).toThrow(/more behind/);
    expect(() => readBundle(bytes, 4)).toThrow(/bundle expected/);
  });

  it("are hashed the same by Node and by JavaScript", () => {
    const node = createNodeHasher();
    for (const length of [0, 1, 31, 32, 64, 65, 100, 2047, 2048, 2049, 65_535]) {
      const entry = new Uint8Array(length + 7).map((_, i) => i);
      const [one, other] = [new Uint8Array(40), new Uint8Array(40)];
      node.leaf(entry, 3, length + 3, one, 5);
      portableHasher.leaf(entry, 3, length + 3, other, 5);
      expect(one.join()).toBe(other.join());
      const wanted = createHash("sha256")
        .update(Uint8Array.of(0))
        .update(entry.subarray(3, length + 3))
        .digest();
      expect(one.subarray(5, 37).join()).toBe(wanted.join());
    }
    const pair = fromBase64(go.large.tiles[0]!.sha256.slice(0, 40).repeat(4));
    const [one, other] = [new Uint8Array(96).fill(9), new Uint8Array(96).fill(9)];
    node.node(pair, 1, one, 32);
    portableHasher.node(pair, 1, other, 32);
    expect(one.join()).toBe(other.join());
  });
});
