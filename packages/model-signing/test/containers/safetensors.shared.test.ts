import { fromBase64, toHex } from "@parapet/attestation";
import { createRng, ParapetError } from "@parapet/core";
import { memorySource } from "@parapet/model-signing";
import { fileOf, readSafetensors } from "@parapet/model-signing/containers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import vectors from "../vectors/safetensors/safetensors.json" with { type: "json" };

const encoder = new TextEncoder();
function file(header: unknown, data: Uint8Array | number = 0, length?: bigint): Uint8Array {
  const text = encoder.encode(typeof header === "string" ? header : JSON.stringify(header));
  const body = typeof data === "number" ? new Uint8Array(data) : data;
  const bytes = new Uint8Array(8 + text.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(body, 8 + text.length);
  return bytes;
}
const entry = (shape: readonly number[], start: number, end: number, dtype = "U8") => ({
  dtype,
  shape,
  data_offsets: [start, end],
});
const refusal = (bytes: Parameters<typeof readSafetensors>[0], limits = {}) =>
  readSafetensors(bytes, limits).then(
    () => "read",
    ({ code }: ParapetError) => code.replace("model-signing/container-", ""),
  );

/** What the reference takes, and is refused here: two readers could read it in two ways, or it is no part of the format. */
const stricter = new Set([
  "not from {", // a blank
  "padded with line ends",
  "a name twice",
  "a name twice, escaped",
  "a text of metadata twice",
  "metadata null",
  "metadata __proto__",
  "tensor __proto__",
  "unknown field",
  "an entry that is a list",
]);

describe("the reference in Python", () => {
  it(`agrees on ${vectors.cases.length} files, but for what is named here`, async () => {
    const differs: string[] = [];
    let read = 0;
    for (const { name, file: text, verdict } of vectors.cases) {
      const bytes = fromBase64(text);
      const ours = await readSafetensors(bytes).catch(({ message, code }: ParapetError) => {
        expect(code, name).toMatch(/^model-signing\/container-/);
        return message;
      });
      if (typeof ours === "string") {
        if (typeof verdict !== "string") differs.push(name);
        continue;
      }
      read++;
      const tensors = ours.tensors.map(({ name, dtype, shape, start, end }) => [
        name,
        dtype,
        shape,
        toHex(bytes.subarray(start, end)),
      ]);
      const byName = (list: unknown) => [...(list as [string][])].sort(([a], [b]) => (a < b ? -1 : 1));
      expect(byName(tensors), name).toEqual(typeof verdict === "string" ? verdict : byName(verdict));
    }
    expect(read).toBeGreaterThan(50);
    expect(new Set(differs.filter((name) => !name.startsWith("changed")))).toEqual(stricter);
    // Of the files that were changed at random, a few begin or end with blanks or have unknown fields.
    expect(differs.filter((name) => name.startsWith("changed")).length).toBeLessThan(6);
  });
});

describe("a header", () => {
  it("says where tensors lie, and what stands beside them", async () => {
    const header = {
      __metadata__: { format: "pt" },
      b: entry([2], 4, 12, "F32"),
      a: entry([4], 0, 4),
      c: entry([2, 0], 4, 4),
    };
    const bytes = file(`${JSON.stringify(header)}  `, 12);
    const begin = bytes.length - 12;
    expect(await readSafetensors(bytes)).toEqual({
      tensors: [
        { name: "a", dtype: "U8", shape: [4], start: begin, end: begin + 4 },
        { name: "c", dtype: "U8", shape: [2, 0], start: begin + 4, end: begin + 4 },
        { name: "b", dtype: "F32", shape: [2], start: begin + 4, end: begin + 12 },
      ],
      metadata: { format: "pt" },
    });
    expect(await readSafetensors(file({}))).toEqual({ tensors: [], metadata: {} });
  });

  it("is read without the data behind it", async () => {
    const size = 2 ** 40;
    const head = file({ a: entry([2 ** 20, 2 ** 20], 0, size) });
    const asked: number[][] = [];
    const source = {
      size: head.length + size,
      read: async (start: number, end: number) => {
        asked.push([start, end]);
        return head.slice(start, end);
      },
    };
    expect((await readSafetensors(source)).tensors[0]!.end).toBe(source.size);
    expect(asked).toEqual([
      [0, 8],
      [8, head.length],
    ]);
    const bytes = file({ a: entry([3], 0, 3) }, 3);
    const model = memorySource("m", { w: bytes });
    expect((await readSafetensors(await fileOf(model, "w"))).tensors.length).toBe(1);
    await expect(fileOf(model, "v")).rejects.toThrow(RangeError);
    expect(await refusal({ size: bytes.length, read: async () => new Uint8Array(1) })).toBe("malformed");
  });

  it("may not be longer than what is allowed, whatever it says", async () => {
    const huge = (length: bigint, size: number) => ({
      size,
      read: async (start: number, end: number) => {
        if (start > 0 || end > 8) throw new Error("was read");
        return file("", 0, length);
      },
    });
    expect(await refusal(huge(100_000_001n, 2 ** 40))).toBe("too-large");
    expect(await refusal(huge(2n ** 53n + 1n, Number.MAX_SAFE_INTEGER))).toBe("malformed");
    expect(await refusal(huge(2n ** 64n - 1n, Number.MAX_SAFE_INTEGER))).toBe("malformed");
    expect(await refusal(file({ a: entry([1], 0, 1) }, 1), { maxHeaderBytes: 20 })).toBe("too-large");
    await expect(readSafetensors(file({}), { maxHeaderBytes: 0 })).rejects.toThrow(RangeError);
  });

  it("may not have more than it may, and is counted before anything is made of it", async () => {
    const many = (count: number) =>
      file(Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, entry([1], i, i + 1)])), count);
    expect(await refusal(many(100), { maxTensors: 100 })).toBe("read");
    expect(await refusal(many(102), { maxTensors: 100 })).toBe("too-large");
    const bomb = `{"a":{"dtype":"U8","shape":[${"1,".repeat(20_000_000)}1],"data_offsets":[0,1]}}`;
    const texts = `{"__metadata__":{${'"a":"",'.repeat(8_000_000)}"a":""}}`;
    const objects = `{${'"a":{},'.repeat(8_000_000)}"a":{}}`;
    const deep = `{"a":${"[".repeat(40_000_000)}}`;
    const start = performance.now();
    for (const header of [bomb, texts, objects]) expect(await refusal(file(header, 1))).toBe("too-large");
    expect(await refusal(file(deep))).toBe("too-large");
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it("means one file: any division into tensors is read back, in any order of its names", async () => {
    const part = fc.record({
      name: fc
        .string({ unit: "binary", maxLength: 12 })
        .filter((name) => name !== "__metadata__" && name !== "__proto__"),
      shape: fc.array(fc.nat(4), { maxLength: 4 }),
      dtype: fc.constantFrom(["U8", 8], ["F16", 16], ["F6_E2M3", 6], ["F4", 4], ["C64", 64] as const),
      order: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(part, { selector: ({ name }) => name, maxLength: 12 }), async (parts) => {
        let at = 0;
        const entries = parts.flatMap(({ name, shape, dtype: [dtype, bits], order }) => {
          const size = shape.reduce((product, length) => product * length, Number(bits)) / 8;
          if (!Number.isInteger(size)) return [];
          at += size;
          return [{ name, order, value: entry(shape, at - size, at, String(dtype)) }];
        });
        const listed = [...entries].sort((a, b) => a.order - b.order);
        const json = `{${listed.map(({ name, value }) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join()}}`;
        const bytes = file(json, at);
        const { tensors } = await readSafetensors(bytes);
        const lengths = (list: readonly { name: string; end: number; start: number }[]) =>
          list.map(({ name, start, end }) => `${name} ${end - start}`).sort();
        const asked = entries.map(({ name, value }) => ({
          name,
          start: value.data_offsets[0]!,
          end: value.data_offsets[1]!,
        }));
        expect(lengths(tensors)).toEqual(lengths(asked));
        // One byte more or less, and it is none.
        expect(await refusal(file(json, at + 1))).toBe("malformed");
        if (at > 0) expect(await refusal(file(json, at - 1))).toBe("malformed");
      }),
    );
  });
});

describe("hostile headers", () => {
  const runs = typeof process === "undefined" ? 2000 : Number(process.env.PARAPET_FUZZ ?? 2000);
  it("get a typed error, and what is read fills the file", async () => {
    const rng = createRng(5);
    const pick = (below: number) => Math.floor(rng.next() * below);
    const seeds = vectors.cases
      .filter(({ verdict }) => typeof verdict !== "string")
      .map(({ file }) => fromBase64(file));
    const others: unknown[] = [];
    let read = 0;
    for (let i = 0; i < runs; i++) {
      const bytes = Array.from(seeds[pick(seeds.length)]!);
      for (let edits = pick(3) + 1; edits > 0; edits--) {
        const at = pick(bytes.length);
        const kind = pick(5);
        if (kind === 0) bytes[at] = pick(256);
        else if (kind === 1) bytes[at]! ^= 1 << pick(8);
        else if (kind === 2) bytes.splice(at, pick(6));
        else if (kind === 3) bytes.splice(at, 0, ...bytes.slice(pick(bytes.length), pick(bytes.length)).slice(0, 50));
        else bytes.splice(at, 0, '{}[],:"0-.\\ '.charCodeAt(pick(12)));
      }
      // Mostly with the right length, so that what was changed is looked at.
      const end = bytes.lastIndexOf(0x7d) - 7;
      if (end > 0 && pick(4) > 0) bytes.splice(0, 8, end & 255, end >> 8, 0, 0, 0, 0, 0, 0);
      try {
        const { tensors } = await readSafetensors(Uint8Array.from(bytes));
        read++;
        const sum = tensors.reduce((total, { start, end }) => total + end - start, 0);
        const header = bytes[0]! + 256 * bytes[1]!;
        if (sum !== bytes.length - 8 - header) others.push(bytes);
      } catch (error) {
        const { code } = error as { code?: string };
        if (!(error instanceof ParapetError) || !code?.startsWith("model-signing/container-")) others.push(error);
      }
    }
    expect(others).toEqual([]);
    expect(read).toBeGreaterThan(0);
  }, 600_000);
});
