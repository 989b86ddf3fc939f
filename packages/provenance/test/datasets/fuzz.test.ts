import { canonicalJson, toHex, toUtf8 } from "@parapet/attestation";
import { createRng, ParapetError, type Rng } from "@parapet/core";
import {
  createDataset,
  type Dataset,
  manifestId,
  proveAbsence,
  proveMembership,
  readAbsenceProof,
  readManifest,
  readMembershipProof,
  verifyAbsence,
  verifyMembership,
} from "@parapet/provenance";
import { beforeAll, describe, expect, it } from "vitest";

const runs = Number(process.env.PARAPET_FUZZ ?? 2000);
const rows = [
  { a: 1, b: "x" },
  { a: 2, b: "x" },
  { a: 3, b: "y" },
  { a: 4, b: "y" },
  { a: 5, b: "z" },
  { a: 5, b: "z" },
];
const absent = new Uint8Array(32).fill(127);
let dataset: Dataset;

beforeAll(async () => {
  dataset = await createDataset(rows, {
    name: "fuzz",
    version: "1",
    licence: "MIT",
    created: "2026-01-31T12:00:00Z",
    consent: { basis: "consent", purposes: ["tests"], expires: "2030-01-31T12:00:00+01:00" },
    creators: ["A"],
    sources: [{ uri: "https://example.org", sha256: "a".repeat(64) }],
    files: [{ name: "a/b.png", size: 3, sha256: "b".repeat(64) }],
    notes: { any: [1, { deep: null }] },
    fields: { b: { description: "a letter" } },
  });
});

function changed(source: Uint8Array, rng: Rng): Uint8Array {
  let bytes = Array.from(source);
  for (let edits = 1 + rng.integer(4); edits > 0; edits--) {
    const at = rng.integer(bytes.length + 1);
    const kind = rng.integer(6);
    if (kind === 0) bytes[at % Math.max(1, bytes.length)] = rng.integer(256);
    else if (kind === 1) bytes = bytes.slice(0, at);
    else if (kind === 2) bytes.splice(at, rng.integer(8));
    else if (kind === 3) bytes.splice(at, 0, ...Array.from({ length: rng.integer(8) }, () => 32 + rng.integer(95)));
    else if (kind === 4) bytes.splice(at, 0, ...bytes.slice(at, at + rng.integer(300)));
    else if (bytes.length > 0) bytes[at % bytes.length]! ^= 1 << rng.integer(8);
  }
  return Uint8Array.from(bytes);
}

/** What was read again must be what was written; anything else is refused with a code of this package. */
function hold(source: Uint8Array, label: string, take: (bytes: Uint8Array) => unknown) {
  const original = toHex(source);
  take(source);
  const rng = createRng(5).derive(label);
  const others: unknown[] = [];
  let accepted = 0;
  for (let i = 0; i < runs; i++) {
    const bytes = changed(source, rng);
    try {
      if (toHex(canonicalJson(take(bytes) as never)) !== original) accepted++;
    } catch (error) {
      const isTyped = error instanceof ParapetError && /^provenance\/(malformed|too-large|proof)$/.test(error.code);
      if (!isTyped) others.push(error);
    }
  }
  expect(others).toEqual([]);
  return accepted;
}

describe("damaged text gets a typed error", () => {
  it("a manifest, and whatever is read has another identity", () => {
    hold(canonicalJson(dataset.manifest as never), "manifest", (bytes) => {
      const manifest = readManifest(bytes);
      const same = toHex(canonicalJson(manifest as never)) === toHex(canonicalJson(dataset.manifest as never));
      expect(manifestId(manifest) === manifestId(dataset.manifest)).toBe(same);
      return manifest;
    });
  });

  it("a proof of membership, and none but the true one holds", () => {
    const text = canonicalJson(proveMembership(dataset, 2) as never);
    const take = (bytes: Uint8Array) => {
      const proof = readMembershipProof(bytes);
      verifyMembership(proof, rows[2]!, dataset.manifest);
      return proof;
    };
    expect(hold(text, "membership", take)).toBe(0);
  });

  it("a proof of absence, and none but the true one holds", () => {
    const text = canonicalJson(proveAbsence(dataset, absent) as never);
    const take = (bytes: Uint8Array) => {
      const proof = readAbsenceProof(bytes);
      verifyAbsence(proof, absent, dataset.manifest);
      return proof;
    };
    expect(hold(text, "absence", take)).toBe(0);
  });
});

describe("readManifest refuses", () => {
  type Edit = readonly [path: string, value: unknown];
  const more = (old: unknown) => (old as number) + 1;
  const twice = (old: unknown) => [...(old as unknown[]), (old as unknown[])[0]];

  /** Puts a value at a path, or what a function makes of the old one; undefined takes the member away. */
  const refused = ([path, value]: Edit) => {
    const copy = JSON.parse(JSON.stringify(dataset.manifest)) as Record<string, unknown>;
    const names = path.split(".");
    const last = names.pop()!;
    const inner = names.reduce((value, name) => value[name] as Record<string, unknown>, copy);
    inner[last] = typeof value === "function" ? value(inner[last]) : value;
    try {
      readManifest(JSON.stringify(copy));
      return undefined;
    } catch (error) {
      return (error as ParapetError).code;
    }
  };

  it.each<[string, ...Edit]>([
    ["another schema", "schema", "urn:parapet:evidence:dataset:v2"],
    ["an unknown member", "more", 1],
    ["an unknown member inside", "consent.more", 1],
    ["a missing member", "root", undefined],
    ["a negative count", "records", -1],
    ["too many records", "records", 2 ** 26 + 1],
    ["roots in capitals", "root", "A".repeat(64)],
    ["a field twice", "fields", twice],
    ["a type that is none", "fields.0.type", "date"],
    ["a shape of no array", "fields.0.shape", [1]],
    ["statistics of no field", "statistics.c", { count: 6, missing: 0 }],
    ["statistics that do not add up", "statistics.a.count", more],
    ["counts that do not add up", "statistics.b.counts.x", more],
    ["other counts than distinct values", "statistics.b.distinct", more],
    ["a path that leads out", "files.0.name", "a/../../b"],
    ["an absolute path", "files.0.name", "/a"],
    ["a drive", "files.0.name", "C:a"],
    ["a file twice", "files", twice],
    ["a size that is no whole number", "files.0.size", 1.5],
    ["a day that is none", "created", "2026-02-29T00:00:00Z"],
    ["an hour that is none", "created", "2026-02-28T24:00:00Z"],
    ["a time without a zone", "created", "2026-02-28T00:00:00"],
    ["a list that is an object", "creators", { 0: "A" }],
    ["null", "consent", null],
    ["text that is too long", "name", "a".repeat(10_001)],
    ["a long list", "creators", Array(10_001).fill("A")],
  ])("%s", (_, path, value) => {
    expect(refused(["name", "another"])).toBeUndefined();
    expect(refused([path, value])).toBe("provenance/malformed");
  });

  it("roots of few records that cannot be", async () => {
    for (const records of [[], [{ a: 1 }]]) {
      const { manifest } = await createDataset(records, { name: "few" });
      const other = "0".repeat(64);
      for (const roots of [
        { root: other },
        { sortedRoot: other },
        ...(records.length === 0 ? [{ root: other, sortedRoot: other }] : []),
      ]) {
        expect(() => readManifest(JSON.stringify({ ...manifest, ...roots }))).toThrow(/oot expected/);
      }
    }
  });

  it("text that is no JSON, has a name twice, or is too deep or too long", () => {
    const code = (source: string | Uint8Array) => {
      try {
        readManifest(source);
        return undefined;
      } catch (error) {
        return (error as ParapetError).code;
      }
    };
    const text = JSON.stringify(dataset.manifest);
    for (const bad of [
      "",
      "{",
      "[]",
      "null",
      "1",
      text.slice(1),
      `${text} 1`,
      `{"name":"x",${text.slice(1)}`,
      `{"__proto__":{},${text.slice(1)}`,
    ]) {
      expect(code(bad)).toBe("provenance/malformed");
    }
    expect(code(Uint8Array.of(0xff))).toBe("provenance/malformed");
    expect(code("[".repeat(100_000))).toBe("provenance/too-large");
    expect(code(new Uint8Array(2 ** 26 + 1))).toBe("provenance/too-large");
    expect(() => readMembershipProof(" ".repeat(20_000))).toThrow(
      expect.objectContaining({ code: "provenance/too-large" }),
    );
    expect(() => readAbsenceProof(toUtf8(" ".repeat(20_000)))).toThrow(
      expect.objectContaining({ code: "provenance/too-large" }),
    );
  });
});
