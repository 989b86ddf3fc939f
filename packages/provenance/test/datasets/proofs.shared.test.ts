import { toHex } from "@parapet/attestation";
import {
  type AbsenceProof,
  createDataset,
  createIndexStream,
  createProver,
  type DatasetRecord,
  derivedSalt,
  eraseRecord,
  indexStreamDigest,
  isErased,
  type MembershipProof,
  manifestId,
  proveAbsence,
  proveMembership,
  readAbsenceProof,
  readManifest,
  readMembershipProof,
  recordCommitment,
  searchRecord,
  subset,
  verifyAbsence,
  verifyCommitments,
  verifyMembership,
} from "@parapet/provenance";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const bad = expect.objectContaining({ code: expect.stringMatching(/^provenance\/(proof|malformed|too-large)$/) });
const notProven = expect.objectContaining({ code: "provenance/proof" });
const rows = (n: number) => Array.from({ length: n }, (_, i) => ({ i: i % 7, text: `row ${i}` }));
const numbers = (n: number) => createDataset(rows(n), { name: `${n}` });
const flip = (hex: string, at: number) => {
  const digit = (Number.parseInt(hex[at % hex.length]!, 16) ^ 1).toString(16);
  return hex.slice(0, at % hex.length) + digit + hex.slice((at % hex.length) + 1);
};
const number = (bytes: Uint8Array) => BigInt(`0x${toHex(bytes)}`);
const bytesOf = (value: bigint) =>
  Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * (31 - i))) & 255n));

describe("membership", () => {
  it("is proven for every record of every size up to 20, and for no other record or index", async () => {
    for (let size = 1; size <= 20; size++) {
      const dataset = await numbers(size);
      for (let i = 0; i < size; i++) {
        const proof = readMembershipProof(JSON.stringify(proveMembership(dataset, i)));
        const proven = { dataset: manifestId(dataset.manifest), index: i, records: size };
        expect(verifyMembership(proof, rows(size)[i]!, dataset.manifest)).toEqual(proven);
        for (let j = 0; j < size; j++) {
          if (j === i) continue;
          expect(() => verifyMembership(proof, rows(size)[j]!, dataset.manifest)).toThrow(notProven);
          expect(() => verifyMembership({ ...proof, index: j }, rows(size)[i]!, dataset.manifest)).toThrow(notProven);
        }
      }
    }
  });

  it("holds for any records, and not with any digit changed", async () => {
    const record = fc.oneof(
      fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean())),
      fc.uint8Array(),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { minLength: 1, maxLength: 12 }),
        fc.nat(),
        fc.nat(),
        async (records, which, at) => {
          const dataset = await createDataset(records as DatasetRecord[], { name: "any" });
          const index = which % records.length;
          const proof = proveMembership(dataset, index);
          const verify = (one: MembershipProof) =>
            verifyMembership(one, records[index] as DatasetRecord, dataset.manifest);
          expect(verify(proof).index).toBe(index);
          expect(() => verify({ ...proof, salt: flip(proof.salt, at) })).toThrow(notProven);
          expect(() => verify({ ...proof, dataset: `sha256:${flip(proof.dataset.slice(7), at)}` })).toThrow(notProven);
          expect(() => verify({ ...proof, hashes: [...proof.hashes, proof.salt] })).toThrow(notProven);
          expect(() => verify({ ...proof, index: index + records.length })).toThrow(notProven);
          if (proof.hashes.length === 0) return;
          const changed = proof.hashes.map((hash, i) => (i === at % proof.hashes.length ? flip(hash, at) : hash));
          expect(() => verify({ ...proof, hashes: changed })).toThrow(notProven);
          expect(() => verify({ ...proof, hashes: proof.hashes.slice(1) })).toThrow(notProven);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("holds for one manifest only", async () => {
    const dataset = await numbers(3);
    const proof = proveMembership(dataset, 1);
    const other = { ...dataset.manifest, name: "other" };
    expect(() => verifyMembership(proof, rows(3)[1]!, other)).toThrow(notProven);
    const moved = { ...proof, dataset: manifestId({ ...other, records: 4 }) };
    expect(() => verifyMembership(moved, rows(3)[1]!, { ...other, records: 4 })).toThrow(bad);
  });

  it("is made alike by a prover", async () => {
    const dataset = await numbers(13);
    const prover = createProver(dataset);
    for (let i = 0; i < 13; i++) expect(prover.membership(i)).toEqual(proveMembership(dataset, i));
    const absent = new Uint8Array(32).fill(128);
    expect(prover.absence(absent)).toEqual(proveAbsence(dataset, absent));
    for (const index of [-1, 13, 0.5, Number.NaN]) expect(() => prover.membership(index)).toThrow(RangeError);
  });
});

describe("absence", () => {
  it("is proven of everything but the commitments, for every size up to 12", async () => {
    for (let size = 0; size <= 12; size++) {
      const { manifest, commitments } = await numbers(size);
      const all = rows(size).map((_, i) => number(commitments.slice(32 * i, 32 * i + 32)));
      // The ends, and what is next to each commitment on both sides.
      const absent = new Set([0n, 2n ** 256n - 1n, ...all.flatMap((value) => [value - 1n, value + 1n])]);
      for (const value of absent) {
        const proof = readAbsenceProof(JSON.stringify(proveAbsence({ manifest, commitments }, bytesOf(value))));
        expect(verifyAbsence(proof, bytesOf(value), manifest).records).toBe(size);
        for (const present of all) expect(() => verifyAbsence(proof, bytesOf(present), manifest)).toThrow(notProven);
        const smaller = all.filter((one) => one < value).length;
        expect([proof.before?.index, proof.after?.index]).toEqual([
          smaller > 0 ? smaller - 1 : undefined,
          smaller < size ? smaller : undefined,
        ]);
      }
      for (const value of all) expect(() => proveAbsence({ manifest, commitments }, bytesOf(value))).toThrow(notProven);
    }
  });

  it("cannot be claimed of what is there: no two neighbours, no end", async () => {
    const { manifest, commitments } = await numbers(6);
    const all = rows(6)
      .map((_, i) => number(commitments.slice(32 * i, 32 * i + 32)))
      .sort((a, b) => (a < b ? -1 : 1));
    const gap = (i: number) => proveAbsence({ manifest, commitments }, bytesOf(all[i]! + 1n)); // between i and i + 1
    const neighbours = all.map((_, i) =>
      i === 0 ? proveAbsence({ manifest, commitments }, new Uint8Array(32)).after! : gap(i).before!,
    );
    const { before: _before, after: _after, ...common } = gap(2);
    const options = [undefined, ...neighbours];
    for (const [i, value] of all.entries()) {
      for (const before of options) {
        for (const after of options) {
          const forged = { ...common, ...(before && { before }), ...(after && { after }) } as AbsenceProof;
          expect(() => verifyAbsence(forged, bytesOf(value), manifest), `${i}`).toThrow(notProven);
        }
      }
    }
    // A place that is another one's does not go with the hashes.
    const proof = gap(2);
    const shifted = { ...proof, before: { ...proof.before!, index: 3 }, after: { ...neighbours[4]!, index: 4 } };
    expect(() => verifyAbsence(shifted, bytesOf(all[3]!), manifest)).toThrow(notProven);
  });

  it("does not hold with any digit changed", async () => {
    const { manifest, commitments } = await numbers(9);
    const whole = (value: bigint) => value & (2n ** 256n - 1n);
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), fc.nat(), fc.boolean(), (value, at, first) => {
        const proof = proveAbsence({ manifest, commitments }, bytesOf(whole(value)));
        const side = (first && proof.before !== undefined) || proof.after === undefined ? "before" : "after";
        const one = proof[side]!;
        const verify = (neighbour: typeof one) =>
          verifyAbsence({ ...proof, [side]: neighbour }, bytesOf(value), manifest);
        expect(verify(one).records).toBe(9);
        expect(() => verify({ ...one, commitment: flip(one.commitment, at) })).toThrow(notProven);
        expect(() => verify({ ...one, index: one.index + 1 })).toThrow(notProven);
        const hashes = one.hashes.map((hash, i) => (i === at % one.hashes.length ? flip(hash, at) : hash));
        expect(() => verify({ ...one, hashes })).toThrow(notProven);
      }),
      { numRuns: 100 },
    );
  });

  it("holds where the same commitment stands twice", async () => {
    const secret = new Uint8Array(32).fill(5);
    const dataset = await createDataset([{ a: 1 }, { a: 1 }, { a: 2 }], { name: "twice", secret });
    const of = (record: DatasetRecord) => recordCommitment(derivedSalt(secret, record), record);
    expect(verifyAbsence(proveAbsence(dataset, of({ a: 3 })), of({ a: 3 }), dataset.manifest).records).toBe(3);
    expect(() => proveAbsence(dataset, of({ a: 1 }))).toThrow(notProven);
    const forged = proveAbsence(dataset, of({ a: 3 }));
    expect(() => verifyAbsence(forged, of({ a: 1 }), dataset.manifest)).toThrow(notProven);
    expect(() => proveAbsence(dataset, new Uint8Array(31))).toThrow(TypeError);
    expect(() => verifyAbsence(forged, new Uint8Array(31), dataset.manifest)).toThrow(TypeError);
  });
});

describe("searchRecord", () => {
  it("finds every place of a record, and says what it could not see", async () => {
    const dataset = await createDataset([{ a: 1 }, { a: 2 }, { a: 1 }, { a: 1 }], { name: "search" });
    expect(await searchRecord(dataset, { a: 1 })).toEqual({ indices: [0, 2, 3], erased: 0 });
    expect(await searchRecord(dataset, { a: "1" })).toEqual({ indices: [], erased: 0 });
    eraseRecord(dataset, 2);
    expect(await searchRecord(dataset, { a: 1 })).toEqual({ indices: [0, 3], erased: 1 });
    const stopped = searchRecord(dataset, { a: 1 }, { signal: AbortSignal.abort(new Error("enough")) });
    await expect(stopped).rejects.toThrow("enough");
  });
});

describe("erasing", () => {
  it("takes one record's proof away, and nothing else", async () => {
    const dataset = await numbers(10);
    const before = manifestId(dataset.manifest);
    const prover = createProver(dataset);
    const others = rows(10).map((_, i) => prover.membership(i));
    eraseRecord(dataset, 4);
    eraseRecord(dataset, 4);
    const gone = expect.objectContaining({ code: "provenance/missing" });
    expect(() => proveMembership(dataset, 4)).toThrow(gone);
    expect(() => prover.membership(4)).toThrow(gone);
    expect(dataset.salts.slice(128, 160)).toEqual(new Uint8Array(32));
    verifyCommitments(dataset.manifest, dataset.commitments);
    expect(manifestId(dataset.manifest)).toBe(before);
    for (let i = 0; i < 10; i++) {
      expect(isErased(dataset, i)).toBe(i === 4);
      if (i !== 4) expect(proveMembership(dataset, i)).toEqual(others[i]);
    }
    // The salt of nothing but zeros does not open it.
    const forged = { ...others[4]!, salt: "0".repeat(64) };
    expect(() => verifyMembership(forged, rows(10)[4]!, dataset.manifest)).toThrow(notProven);
    for (const index of [-1, 10, 1.5]) expect(() => eraseRecord(dataset, index)).toThrow(RangeError);
  });
});

describe("subset", () => {
  it("carries commitments and salts over, in its own order", async () => {
    const options = { name: "all", licence: "CC0-1.0", notes: { a: 1 }, fields: { i: { personal: true } } };
    const all = await createDataset(rows(8), options);
    eraseRecord(all, 5);
    const part = subset(all, [6, 1, 1, 5], { name: "part", notes: { b: 2 } });
    expect(part.manifest).toMatchObject({ name: "part", records: 4, licence: "CC0-1.0", fields: all.manifest.fields });
    expect(part.manifest.statistics).toBeUndefined();
    expect(part.manifest.notes).toEqual({
      b: 2,
      subsetOf: manifestId(all.manifest),
      indices: indexStreamDigest([6, 1, 1, 5]),
    });
    expect(readManifest(JSON.stringify(part.manifest))).toEqual(part.manifest);
    for (const [i, from] of [6, 1, 1].entries()) {
      expect(verifyMembership(proveMembership(part, i), rows(8)[from]!, part.manifest).index).toBe(i);
    }
    expect(isErased(part, 3)).toBe(true);
    eraseRecord(part, 0);
    expect(isErased(all, 6)).toBe(false);
    expect(subset(all, [], { name: "none" }).manifest.records).toBe(0);
    for (const index of [8, -1, 0.5]) expect(() => subset(all, [index], { name: "x" })).toThrow(RangeError);
    expect(() => subset(all, [0], { name: "" })).toThrow(TypeError);
  });
});

describe("an index stream", () => {
  it("is SHA-256 of the indices as they come, however they are cut", () => {
    // printf '\0\0\0\0\1\0\0\0\377\377\377\377' | sha256sum
    expect(indexStreamDigest([0, 1, 2 ** 32 - 1])).toBe(
      "de25d19943926b201c1693709bc5eca70ecf04229c1668e2f276249f9bebe043",
    );
    const stream = createIndexStream();
    stream.update([0]);
    expect(stream.digest()).toBe(indexStreamDigest([0]));
    stream.update(Uint32Array.of(1, 2 ** 32 - 1));
    expect([stream.count(), stream.digest()]).toEqual([3, indexStreamDigest([0, 1, 2 ** 32 - 1])]);
    expect(indexStreamDigest([1, 0])).not.toBe(indexStreamDigest([0, 1]));
    for (const index of [-1, 2 ** 32, 0.5, Number.NaN]) expect(() => stream.update([index])).toThrow(RangeError);
  });
});
