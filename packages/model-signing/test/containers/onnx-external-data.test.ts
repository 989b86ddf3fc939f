import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { concatBytes, toUtf8 } from "@parapet/attestation";
import { createRng, ParapetError } from "@parapet/core";
import { onnxExternalData } from "@parapet/model-signing/containers";
import * as runtime from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import vectors from "../vectors/containers/containers.json" with { type: "json" };

const unpack = (text: string) => Uint8Array.from(gunzipSync(Buffer.from(text, "base64")));
const file = (name: string) => {
  const { file, outside } = vectors.onnx.find((one) => one.name === name)!;
  const beside = Object.entries(outside).map(([path, text]) => ({ path, data: unpack(text!) }));
  return {
    bytes: unpack(file),
    beside,
    sizes: Object.fromEntries(beside.map(({ path, data }) => [path, data.length])) as Record<string, number>,
  };
};
const code = (bytes: Uint8Array, options = {}) => {
  try {
    onnxExternalData(bytes, options);
    return "read";
  } catch (error) {
    return (error as ParapetError).code.replace("model-signing/", "");
  }
};

// A writer of protobuf of ten lines, to make what no library makes.
const varint = (value: number | bigint): number[] => {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
};
const int = (field: number, value: number | bigint) => Uint8Array.from([...varint(8 * field), ...varint(value)]);
const message = (field: number, ...parts: readonly Uint8Array[]) => {
  const content = concatBytes(...parts);
  return concatBytes(Uint8Array.from([...varint(8 * field + 2), ...varint(content.length)]), content);
};
const text = (field: number, value: string) => message(field, toUtf8(value));
const pairs = (entries: Record<string, string>) =>
  concatBytes(...Object.entries(entries).map(([key, value]) => message(13, text(1, key), text(2, value))));
const tensor = (entries: Record<string, string>, ...more: readonly Uint8Array[]) =>
  concatBytes(int(1, 3), int(2, 1), text(8, "w"), pairs(entries), int(14, 1), ...more);
const model = (...parts: readonly Uint8Array[]) => concatBytes(int(1, 10), message(7, ...parts));

describe("files of onnx in Python", () => {
  it("name what lies outside of them, in the graph, in branches and in attributes", () => {
    expect(onnxExternalData(file("inside.onnx").bytes)).toEqual({ tensors: [], files: [] });
    const one = file("outside.onnx");
    const { tensors, files } = onnxExternalData(one.bytes, { sizes: one.sizes });
    expect(tensors.map(({ name }) => name).sort()).toEqual(["first", "in_branch", "in_branch", "inner", "second"]);
    expect(files).toEqual([{ location: "weights.data", bytes: one.sizes["weights.data"] }]);
    const many = file("outside-many.onnx");
    const named = onnxExternalData(many.bytes, { sizes: many.sizes }).files;
    expect(Object.fromEntries(named.map(({ location, bytes }) => [location, bytes]))).toEqual(many.sizes);
    expect(code(one.bytes, { sizes: { "weights.data": one.sizes["weights.data"]! - 1 } })).toBe("container-malformed");
    expect(code(one.bytes, { sizes: { other: 10_000 } })).toBe("missing");
  });

  it("need those files and no others: so onnxruntime sees it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "external-data-"));
    try {
      const { bytes, beside } = file("outside.onnx");
      writeFileSync(join(folder, "m.onnx"), bytes);
      await expect(runtime.InferenceSession.create(join(folder, "m.onnx"))).rejects.toThrow("weights.data");
      const named = new Set(onnxExternalData(bytes).files.map(({ location }) => location));
      for (const { path, data } of beside) if (named.has(path)) writeFileSync(join(folder, path), data);
      const session = await runtime.InferenceSession.create(join(folder, "m.onnx"), { logSeverityLevel: 4 });
      expect(session.outputNames).toEqual(["c"]);
      await session.release();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("an ONNX file that is hostile", () => {
  it.each([
    "../w.data",
    "a/../../w.data",
    "/etc/passwd",
    "c:\\w.data",
    "a\\..\\w.data",
    "\\\\server\\w.data",
    "file:///etc/passwd",
    "https://evil.example/w.data",
    "*/_ORT_MEM_ADDR_/*",
    "_ort_mem_addr_/x",
    "w*",
    "./w.data",
    "",
    "w\u0000.data",
    "%2e%2e/w.data",
  ])("location %j is refused, wherever it stands", (location) => {
    const w = tensor({ location });
    const attribute = message(5, text(1, "value"), message(5, w));
    const branch = message(5, text(1, "then_branch"), message(6, message(5, w)));
    for (const bytes of [
      model(message(5, w)),
      model(message(15, message(1, w))),
      model(message(15, message(2, w))),
      model(message(1, attribute)),
      model(message(1, branch)),
      model(message(1, message(5, message(10, w)))),
      model(message(1, message(5, message(11, message(1, attribute))))),
      model(message(1, message(5, message(22, message(1, w))))),
      model(message(1, message(5, message(23, message(2, w))))),
      concatBytes(model(), message(20, message(1, message(5, w)))),
      concatBytes(model(), message(25, message(7, attribute))),
      concatBytes(model(), message(25, message(11, message(5, w)))),
    ]) {
      expect(code(bytes)).toBe("name");
    }
  });

  it.each<[string, Uint8Array, string]>([
    ["good", tensor({ location: "w" }), "read"],
    ["good, in full", tensor({ location: "w", offset: "4", length: "12", checksum: "ab" }), "read"],
    ["no location", tensor({ offset: "4" }), "container-malformed"],
    ["nothing said", tensor({}), "container-malformed"],
    ["another key", tensor({ location: "w", basepath: "/" }), "container-unsupported"],
    ["a key twice", tensor({ location: "w" }, pairs({ location: "v" })), "container-malformed"],
    ["negative offset", tensor({ location: "w", offset: "-4" }), "container-malformed"],
    ["offset with a sign", tensor({ location: "w", offset: "+4" }), "container-malformed"],
    ["offset with a zero", tensor({ location: "w", offset: "04" }), "container-malformed"],
    ["offset in hexadecimal", tensor({ location: "w", offset: "0x4" }), "container-malformed"],
    ["offset of 2^64", tensor({ location: "w", offset: "18446744073709551616" }), "container-malformed"],
    ["end beyond 2^53", tensor({ location: "w", offset: "9007199254740991" }), "container-too-large"],
    ["length too short", tensor({ location: "w", length: "11" }), "container-malformed"],
    ["length too long", tensor({ location: "w", length: "13" }), "container-malformed"],
    ["data here too", tensor({ location: "w" }, message(9, new Uint8Array(12))), "container-malformed"],
    ["numbers here too", tensor({ location: "w" }, message(4, new Uint8Array(12))), "container-malformed"],
    ["both places", tensor({ location: "w" }, int(14, 0)), "container-malformed"],
    [
      "in the file, with a location",
      concatBytes(int(1, 3), int(2, 1), pairs({ location: "w" })),
      "container-malformed",
    ],
    ["negative length of an axis", tensor({ location: "w" }, int(1, -1)), "container-malformed"],
    ["too large", tensor({ location: "w" }, int(1, 2 ** 40), int(1, 2 ** 40)), "container-too-large"],
    ["texts", tensor({ location: "w" }, int(2, 8)), "container-unsupported"],
    ["a type that is not known", tensor({ location: "w" }, int(2, 99)), "container-unsupported"],
    ["four bits each", tensor({ location: "w", length: "2" }, int(2, 22)), "read"],
    ["many axes", tensor({ location: "w" }, ...Array.from({ length: 70 }, () => int(1, 1))), "container-too-large"],
    ["packed axes", concatBytes(tensor({ location: "w", length: "24" }), message(1, Uint8Array.of(2))), "read"],
  ])("tensor: %s", (_, bytes, expected) => {
    expect(code(model(message(5, bytes)))).toBe(expected);
  });

  it.each<[string, Uint8Array, string]>([
    ["nothing", new Uint8Array(), "container-malformed"],
    ["no graph", int(1, 10), "container-malformed"],
    ["two graphs", concatBytes(model(), message(7)), "container-malformed"],
    ["cut off", model(message(5, tensor({ location: "w" }))).subarray(0, -1), "container-malformed"],
    ["a group", concatBytes(model(), Uint8Array.of(0x0b)), "container-malformed"],
    ["field 0", concatBytes(model(), Uint8Array.of(0)), "container-malformed"],
    [
      "a tag beyond 2^32",
      concatBytes(Uint8Array.of(0xba, 0x80, 0x80, 0x80, 0x80, 1), Uint8Array.of(0)),
      "container-malformed",
    ],
    ["a number of eleven bytes", Uint8Array.from([8, ...Array(10).fill(255), 1]), "container-malformed"],
    ["a graph that is a number", concatBytes(int(1, 10), int(7, 1)), "container-malformed"],
    ["EPContext", model(message(1, text(4, "EPContext"))), "container-unsupported"],
    ["names in two cases", model(message(5, tensor({ location: "w" })), message(5, tensor({ location: "W" }))), "name"],
  ])("%s", (_, bytes, expected) => {
    expect(code(bytes)).toBe(expected);
  });

  it("is bounded in depth and fields", () => {
    let graph: Uint8Array = new Uint8Array();
    for (let i = 0; i < 2000; i++) graph = message(1, message(5, message(6, graph)));
    expect(code(model(graph))).toBe("container-too-large");
    const fields = concatBytes(int(1, 10), new Uint8Array(2 ** 26).fill(0x10));
    expect(code(fields)).toBe("container-too-large");
    expect(code(new Uint8Array(20), { maxBytes: 10 })).toBe("container-too-large");
    expect(() => onnxExternalData(new Uint8Array(), { maxFields: 0 })).toThrow(RangeError);
  });

  it("gets a typed error, however it was changed, and never a path that leads out", () => {
    const { bytes: good } = file("outside.onnx");
    const rng = createRng(8);
    const pick = (below: number) => Math.floor(rng.next() * below);
    const others: unknown[] = [];
    for (let i = 0; i < Number(process.env.PARAPET_FUZZ ?? 2000); i++) {
      const bytes = Array.from(good);
      for (let edits = pick(4) + 1; edits > 0; edits--) {
        const at = pick(bytes.length);
        const kind = pick(3);
        if (kind === 0) bytes[at] = pick(256);
        else if (kind === 1) bytes[at]! ^= 1 << pick(8);
        else
          bytes.splice(
            at,
            pick(8),
            ..."../"
              .repeat(pick(3))
              .split("")
              .map((c) => c.charCodeAt(0)),
          );
      }
      try {
        const { files } = onnxExternalData(Uint8Array.from(bytes));
        if (files.some(({ location }) => location.split("/").includes("..") || location.startsWith("/")))
          others.push(files);
      } catch (error) {
        if (!(error instanceof ParapetError)) others.push(error);
      }
    }
    expect(others).toEqual([]);
  });
});
