import { createRng, ParapetError } from "@parapet/core";
import { readModelJson } from "@parapet/model-signing/containers";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";

const encode = (json: unknown) => new TextEncoder().encode(typeof json === "string" ? json : JSON.stringify(json));
const code = (run: () => unknown) => {
  try {
    run();
    return "read";
  } catch (error) {
    return (error as ParapetError).code.replace("model-signing/", "");
  }
};
type Weights = readonly { name: string; dtype: string; shape: readonly number[]; quantization?: object }[];
const manifest = (paths: unknown, weights: unknown = [{ name: "w", dtype: "float32", shape: [2] }]) =>
  encode({ modelTopology: {}, weightsManifest: [{ paths, weights }] });

describe("what TensorFlow.js writes", () => {
  let artifacts: tf.io.ModelArtifacts;
  beforeAll(async () => {
    await tf.setBackend("cpu");
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 3, kernelSize: 3 }),
        tf.layers.batchNormalization(),
        tf.layers.flatten(),
        tf.layers.dense({ units: 4 }),
      ],
    });
    await model.save(
      tf.io.withSaveHandler(async (saved) => {
        artifacts = saved;
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
      }),
    );
  });

  it("is read, and its weights are as long as they say", () => {
    const { weightData, weightSpecs, ...rest } = artifacts;
    const size = (weightData as ArrayBuffer).byteLength;
    const file = encode({ ...rest, weightsManifest: [{ paths: ["a.bin", "b.bin"], weights: weightSpecs }] });
    const read = readModelJson(file, { sizes: { "a.bin": 100, "b.bin": size - 100 } });
    expect(read.paths).toEqual(["a.bin", "b.bin"]);
    expect(read.groups[0]!.bytes).toBe(size);
    expect(read.groups[0]!.weights.map(({ name }) => name)).toEqual(weightSpecs!.map(({ name }) => name));
    expect(read.json.format).toBe("layers-model");
    expect(code(() => readModelJson(file, { sizes: { "a.bin": 100, "b.bin": size - 101 } }))).toBe(
      "container-malformed",
    );
    expect(code(() => readModelJson(file, { sizes: { "a.bin": 100, "b.bin": size - 99 } }))).toBe(
      "container-malformed",
    );
    expect(code(() => readModelJson(file, { sizes: { "a.bin": size } }))).toBe("missing");
    expect(code(() => readModelJson(file, { sizes: Object.create({ "a.bin": 1, "b.bin": 1 }) }))).toBe("missing");
  });

  it.each<[string, Weights[number], number]>([
    ["float32", { name: "w", dtype: "float32", shape: [2, 3] }, 24],
    ["int32", { name: "w", dtype: "int32", shape: [3] }, 12],
    ["bool", { name: "w", dtype: "bool", shape: [3] }, 3],
    ["complex64", { name: "w", dtype: "complex64", shape: [2] }, 16],
    ["no axes", { name: "w", dtype: "float32", shape: [] }, 4],
    ["no elements", { name: "w", dtype: "float32", shape: [0, 7] }, 0],
    ["uint8", { name: "w", dtype: "float32", shape: [5], quantization: { dtype: "uint8", scale: 0.5, min: -1 } }, 5],
    ["uint16", { name: "w", dtype: "int32", shape: [5], quantization: { dtype: "uint16", scale: 2, min: 0 } }, 10],
    ["float16", { name: "w", dtype: "float32", shape: [4], quantization: { dtype: "float16" } }, 8],
  ])("%s takes the bytes that TensorFlow.js takes", async (_, spec, size) => {
    expect(readModelJson(manifest(["w.bin"], [spec])).groups[0]!.bytes).toBe(size);
    // Behind it lies another one: it is found where this one ends.
    const bytes = new Uint8Array(size + 4);
    bytes.set([7, 0, 0, 0], size);
    const last = { name: "last", dtype: "int32", shape: [1] };
    const decoded = tf.io.decodeWeights(bytes.buffer, [spec, last] as unknown as tf.io.WeightsManifestEntry[]);
    expect([...(await decoded.last!.data())]).toEqual([7]);
  });

  it("may hold texts, whose length is not known", () => {
    const file = manifest(["w.bin"], [{ name: "w", dtype: "string", shape: [2] }]);
    expect(readModelJson(file, { sizes: { "w.bin": 11 } }).groups[0]!.bytes).toBe(undefined);
    expect(code(() => readModelJson(file, { sizes: { "w.bin": 7 } }))).toBe("container-malformed");
  });
});

describe("a model.json that is hostile", () => {
  it.each([
    "../w.bin",
    "a/../../w.bin",
    "/w.bin",
    "//evil.example/w.bin",
    "https://evil.example/w.bin",
    "data:application/octet-stream,x",
    "blob:x",
    "c:w.bin",
    "a\\w.bin",
    "%2e%2e/w.bin",
    "..%2fw.bin",
    "w.bin?v=1",
    "w.bin#x",
    "./w.bin",
    "a//w.bin",
    "",
    "w.bin\u0000",
    "w\u202ebin",
  ])("path %j is refused", (path) => {
    expect(code(() => readModelJson(manifest([path])))).toBe("name");
    expect(code(() => readModelJson(manifest(["good.bin", path])))).toBe("name");
  });

  it.each<[string, Uint8Array, string]>([
    ["a file twice", manifest(["w.bin", "w.bin"]), "name"],
    ["a file in two cases", manifest(["w.bin", "W.bin"]), "name"],
    [
      "a file in two groups",
      encode({
        weightsManifest: [0, 1].map((i) => ({ paths: ["w"], weights: [{ name: `${i}`, dtype: "bool", shape: [] }] })),
      }),
      "name",
    ],
    [
      "a weight twice",
      manifest(
        ["w"],
        [0, 1].map(() => ({ name: "w", dtype: "bool", shape: [] })),
      ),
      "container-malformed",
    ],
    ["weight __proto__", manifest(["w"], [{ name: "__proto__", dtype: "bool", shape: [] }]), "container-malformed"],
    ["weightsManifest twice", encode('{"weightsManifest":[],"weightsManifest":[]}'), "container-malformed"],
    ["__proto__ with a manifest", encode('{"__proto__":{"weightsManifest":[]}}'), "container-malformed"],
    ["no manifest", encode({ modelTopology: {} }), "container-malformed"],
    ["a list", encode([]), "container-malformed"],
    ["no JSON", encode("{"), "container-malformed"],
    ["not UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d), "container-malformed"],
    ["deep", encode(`{"a":${"[".repeat(100_000)}`), "container-too-large"],
    ["paths of numbers", manifest([1]), "container-malformed"],
    ["paths a text", manifest("w"), "container-malformed"],
    ["weights an object", manifest(["w"], {}), "container-malformed"],
    ["no name", manifest(["w"], [{ dtype: "bool", shape: [] }]), "container-malformed"],
    ["shape of -1", manifest(["w"], [{ name: "w", dtype: "bool", shape: [-1] }]), "container-malformed"],
    ["shape of 0.5", manifest(["w"], [{ name: "w", dtype: "bool", shape: [0.5] }]), "container-malformed"],
    [
      "shape too large",
      manifest(["w"], [{ name: "w", dtype: "bool", shape: [2 ** 30, 2 ** 30] }]),
      "container-too-large",
    ],
    ["another type", manifest(["w"], [{ name: "w", dtype: "float64", shape: [] }]), "container-unsupported"],
    ["type constructor", manifest(["w"], [{ name: "w", dtype: "constructor", shape: [] }]), "container-unsupported"],
    [
      "another quantization",
      manifest(["w"], [{ name: "w", dtype: "float32", shape: [], quantization: { dtype: "int4" } }]),
      "container-unsupported",
    ],
    [
      "a quantization without scale",
      manifest(["w"], [{ name: "w", dtype: "float32", shape: [], quantization: { dtype: "uint8", min: 0 } }]),
      "container-malformed",
    ],
    [
      "whole numbers as float16",
      manifest(["w"], [{ name: "w", dtype: "int32", shape: [], quantization: { dtype: "float16" } }]),
      "container-unsupported",
    ],
  ])("%s is refused", (_, file, expected) => {
    expect(code(() => readModelJson(file))).toBe(expected);
  });

  it("gets a typed error, however it was changed", () => {
    const good = manifest(
      ["a.bin", "b/c.bin"],
      [
        { name: "w", dtype: "float32", shape: [2, 3], quantization: { dtype: "uint8", scale: 1, min: 0 } },
        { name: "v", dtype: "string", shape: [2] },
      ],
    );
    const rng = createRng(6);
    const pick = (below: number) => Math.floor(rng.next() * below);
    const others: unknown[] = [];
    for (let i = 0; i < Number(process.env.PARAPET_FUZZ ?? 2000); i++) {
      const bytes = Array.from(good);
      for (let edits = pick(3) + 1; edits > 0; edits--) {
        const at = pick(bytes.length);
        const kind = pick(3);
        if (kind === 0) bytes[at] = pick(256);
        else if (kind === 1) bytes.splice(at, pick(12));
        else bytes.splice(at, 0, ...bytes.slice(pick(bytes.length)).slice(0, pick(60)));
      }
      try {
        const { paths } = readModelJson(Uint8Array.from(bytes), { sizes: { "a.bin": 10, "b/c.bin": 20 } });
        if (paths.some((path) => path !== "a.bin" && path !== "b/c.bin")) others.push(paths);
      } catch (error) {
        if (!(error instanceof ParapetError)) others.push(error);
      }
    }
    expect(others).toEqual([]);
  });
});
