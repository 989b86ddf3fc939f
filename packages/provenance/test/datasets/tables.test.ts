import { toUtf8 } from "@parapet/attestation";
import { createRng, ParapetError } from "@parapet/core";
import { type CsvOptions, createDataset, type FieldsRecord, readCsv, readJsonLines } from "@parapet/provenance";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import vectors from "../vectors/csv/tables.json" with { type: "json" };

const runs = Number(process.env.PARAPET_FUZZ ?? 2000);
const all = async (records: AsyncIterable<FieldsRecord>) => {
  const list: FieldsRecord[] = [];
  for await (const record of records) list.push(record);
  return list;
};
const csv = (text: string | Uint8Array, options?: CsvOptions) =>
  all(readCsv([typeof text === "string" ? toUtf8(text) : text], options));
const lines = (text: string) => all(readJsonLines([toUtf8(text)]));
const malformed = expect.objectContaining({ code: "provenance/malformed" });
const tooLarge = expect.objectContaining({ code: "provenance/too-large" });
const inPieces = (bytes: Uint8Array, size: number) =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));

describe("readCsv", () => {
  it.each(vectors.tables)("reads $text as Python's csv does", async ({ text, rows }) => {
    const columns = rows[0]!.map((_, i) => `${i}`);
    for (const size of [1, 2, 3, 1000]) {
      const records = await all(readCsv(inPieces(toUtf8(text), size), { columns }));
      expect(records.map((record) => Object.values(record))).toEqual(rows);
    }
  });

  it("reads back whatever is written with quotation marks around every cell", async () => {
    const text = fc.string({ unit: "grapheme" }).map((one) => one.replaceAll("\ufeff", ""));
    const table = fc.array(fc.array(text, { minLength: 3, maxLength: 3 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        table,
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom("\n", "\r\n"),
        async (rows, size, end) => {
          const written = rows
            .map((row) => row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(";") + end)
            .join("");
          const records = await all(
            readCsv(inPieces(toUtf8(written), size), { columns: ["a", "b", "c"], delimiter: ";" }),
          );
          expect(records.map(({ a, b, c }) => [a, b, c])).toEqual(rows);
        },
      ),
    );
  });

  it("takes names from the first row, and types from the options", async () => {
    const records = await csv("\ufeffname,age,ok\nA,1.5e1,true\nB,,\n", { types: { age: "number", ok: "boolean" } });
    expect(records).toEqual([
      { name: "A", age: 15, ok: true },
      { name: "B", age: null, ok: null },
    ]);
    expect(await csv("")).toEqual([]);
    expect(await csv("a,b\n")).toEqual([]);
    expect(Object.keys((await csv("__proto__,constructor\n1,2\n"))[0]!)).toEqual(["__proto__", "constructor"]);
  });

  it.each<[string, CsvOptions?]>([
    ['a\n"b\n'],
    ['a\nb"c"\n'],
    ['a\n"b"c\n'],
    ["a\rb\n"],
    ["a\r"],
    ["a,b\n1\n"],
    ["a\n1,2\n"],
    ["a,a\n1,2\n"],
    ["a,b\n\n"],
    ["a\nx\n", { types: { a: "number" } }],
    ["a\n01\n", { types: { a: "number" } }],
    ["a\n0x1\n", { types: { a: "number" } }],
    ["a\nNaN\n", { types: { a: "number" } }],
    ["a\n1e999\n", { types: { a: "number" } }],
    ["a\nyes\n", { types: { a: "boolean" } }],
    ["a\n1\n", { types: { b: "number" } }],
  ])("refuses %j", async (text, options) => {
    await expect(csv(text, options)).rejects.toThrow(malformed);
  });

  it("refuses what is not UTF-8, too many columns, endless rows, and delimiters that cannot be", async () => {
    await expect(csv(Uint8Array.of(97, 10, 0xff, 10))).rejects.toThrow(malformed);
    await expect(csv(Uint8Array.of(97, 10, 0xc3))).rejects.toThrow(malformed);
    await expect(csv(",".repeat(1001))).rejects.toThrow(tooLarge);
    const piece = new Uint8Array(1 << 20).fill(97);
    function* endless() {
      for (;;) yield piece;
    }
    await expect(all(readCsv(endless()))).rejects.toThrow(tooLarge);
    await expect(all(readJsonLines(endless()))).rejects.toThrow(tooLarge);
    await expect(csv("1\n", { columns: ["a"], types: { b: "number" } })).rejects.toThrow(TypeError);
    await expect(csv("1,2\n", { columns: ["a", "a"] })).rejects.toThrow(TypeError);
    for (const delimiter of ["", "ab", '"', "\n"]) await expect(csv("a\n", { delimiter })).rejects.toThrow(TypeError);
  });
});

describe("readJsonLines", () => {
  it("reads lines however the bytes are cut, the last with or without its end", async () => {
    const text = '{"a":1,"b":"é"}\r\n{"a":[1,{"c":null}]}\n{}';
    const expected = [{ a: 1, b: "é" }, { a: [1, { c: null }] }, {}];
    for (let size = 1; size <= 60; size++)
      expect(await all(readJsonLines(inPieces(toUtf8(text), size)))).toEqual(expected);
    expect(await lines(`${text}\n`)).toEqual(expected);
    expect(await lines("")).toEqual([]);
  });

  it("copies what a source that uses its memory again gave", async () => {
    const memory = new Uint8Array(4);
    function* source() {
      for (const part of ['{"a"', ":12}", "\n{}\n"]) {
        memory.set(toUtf8(part));
        yield memory;
      }
    }
    expect(await all(readJsonLines(source()))).toEqual([{ a: 12 }, {}]);
  });

  it.each([
    "1\n",
    "[]\n",
    "null\n",
    "{}\n\n{}\n",
    '{"a":1,"a":2}\n',
    "{}{}\n",
    '{"a":9007199254740993}\n',
    '{"a":NaN}\n',
  ])("refuses %j", async (text) => {
    await expect(lines(text)).rejects.toThrow(malformed);
  });

  it("names the line", async () => {
    await expect(lines("{}\n{}\n{\n")).rejects.toThrow("line 3");
  });
});

describe("damaged tables", () => {
  it.each(["csv", "json lines"])("%s: records or a typed error", async (kind) => {
    const source = kind === "csv" ? 'a,b\r\n"x ""y""",1\r\n,2\r\n' : '{"a":"x","b":1}\n{"a":null,"b":[{}]}\n';
    const rng = createRng(3).derive(kind);
    const others: unknown[] = [];
    for (let i = 0; i < runs; i++) {
      const bytes = Array.from(toUtf8(source));
      for (let edits = 1 + rng.integer(3); edits > 0; edits--) {
        bytes.splice(
          rng.integer(bytes.length + 1),
          rng.integer(3),
          ...Array.from({ length: rng.integer(3) }, () => rng.integer(256)),
        );
      }
      const pieces = [Uint8Array.from(bytes)];
      try {
        await createDataset(kind === "csv" ? readCsv(pieces) : readJsonLines(pieces), { name: "x" });
      } catch (error) {
        if (!(error instanceof ParapetError && error.code.startsWith("provenance/"))) others.push(error);
      }
    }
    expect(others).toEqual([]);
  });
});
