import { createHash } from "node:crypto";
import { canonicalJson, toHex } from "@parapet/attestation";
import { ndArray, type SecureRng } from "@parapet/core";
import {
  createDataset,
  type DatasetRecord,
  manifestId,
  recordCommitment,
  rowsOf,
  verifyCommitments,
} from "@parapet/provenance";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { at, compareBytes, merkleLevels, proofFrom, sortedOrder } from "../../src/datasets/levels.ts";
import { leafHash, portableHash } from "../../src/merkle/tree.ts";
import { inclusionProof, merkleRoot } from "../helpers/tree.ts";

const sha256 = (data: Uint8Array) => Uint8Array.from(createHash("sha256").update(data).digest());

/** Byte i of all that is ever asked for is i modulo 256: salts that can be foretold. */
const counting = (): SecureRng => {
  let next = 0;
  return { bytes: (n) => Uint8Array.from({ length: n }, () => next++ % 251) };
};

describe("levels of a tree", () => {
  it("hold the root and the proofs of the plain tree, for every size up to 70", () => {
    for (let size = 0; size <= 70; size++) {
      const entries = Uint8Array.from({ length: size * 32 }, (_, i) => (i * 7 + (i >> 5)) % 256);
      const leaves = Array.from({ length: size }, (_, i) => leafHash(at(entries, i)));
      const levels = merkleLevels(entries, undefined, portableHash);
      expect(toHex(levels.at(-1)!)).toBe(toHex(merkleRoot(leaves)));
      for (let i = 0; i < size; i++) expect(proofFrom(levels, i)).toEqual(inclusionProof(leaves, i));
    }
  });

  it("are sorted by bytes, also where the first six are equal", () => {
    const few = fc.array(fc.tuple(fc.nat(2), fc.nat(2), fc.nat(255)), { maxLength: 40 });
    fc.assert(
      fc.property(few, (list) => {
        const bytes = new Uint8Array(list.length * 32);
        for (const [i, [first, sixth, last]] of list.entries()) {
          bytes[i * 32] = first;
          bytes[i * 32 + 6] = sixth;
          bytes[i * 32 + 31] = last;
        }
        const order = sortedOrder(bytes);
        const sorted = Array.from(order, (i) => toHex(at(bytes, i)));
        expect(sorted).toEqual([...sorted].sort());
        expect([...order].sort((a, b) => a - b)).toEqual(list.map((_, i) => i));
        expect(compareBytes(bytes, bytes)).toBe(0);
      }),
    );
  });
});

describe("createDataset", () => {
  it("commits to every record, in both orders", async () => {
    const records: DatasetRecord[] = [{ a: 1 }, { a: "1" }, Uint8Array.of(7), ndArray([1, 2]), { a: 1 }];
    const dataset = await createDataset(records, { name: "mixed", rng: counting() });
    const salt = (i: number) => Uint8Array.from({ length: 32 }, (_, j) => (32 * i + j) % 251);
    const commitments = records.map((record, i) => recordCommitment(salt(i), record));
    for (const [i, commitment] of commitments.entries()) {
      expect(at(dataset.salts, i)).toEqual(salt(i));
      expect(at(dataset.commitments, i)).toEqual(commitment);
    }
    const rootOf = (list: readonly Uint8Array[]) => toHex(merkleRoot(list.map((one) => leafHash(one))));
    expect(dataset.manifest.root).toBe(rootOf(commitments));
    expect(dataset.manifest.sortedRoot).toBe(rootOf([...commitments].sort(Buffer.compare)));
    expect(new Set(commitments.map(toHex)).size).toBe(5); // the same record twice does not show
    verifyCommitments(dataset.manifest, dataset.commitments);
    const id = createHash("sha256")
      .update(canonicalJson(dataset.manifest as never))
      .digest("hex");
    expect(manifestId(dataset.manifest)).toBe(`sha256:${id}`);
    expect(manifestId(dataset.manifest, sha256)).toBe(`sha256:${id}`);
  });

  it("is the same for a list, a generator and an asynchronous stream, whatever hashes", async () => {
    const rows = Array.from({ length: 5000 }, (_, i) => ({ i, text: `row ${i % 3}` }));
    async function* stream() {
      for (const row of rows) yield row;
    }
    const a = await createDataset(rows, { name: "n", rng: counting() });
    const b = await createDataset(stream(), { name: "n", rng: counting(), hash: sha256 });
    const c = await createDataset(rows.values(), { name: "n", rng: counting() });
    expect(b).toEqual(a);
    expect(c).toEqual(a);
    expect(a.commitments.length).toBe(5000 * 32);
  });

  it("takes fresh secure salts, or derives them from a secret", async () => {
    const make = async (secret?: Uint8Array) =>
      (await createDataset([{ a: 1 }, { a: 1 }], { name: "n", ...(secret && { secret }) })).salts;
    const random = await make();
    expect(toHex(at(random, 0))).not.toBe(toHex(at(random, 1)));
    expect(toHex(random)).not.toBe(toHex(await make()));
    const secret = new Uint8Array(32).fill(1);
    const derived = await make(secret);
    expect(toHex(at(derived, 0))).toBe(toHex(at(derived, 1)));
    expect(await make(secret)).toEqual(derived);
    expect(await make(new Uint8Array(32).fill(2))).not.toEqual(derived);
  });

  it("says what fields there are and what they are like", async () => {
    const people = [
      { age: 30, sex: "f", member: true, score: 0.5, name: "A", list: [1] },
      { age: 40, sex: "m", member: true, score: Number.NaN, name: "B", list: [] },
      { age: 50, sex: "f", member: false, name: "C", score: 2.5, list: null },
      { age: null, sex: "m", member: true, score: 1, name: "D", list: {} },
    ];
    const { manifest } = await createDataset(people, {
      name: "people",
      fields: { name: { personal: true, description: "whole" } },
    });
    expect(manifest.fields).toEqual([
      { name: "age", type: "integer" },
      { name: "sex", type: "text" },
      { name: "member", type: "boolean" },
      { name: "score", type: "number" },
      { name: "name", type: "text", personal: true, description: "whole" },
      { name: "list", type: "other" },
    ]);
    const { age, sex, member, score, name, list } = manifest.statistics!;
    expect(age).toMatchObject({ count: 3, missing: 1, min: 30, max: 50, mean: 40, distinct: 3 });
    expect(age!.standardDeviation).toBeCloseTo(Math.sqrt(200 / 3), 12);
    expect(age!.counts).toBeUndefined();
    expect(sex).toEqual({ count: 4, missing: 0, distinct: 2, counts: { f: 2, m: 2 } });
    expect(member).toEqual({ count: 4, missing: 0, distinct: 2, counts: { true: 3, false: 1 } });
    expect(score).toMatchObject({ count: 3, missing: 1, min: 0.5, max: 2.5, mean: 4 / 3, distinct: 3 });
    expect(name).toEqual({ count: 4, missing: 0 });
    expect(list).toEqual({ count: 3, missing: 1 });
    expect((await createDataset(people, { name: "people", statistics: false })).manifest.statistics).toBeUndefined();
  });

  it("has the moments of all elements of arrays, against two passes over all of them", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.float({ noNaN: true, min: -1000, max: 1000 }), { minLength: 3, maxLength: 3 }), {
          minLength: 1,
          maxLength: 20,
        }),
        async (rows) => {
          const x = ndArray(rows.flat(), [rows.length, 3]);
          const { manifest } = await createDataset(rowsOf({ x }), { name: "x" });
          const all = [...x.data];
          const mean = all.reduce((a, b) => a + b, 0) / all.length;
          const deviation = Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length);
          const found = manifest.statistics!.x!;
          expect(manifest.fields).toEqual([{ name: "x", type: "array", dtype: "float32", shape: [3] }]);
          expect(found.mean).toBeCloseTo(mean, 8);
          expect(found.standardDeviation).toBeCloseTo(deviation, 8);
          expect([found.min, found.max]).toEqual([Math.min(...all), Math.max(...all)]);
          expect(found.count).toBe(rows.length);
        },
      ),
    );
  });

  it("leaves out elements that are not finite, and shapes that differ", async () => {
    const { manifest } = await createDataset([ndArray([1, Number.NaN, 3]), ndArray([Number.POSITIVE_INFINITY])], {
      name: "x",
    });
    expect(manifest.fields).toEqual([{ name: "value", type: "array", dtype: "float32" }]);
    expect(manifest.statistics!.value).toEqual({ count: 2, missing: 0, min: 1, max: 3, mean: 2, standardDeviation: 1 });
    const huge = await createDataset([{ x: 1.7e308 }, { x: -1.7e308 }], { name: "x" });
    expect(huge.manifest.statistics!.x!.standardDeviation).toBeUndefined();
  });

  it("stops counting values beyond 100, and refuses more than 1,000 fields", async () => {
    const rows = Array.from({ length: 300 }, (_, i) => ({ few: i % 100, many: i % 101 }));
    const { few, many } = (await createDataset(rows, { name: "x" })).manifest.statistics!;
    expect(few!.distinct).toBe(100);
    expect(few!.counts!["7"]).toBe(3);
    expect(many!.distinct).toBeUndefined();
    const wide = Array.from({ length: 1001 }, (_, i) => ({ [`f${i}`]: 1 }));
    await expect(createDataset(wide, { name: "x" })).rejects.toMatchObject({ code: "provenance/too-large" });
  });

  it("is nothing, of nothing", async () => {
    const { manifest, commitments, salts } = await createDataset([], { name: "nothing" });
    expect(manifest).toEqual({
      schema: "urn:parapet:evidence:dataset:v1",
      name: "nothing",
      records: 0,
      root: createHash("sha256").digest("hex"),
      sortedRoot: createHash("sha256").digest("hex"),
      fields: [],
      statistics: {},
    });
    expect(commitments.length + salts.length).toBe(0);
  });

  it("stops when it is told to, closes its source, and tells how far it is", async () => {
    const controller = new AbortController();
    let [given, closed] = [0, false];
    function* endless() {
      try {
        for (;;) {
          if (++given === 100) controller.abort(new Error("enough"));
          yield { a: given };
        }
      } finally {
        closed = true;
      }
    }
    await expect(createDataset(endless(), { name: "x", signal: controller.signal })).rejects.toThrow("enough");
    expect(given).toBeLessThan(200);
    expect(closed).toBe(true);
    const seen: unknown[] = [];
    const rows = Array.from({ length: 5000 }, (_, i) => ({ i }));
    await createDataset(rows, { name: "x", total: 5000, onProgress: (progress) => seen.push(progress) });
    expect(seen).toEqual([
      { done: 4096, total: 5000 },
      { done: 5000, total: 5000 },
    ]);
  });

  it.each<[string, object]>([
    ["no name", {}],
    ["a name that is none", { name: "" }],
    ["a day that is none", { name: "a", created: "2026-02-30T00:00:00Z" }],
    ["a member that is none", { name: "a", consent: { basis: "public", until: "never" } }],
    ["a hash that is none", { name: "a", sources: [{ uri: "https://example.org", sha256: "AB" }] }],
    ["notes that are no JSON", { name: "a", notes: { a: Number.NaN } }],
    ["a path that leads out", { name: "a", files: [{ name: "../a", size: 1, sha256: "a".repeat(64) }] }],
    ["a secret that is too short", { name: "a", secret: new Uint8Array(31) }],
  ])("refuses %s before it asks for a record", async (_, options) => {
    let asked = false;
    function* records() {
      asked = true;
      yield { a: 1 };
    }
    await expect(createDataset(records(), options as never)).rejects.toThrow(TypeError);
    expect(asked).toBe(false);
  });

  it("refuses notes on fields that do not come, and what is no iterable", async () => {
    await expect(createDataset([{ a: 1 }], { name: "x", fields: { b: {} } })).rejects.toThrow(RangeError);
    for (const bad of [null, 1, "abc", {}, Uint8Array.of(1)]) {
      await expect(createDataset(bad as never, { name: "x" })).rejects.toThrow(TypeError);
    }
  });
});

describe("rowsOf", () => {
  it("takes arrays of every dtype, views and lists", async () => {
    const x = ndArray([1, 2, 3, 4], [2, 2]);
    const view = { dtype: "float32", shape: [2, 2], stride: [1, 2], offset: 0, data: x.data };
    const rows = [
      ...rowsOf({ x, view, label: ndArray(Int32Array.of(3, 4)), text: ["a", "b"], plain: Int32Array.of(5, 6) }),
    ];
    expect(rows[1]).toEqual({ x: ndArray([3, 4]), view: ndArray([2, 4]), label: 4, text: "b", plain: 6 });
    expect([...rowsOf({})]).toEqual([]);
    expect([...rowsOf({ x: ndArray([], [0, 3]) })]).toEqual([]);
  });

  it("refuses columns of different lengths and what is no column", () => {
    expect(() => [...rowsOf({ a: [1, 2], b: [1] })]).toThrow('"b" expected 2 values, one a record, got 1');
    expect(() => [...rowsOf({ a: "text" as never })]).toThrow(TypeError);
    expect(() => [...rowsOf({ a: ndArray([1], []) })]).toThrow(TypeError);
  });
});

describe("verifyCommitments", () => {
  it("finds every changed byte, and a sorted root of another order", async () => {
    const { manifest, commitments } = await createDataset([{ a: 1 }, { a: 2 }, { a: 3 }], { name: "x" });
    const changed = expect.objectContaining({ code: "provenance/changed" });
    for (let i = 0; i < commitments.length; i++) {
      const bytes = commitments.slice();
      bytes[i]! ^= 1;
      expect(() => verifyCommitments(manifest, bytes)).toThrow(changed);
    }
    expect(() =>
      verifyCommitments(
        { ...manifest, sortedRoot: manifest.root === manifest.sortedRoot ? "0".repeat(64) : manifest.root },
        commitments,
      ),
    ).toThrow(changed);
  });
});
