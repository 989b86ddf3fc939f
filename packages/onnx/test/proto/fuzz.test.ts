import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readModel } from "../../src/proto/read.ts";
import { writeModel } from "../../src/proto/write.ts";
import { models } from "./arbitrary.ts";
import type { FuzzReport, FuzzTask } from "./fuzz-worker.ts";

const FILES = 110_000;
const SEED = 20240601;

/** Small files with everything in them: of ours, and of exporters. */
const seeds = [
  ...fc
    .sample(models, { seed: SEED, numRuns: 80 })
    .map((model) => writeModel(model))
    .filter(({ length }) => length < 500),
  ...["sklearn-logistic-zipmap", "sklearn-binary-mlp", "mlp-sigmoid", "series-opset17"].map((name) =>
    Uint8Array.from(readFileSync(new URL(`../vectors/models/${name}.onnx`, import.meta.url))),
  ),
].filter(({ length }) => length < 1200);

/** Runs the fuzzer in a worker that is killed when it takes too much memory or time. */
async function fuzz(task: FuzzTask, milliseconds: number): Promise<FuzzReport> {
  const bundle = await build({
    entryPoints: [fileURLToPath(new URL("fuzz-worker.ts", import.meta.url))],
    bundle: true,
    platform: "node",
    format: "cjs",
    conditions: ["@parapet/source"],
    write: false,
  });
  const worker = new Worker(bundle.outputFiles[0]!.text, {
    eval: true,
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: 256, stackSizeMb: 4 },
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await new Promise<FuzzReport>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`still running after ${milliseconds} ms`)), milliseconds);
      worker.once("message", resolve).once("error", reject);
      worker.once("exit", (code) => reject(new Error(`the worker ended with ${code} before it answered`)));
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

test(`${FILES} mutated files are read or refused, never more`, { timeout: 60_000 }, async () => {
  const { failure, decoded, refused, worstRatio, slowest } = await fuzz({ seeds, count: FILES, seed: SEED }, 45_000);
  expect(failure).toBeUndefined();
  console.log(`fuzzed ${FILES} files of ${seeds.length} seeds: ${decoded} decoded, refused`, refused);
  expect(decoded + Object.values(refused).reduce((sum, count) => sum + count, 0)).toBe(FILES);
  // Both ways are well trodden.
  expect(decoded).toBeGreaterThan(FILES / 20);
  expect(refused["onnx/malformed"]).toBeGreaterThan(FILES / 10);
  expect(refused["onnx/unsupported"]).toBeGreaterThan(100);
  expect(refused["onnx/too-large"]).toBeGreaterThan(100);
  // One byte of a packed integer becomes eight at most.
  expect(worstRatio).toBeLessThanOrEqual(8);
  expect(slowest).toBeLessThan(1000);
});

describe("every small damage", () => {
  // With one operator set: it stands last, and a file without it is none.
  const seed = seeds.find((each) => each.length > 300 && readModel(each).opsets.size === 1)!;
  const outcome = (bytes: Uint8Array): string => {
    try {
      readModel(bytes);
      return "read";
    } catch (error) {
      return String((error as { code?: string }).code);
    }
  };

  test("a file cut off anywhere", () => {
    const outcomes = Array.from(seed, (_, length) => outcome(seed.subarray(0, length)));
    expect(new Set(outcomes)).toEqual(new Set(["onnx/malformed"]));
  });

  test("any bit flipped", () => {
    const outcomes = new Set<string>();
    for (let bit = 0; bit < seed.length * 8; bit++) {
      const bytes = seed.slice();
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      outcomes.add(outcome(bytes));
    }
    expect([...outcomes].filter((each) => !/^(read|onnx\/(malformed|unsupported|too-large))$/.test(each))).toEqual([]);
  });
});

describe("files that ask for much", { timeout: 10_000 }, () => {
  const repeat = (count: number, ...bytes: readonly number[]) => {
    const all = new Uint8Array(count * bytes.length);
    for (let i = 0; i < all.length; i++) all[i] = bytes[i % bytes.length]!;
    return all;
  };

  test.each([
    ["a million empty graphs", repeat(1e6, 0x3a, 0)],
    ["a million operator sets", repeat(1e6, 0x42, 0)],
    ["a megabyte of continued varints", repeat(1e6, 0xff)],
    ["a megabyte of groups", repeat(1e6, 0x0b)],
    ["10 megabytes of zeros", new Uint8Array(1e7)],
  ])("%s", (_, bytes) => {
    expect(() => readModel(bytes)).toThrow(expect.objectContaining({ code: "onnx/malformed" }));
  });

  test("two million nodes", () => {
    // graph (field 7) of 2 million nodes (field 1), each with the operator (field 4) "A".
    const graph = repeat(2e6, 0x0a, 3, 0x22, 1, 0x41);
    const header = [0x08, 8, 0x42, 2, 0x10, 17, 0x3a, 0x80 | (graph.length & 127)];
    for (let rest = graph.length >>> 7; rest > 0; rest >>>= 7) header.push(rest > 127 ? (rest & 127) | 128 : rest);
    const bytes = new Uint8Array(header.length + graph.length);
    bytes.set(header);
    bytes.set(graph, header.length);
    expect(() => readModel(bytes)).toThrow(expect.objectContaining({ code: "onnx/too-large" }));
  });
});
