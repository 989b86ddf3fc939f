import { createHash, createHmac } from "node:crypto";
import { fromHex, toHex } from "@parapet/attestation";
import { ndArray } from "@parapet/core";
import { type DatasetRecord, derivedSalt, recordBytes, recordCommitment, saltSecretDigest } from "@parapet/provenance";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const hex = (record: DatasetRecord) => toHex(recordBytes(record));
const refusal = (record: unknown) => {
  try {
    recordBytes(record as DatasetRecord);
    return undefined;
  } catch (error) {
    return (error as Error).constructor.name;
  }
};

describe("the canonical bytes of a record", () => {
  // Written by hand from the table in the documentation.
  it.each<[string, DatasetRecord, string]>([
    ["no bytes", new Uint8Array(), "00"],
    ["bytes", Uint8Array.of(1, 255), "0001ff"],
    ["a float32 array", ndArray([1, -2], [1, 2]), `01 01 02 01000000 02000000 0000803f 000000c0`],
    ["an int32 array", ndArray(Int32Array.of(-1, 258)), "01 02 01 02000000 ffffffff 02010000"],
    ["a bool array", ndArray(Uint8Array.of(1, 0)), "01 03 01 02000000 01 00"],
    ["a number without axes", ndArray([0.5], []), "01 01 00 0000003f"],
    ["-0", ndArray([-0], []), "01 01 00 00000080"],
    ["NaN", ndArray([Number.NaN], []), "01 01 00 0000c07f"],
    ["no fields", {}, "02 00000000"],
    ["a number", { a: 1 }, "02 01000000 01000000 61 02 01000000 31"],
    ["text", { a: "1" }, "02 01000000 01000000 61 02 03000000 223122"],
    ["null", { a: null }, "02 01000000 01000000 61 02 04000000 6e756c6c"],
    ["not a number", { a: Number.NaN }, "02 01000000 01000000 61 03 03000000 4e614e"],
    ["minus infinity", { a: Number.NEGATIVE_INFINITY }, "02 01000000 01000000 61 03 09000000 2d496e66696e697479"],
    ["the text NaN", { a: "NaN" }, "02 01000000 01000000 61 02 05000000 224e614e22"],
    ["bytes in a field", { a: Uint8Array.of(49) }, "02 01000000 01000000 61 00 01000000 31"],
    ["an array in a field", { a: ndArray([1], [1]) }, "02 01000000 01000000 61 01 0a000000 01 01 01000000 0000803f"],
    [
      "fields by their names",
      { b: true, a: [] },
      "02 02000000 01000000 61 02 02000000 5b5d 01000000 62 02 04000000 74727565",
    ],
    ["a missing field", { a: undefined, b: 0 }, "02 01000000 01000000 62 02 01000000 30"],
    ["no name", { "": -0 }, "02 01000000 00000000 02 01000000 30"],
  ])("%s", (_, record, expected) => {
    expect(hex(record)).toBe(expected.replaceAll(" ", ""));
  });

  it("sorts names by UTF-8, not by UTF-16", () => {
    const names = hex({ "\u{1f600}": 1, "\uff5e": 1 });
    expect(names.indexOf("efbd9e")).toBeLessThan(names.indexOf("f09f9880"));
  });

  it("writes every NaN alike", () => {
    const bits = Uint32Array.of(0x7fc00001, 0xffc00000, 0x7f800001);
    const data = new Float32Array(bits.buffer);
    expect(hex(ndArray(data))).toBe(`010101${"03000000"}${"0000c07f".repeat(3)}`);
  });

  it("takes a name like __proto__ as any other", () => {
    const record = JSON.parse('{"__proto__": 1}') as DatasetRecord;
    expect(hex(record)).toBe(`0201000000${"09000000"}${Buffer.from("__proto__").toString("hex")}020100000031`);
  });

  it("tells a row with the fields of an array from an array", () => {
    expect(hex({ dtype: "float32", shape: [1], data: Uint8Array.of(0), more: 1 }).slice(0, 2)).toBe("02");
    expect(hex({ dtype: "float32", shape: [1], data: "x" }).slice(0, 2)).toBe("02");
    expect(refusal({ dtype: "float32", shape: [2], data: Float32Array.of(0) })).toBe("TypeError");
  });

  it("refuses what has no canonical form", () => {
    const deep = JSON.parse(`${"[".repeat(100)}${"]".repeat(100)}`) as unknown;
    const circle: unknown[] = [];
    circle.push(circle);
    const bad = [
      new Date(0),
      new Map(),
      1n,
      Symbol("a"),
      () => 1,
      [Number.NaN],
      { b: undefined },
      new Array(2),
      Float32Array.of(1),
      deep,
      circle,
    ];
    for (const value of bad) expect(refusal({ a: value })).toBe("TypeError");
    for (const record of [
      null,
      undefined,
      1,
      "a",
      [],
      new Date(0),
      new Map(),
      new (class A {})(),
      Float32Array.of(1),
    ]) {
      expect(refusal(record)).toBe("TypeError");
    }
    expect(() => recordBytes({ a: "\ud800" })).toThrow(expect.objectContaining({ code: "attestation/malformed" }));
  });

  it("differs for records that differ, and only for those", () => {
    const scalar = fc.oneof(
      fc.string(),
      fc.double().map((x) => (Object.is(x, -0) ? 0 : x)),
      fc.boolean(),
      fc.constant(null),
      fc.uint8Array({ maxLength: 4 }),
    );
    const record = fc.dictionary(fc.string({ maxLength: 3 }), scalar, { maxKeys: 4 });
    const same = (a: object, b: object) => {
      const plain = (one: object) =>
        JSON.stringify(
          Object.entries(one)
            .sort(([x], [y]) => (x < y ? -1 : 1))
            .map(([name, value]) => [
              name,
              typeof value,
              value instanceof Uint8Array,
              value instanceof Uint8Array ? [...value] : String(value),
            ]),
        );
      return plain(a) === plain(b);
    };
    fc.assert(
      fc.property(record, record, (a, b) => {
        expect(hex(a) === hex(b)).toBe(same(a, b));
        expect(hex(Object.fromEntries(Object.entries(a).reverse()))).toBe(hex(a));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a commitment", () => {
  const salt = Uint8Array.from({ length: 32 }, (_, i) => i);

  it("is SHA-256 of the tag, the salt and the record", () => {
    const bytes = fromHex("02010000000100000061020100000031");
    const expected = createHash("sha256").update("urn:parapet:record:v1").update(salt).update(bytes).digest("hex");
    expect(toHex(recordCommitment(salt, { a: 1 }))).toBe(expected);
    const node = (data: Uint8Array) => Uint8Array.from(createHash("sha256").update(data).digest());
    expect(toHex(recordCommitment(salt, { a: 1 }, node))).toBe(expected);
  });

  it("has a salt that HMAC derives", () => {
    const bytes = fromHex("02010000000100000061020100000031");
    for (const length of [32, 64, 65, 200]) {
      const secret = new Uint8Array(length).fill(9);
      const expected = createHmac("sha256", secret).update("urn:parapet:salt:v1").update(bytes).digest("hex");
      expect(toHex(derivedSalt(secret, { a: 1 }))).toBe(expected);
      const digest = createHash("sha256").update("urn:parapet:salt-secret:v1").update(secret).digest("hex");
      expect(toHex(saltSecretDigest(secret))).toBe(digest);
    }
  });

  it("refuses salts and secrets that are too short", () => {
    expect(() => recordCommitment(salt.slice(1), {})).toThrow('"salt" expected 32 bytes, got 31');
    expect(() => derivedSalt(salt.slice(1), {})).toThrow('"secret" expected at least 32 bytes, got 31');
    expect(() => saltSecretDigest("a" as unknown as Uint8Array)).toThrow(TypeError);
  });
});
