import { equalBytes, toUtf8 } from "@parapet/attestation";
import { ed25519Verifier } from "@parapet/attestation/small";
import {
  indexedDbStorage,
  type Log,
  type LogStorage,
  memoryStorage,
  openLog,
  readCheckpoint,
  verifyLogProof,
} from "@parapet/provenance";
import { describe, expect, it } from "vitest";
import { leafHash, verifyConsistency } from "../../src/merkle/tree.ts";
import { codeOf, testSigner, verifierOf } from "../helpers/keys.ts";
import { consistencyProof, inclusionProof, merkleRoot } from "../helpers/tree.ts";

const signer = testSigner("example.com/log");
const open = (storage: LogStorage, options = {}): Promise<Log> =>
  openLog(storage, { signer, makeVerifier: ed25519Verifier, ...options });
const entries = Array.from({ length: 600 }, (_, i) => toUtf8(`entry ${i}`));
const leaves = entries.map((entry) => leafHash(entry));

const places: [string, () => LogStorage][] = [["in memory", () => memoryStorage()]];
if ("indexedDB" in globalThis) {
  let count = 0;
  places.push(["in IndexedDB", () => indexedDbStorage(`test-${Date.now()}-${count++}`)]);
}

describe.each(places)("a log %s", (_, place) => {
  it("has the roots and proofs of the textbook at every size that it had", async () => {
    const log = await open(place());
    const sizes = [1, 2, 3, 7, 255, 256, 257, 300, 511, 513, 600];
    let size = 0;
    for (const next of sizes) {
      expect(await log.append(entries.slice(size, next))).toEqual({ index: size });
      size = next;
      const checkpoint = await log.checkpoint();
      expect([checkpoint.size, checkpoint.root.join()]).toEqual([size, merkleRoot(leaves.slice(0, size)).join()]);
      for (const index of [0, Math.floor(size / 2), size - 1]) {
        expect((await log.entry(index)).join()).toBe(entries[index]!.join());
        const proof = await log.inclusionProof(index);
        expect(proof.size).toBe(size);
        expect(proof.hashes.join("/")).toBe(inclusionProof(leaves.slice(0, size), index).join("/"));
      }
    }
    for (const first of sizes) {
      for (const second of sizes.filter((one) => one >= first)) {
        const wanted = consistencyProof(leaves.slice(0, second), first);
        expect((await log.consistencyProof(first, second)).join("/")).toBe(wanted.join("/"));
      }
      const roots = [merkleRoot(leaves.slice(0, first)), (await log.checkpoint()).root] as const;
      verifyConsistency({ first, second: 600, hashes: await log.consistencyProof(first) }, ...roots);
    }
    expect((await log.check()).size).toBe(600);
    await log.close();
  });

  it("is as it was when it is opened again, and for others who have it open", async () => {
    const storage = place();
    const one = await open(storage);
    expect((await one.checkpoint()).size).toBe(0);
    await one.append(entries.slice(0, 3));
    const other = await open(storage);
    await other.append(entries.slice(3, 5));
    expect(await one.append(entries.slice(5, 6))).toEqual({ index: 5 });
    expect((await other.entry(5)).join()).toBe(entries[5]!.join());
    await Promise.all([one.close(), other.close()]);
    expect(await codeOf(one.append(entries[0]!))).toBe("provenance/locked");
    const again = await open(storage);
    expect((await again.check()).root.join()).toBe(merkleRoot(leaves.slice(0, 6)).join());
    expect((await storage.list("journal/")).length).toBe(0);
    await again.close();
  });

  it("gives everybody who appends at once an index of his own", async () => {
    const storage = place();
    const logs = await Promise.all([open(storage), open(storage), open(storage)]);
    const results = await Promise.all(entries.slice(0, 90).map((entry, i) => logs[i % 3]!.append(entry)));
    expect(results.map(({ index }) => index).sort((a, b) => a - b)).toEqual(Array.from({ length: 90 }, (_, i) => i));
    for (const [i, { index }] of results.entries()) {
      expect(equalBytes(await logs[0]!.entry(index), entries[i]!)).toBe(true);
    }
    expect((await logs[1]!.check()).size).toBe(90);
    await Promise.all(logs.map((log) => log.close()));
    expect((await (await open(storage)).check()).size).toBe(90);
  });
});

describe("a log", () => {
  it("takes empty entries and the longest ones, and no longer ones", async () => {
    const log = await open(memoryStorage());
    const long = new Uint8Array(65_535).fill(7);
    await log.append([new Uint8Array(), long, new Uint8Array()]);
    expect((await log.entry(1)).length).toBe(65_535);
    expect((await log.entry(2)).length).toBe(0);
    expect(await codeOf(log.append(new Uint8Array(65_536)))).toBe("RangeError");
    expect(await codeOf(log.append([]))).toBe("TypeError");
    expect(await codeOf(log.append("text" as never))).toBe("TypeError");
    expect(await codeOf(log.append(["text"] as never))).toBe("TypeError");
    for (const index of [-1, 3, 1.5, Number.NaN, 2 ** 53]) expect(await codeOf(log.entry(index))).toBe("RangeError");
    expect(await codeOf(log.consistencyProof(2, 1))).toBe("RangeError");
    expect(await codeOf(log.consistencyProof(1, 4))).toBe("RangeError");
    expect((await log.check()).size).toBe(3);
  });

  it("keeps what was given, whatever the caller does to it afterwards", async () => {
    const log = await open(memoryStorage());
    const mine = Uint8Array.of(1, 2, 3);
    const promise = log.append(mine);
    mine.fill(9);
    await promise;
    const out = await log.entry(0);
    expect(out.join()).toBe("1,2,3");
    out.fill(9);
    expect((await log.entry(0)).join()).toBe("1,2,3");
  });

  it("can be read with its public key alone, and not appended to", async () => {
    const storage = memoryStorage();
    const verifier = await verifierOf(signer);
    expect(await codeOf(openLog(storage, { verifier }))).toBe("provenance/missing");
    expect(await codeOf(openLog(storage, {}))).toBe("TypeError");
    const log = await open(storage);
    await log.append(entries.slice(0, 300));
    const reader = await openLog(storage, { verifier });
    expect((await reader.check()).size).toBe(300);
    expect((await reader.entry(299)).join()).toBe(entries[299]!.join());
    expect(await codeOf(reader.append(entries[0]!))).toBe("TypeError");
    await log.append(entries.slice(300, 301));
    expect((await reader.entry(300)).join()).toBe(entries[300]!.join());
    const stranger = await verifierOf(testSigner("example.com/log", 9));
    expect(await codeOf(openLog(storage, { verifier: stranger }))).toBe("provenance/changed");
    expect(await codeOf(openLog(storage, { verifier, origin: "example.com/other" }))).toBe("provenance/changed");
  });

  it("sees that another history was put in its place while it is open", async () => {
    const [one, other] = [new Map<string, Uint8Array>(), new Map<string, Uint8Array>()];
    const log = await open(memoryStorage(one));
    await log.append(entries.slice(0, 4));
    const fork = await open(memoryStorage(other));
    await fork.append(entries.slice(1, 5));
    await fork.append(entries.slice(5, 6));
    await fork.close();
    one.clear();
    for (const [name, data] of other) one.set(name, data);
    for (const attempt of [() => log.append(entries[7]!), () => log.checkpoint(), () => log.check()]) {
      const error = await attempt().catch((error) => error);
      expect(error.code).toBe("provenance/split-view");
      expect(error.evidence.map((note: string) => readCheckpoint(note).size)).toEqual([4, 5]);
    }
  });

  it("removes tiles that are not full once the full one is there", async () => {
    const objects = new Map<string, Uint8Array>();
    const log = await open(memoryStorage(objects));
    for (const entry of entries.slice(0, 20)) await log.append(entry);
    await log.append(entries.slice(20, 300));
    await log.close();
    expect([...objects.keys()].sort()).toEqual([
      "checkpoint",
      "tile/0/000",
      "tile/0/001.p/44",
      "tile/1/000.p/1",
      "tile/entries/000",
      "tile/entries/001.p/44",
    ]);
  });

  it("writes proofs that anybody checks offline", async () => {
    const log = await open(memoryStorage());
    await log.append(entries.slice(0, 300));
    const policy = { log: await verifierOf(signer) };
    const proof = await log.proofFile(270, toUtf8("more"));
    const proven = await verifyLogProof(proof, entries[270]!, policy);
    expect([proven.index, proven.checkpoint.size, proven.extra?.length]).toEqual([270, 300, 4]);
    expect(await codeOf(verifyLogProof(proof, entries[271]!, policy))).toBe("provenance/proof");
    expect(await codeOf(verifyLogProof(proof.replace("index 270", "index 271"), entries[270]!, policy))).toBe(
      "provenance/proof",
    );
    const other = { log: await verifierOf(testSigner("example.com/log", 9)) };
    expect(await codeOf(verifyLogProof(proof, entries[270]!, other))).toBe("provenance/signature");
  });
});
