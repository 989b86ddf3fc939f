import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Builder, createBuilder } from "../../src/builder.ts";
import { type Attribute, attribute, type DeclaredDim, type Graph, type Node } from "../../src/graph.ts";
import { writeModel } from "../../src/proto/write.ts";
import type { SessionReport, SessionTask } from "./fuzz-session-child.ts";
import { createMutants } from "./mutants.ts";
import { sessionSeeds } from "./session-seeds.ts";

const FILES = 100_000;
const SEED = 20240601;
/** Address space of the child, in kilobytes: what it reserves at the start, and room for what files may ask for. */
const SPACE = 6_000_000;
/** How long one file may take, whatever else the machine does. */
const PATIENCE = 30_000;

const folder = mkdtempSync(join(tmpdir(), "parapet-fuzz-"));
const script = join(folder, "child.cjs");
beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL("fuzz-session-child.ts", import.meta.url))],
    bundle: true,
    platform: "node",
    format: "cjs",
    conditions: ["@parapet/source"],
    outfile: script,
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

const encode = (files: readonly Uint8Array[]): string[] => files.map((file) => Buffer.from(file).toString("base64"));

/** Opens files in a process of its own, for native code that fails takes its process along. */
function inChild(task: Pick<SessionTask, "files" | "seeds" | "seed" | "count">): Promise<SessionReport> {
  const runtime = createRequire(import.meta.url).resolve("onnxruntime-node");
  const limited = `ulimit -v ${SPACE} 2>/dev/null; exec "$0" --max-old-space-size=512 "$1"`;
  const child = spawn("sh", ["-c", limited, process.execPath, script], { stdio: ["pipe", "pipe", "inherit"] });
  return new Promise((resolve, reject) => {
    let index = "0";
    let rest = "";
    const fail = (why: string): void => {
      const at = Number(index);
      const file = task.files[at] ?? encode([createMutants(task.seeds.map(decode), task.seed)(at)])[0];
      reject(new Error(`${why} at file ${at}: ${file}`));
    };
    const watch = (): ReturnType<typeof setTimeout> => setTimeout(() => child.kill("SIGKILL"), PATIENCE);
    let timer = watch();
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      clearTimeout(timer);
      timer = watch();
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      index = lines.at(-1) ?? index;
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (!index.startsWith("{")) return fail(`the child ended with ${signal ?? code}`);
      const report = JSON.parse(index) as SessionReport;
      if (report.failure === undefined) return resolve(report);
      index = String(report.failure.index);
      fail(report.failure.why);
    });
    // A child that dies early does not read to the end.
    child.stdin.on("error", () => {});
    child.stdin.end(JSON.stringify({ runtime, ...task } satisfies SessionTask));
  });
}

const decode = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));

test(`${FILES} mutated files are opened or refused, never more`, { timeout: 600_000 }, async () => {
  const seeds = sessionSeeds();
  const report = await inChild({ files: [], seeds: encode(seeds), seed: SEED, count: FILES });
  const { ends, reached, memory, slowest } = report;
  console.log(
    `opened ${FILES} mutants of ${seeds.length} files, ${reached} of them in onnxruntime:`,
    ends,
    `${Math.round(memory / 2 ** 20)} MB, ${Math.round(slowest[0])} ms at most`,
  );
  expect(Object.values(ends).reduce((sum, count) => sum + count, 0)).toBe(FILES);
  // All ways are well trodden.
  expect(reached).toBeGreaterThan(FILES / 20);
  expect(ends.differentiated).toBeGreaterThan(FILES / 50);
  expect(ends["onnx/runtime"]).toBeGreaterThan(FILES / 50);
  expect(ends["onnx/malformed"]).toBeGreaterThan(FILES / 2);
  expect(ends["onnx/unsupported"]).toBeGreaterThan(FILES / 200);
  expect(ends["onnx/too-large"]).toBeGreaterThan(FILES / 1000);
  expect(ends["onnx/unsupported-model"]).toBeGreaterThan(FILES / 200);
  expect(memory).toBeLessThan(2 ** 31);
});

/** A file that is mostly one thing. */
function file(write: (b: Builder) => string, shape: readonly DeclaredDim[] = ["n", 4]): Uint8Array {
  const b = createBuilder(["x"]);
  const output = write(b);
  return writeModel({
    irVersion: 8,
    opsets: new Map([["", 18]]),
    producer: "",
    graph: {
      name: "hostile",
      inputs: [{ name: "x", dtype: "float32", shape }],
      outputs: [{ name: output, dtype: "float32", shape: undefined }],
      initializers: b.initializers,
      nodes: b.nodes,
    },
  });
}

const { int, ints, string } = attribute;
const number = (b: Builder, value: number): string =>
  b.constant({ dtype: "int64", shape: [], data: BigInt64Array.of(BigInt(value)) });
const times = (count: number, start: string, next: (name: string) => string): string =>
  Array.from({ length: count }).reduce<string>(next, start);

const node = (op: string, inputs: readonly string[], outputs: readonly string[]): Node => {
  return { name: "", op, domain: "", inputs, outputs, attributes: {} };
};
const body = (inputs: readonly string[], nodes: readonly Node[], outputs: readonly string[]): Attribute => {
  const value = (name: string) =>
    ({ name, dtype: name === "i" ? "int64" : name.startsWith("go") ? "bool" : "float32", shape: undefined }) as const;
  const graph: Graph = {
    ...{ name: "body", inputs: inputs.map(value), outputs: outputs.map(value) },
    ...{ initializers: new Map(), nodes },
  };
  return { kind: "graph", value: graph };
};
/** Something from either branch of an If; the input does not go through it. */
const either = (b: Builder, op: string): string => {
  const branch = (name: string) =>
    body([], [node(op, [b.scalar(1), ...(op === "Expand" ? [b.int64([4])] : [])], [name])], [name]);
  const condition = b.constant({ dtype: "bool", shape: [], data: Uint8Array.of(1) });
  return b.add("Add", ["x", b.add("If", [condition], { then_branch: branch("this"), else_branch: branch("that") })]);
};
const forever = (b: Builder): string => {
  const loop = body(
    ["i", "go", "v"],
    [node("Identity", ["go"], ["go on"]), node("Relu", ["v"], ["w"])],
    ["go on", "w"],
  );
  const condition = b.constant({ dtype: "bool", shape: [], data: Uint8Array.of(1) });
  return b.add("Loop", ["", condition, "x"], { body: loop });
};

const hostile: [string, string, Uint8Array][] = [
  ["nothing bad", "differentiated", file((b) => b.add("Tanh", ["x"]))],
  ["a branch that keeps what it takes", "differentiated", file((b) => either(b, "Identity"))],
  [
    "a length that only shows when it runs",
    "differentiated",
    file((b) => {
      const places = b.add("Cast", [b.add("NonZero", ["x"])], { to: int(1) });
      return b.add("Add", ["x", b.add("ReduceMean", [places])]);
    }),
  ],
  [
    "a constant of 2^40 elements",
    "onnx/too-large",
    file((b) => b.add("Add", ["x", b.add("ConstantOfShape", [b.int64([2 ** 40, 1, 1])])])),
  ],
  [
    "a constant that no number counts",
    "onnx/too-large",
    file((b) => b.add("ConstantOfShape", [b.int64([2 ** 30, 2 ** 30, 2 ** 3])])),
  ],
  ["an expansion", "onnx/too-large", file((b) => b.add("Expand", ["x", b.int64([2 ** 40, 1, 1])]))],
  ["a tiling", "onnx/too-large", file((b) => b.add("Tile", ["x", b.int64([2 ** 20, 2 ** 20])]))],
  ["a range", "onnx/too-large", file((b) => b.add("Range", [number(b, 0), number(b, 2 ** 40), number(b, 1)]))],
  ["a border", "onnx/too-large", file((b) => b.add("Pad", ["x", b.int64([0, 2 ** 40, 0, 0])]))],
  ["a magnification", "onnx/too-large", file((b) => b.add("Resize", ["x", "", "", b.int64([2, 2 ** 40])]))],
  [
    "2^40 classes",
    "onnx/too-large",
    file((b) =>
      b.add("OneHot", [
        b.add("Cast", ["x"], { to: int(7) }),
        b.int64([2 ** 40]),
        b.constant({ dtype: "float32", shape: [2], data: Float32Array.of(0, 1) }),
      ]),
    ),
  ],
  ["40 doublings", "onnx/too-large", file((b) => times(40, "x", (v) => b.add("Concat", [v, v], { axis: int(1) })))],
  [
    "40 doublings of a shape",
    "onnx/too-large",
    file((b) => times(40, b.add("Shape", ["x"]), (v) => b.add("Concat", [v, v], { axis: int(0) }))),
  ],
  [
    "40 doublings of axes",
    "onnx/too-large",
    file((b) => times(40, b.add("Cast", ["x"], { to: int(7) }), (v) => b.add("Gather", [v, v]))),
  ],
  [
    "three sums of rows and columns, of a length that only shows when it runs",
    "onnx/too-large",
    file((b) =>
      times(3, b.add("NonZero", ["x"]), (v) =>
        b.add("Add", [b.add("Reshape", [v, b.int64([1, -1])]), b.add("Reshape", [v, b.int64([-1, 1])])]),
      ),
    ),
  ],
  [
    "a million axes",
    "onnx/too-large",
    file((b) => b.add("Reshape", ["x", b.add("Expand", [b.int64([1]), b.int64([2 ** 20])])])),
  ],
  ["a large input", "onnx/too-large", file((b) => b.add("Relu", ["x"]), ["n", 2 ** 28])],
  ["a large batch", "onnx/unsupported-model", file((b) => b.add("Relu", ["x"]), [2 ** 28, 1])],
  ["a batch of nothing", "onnx/unsupported-model", file((b) => b.add("Relu", ["x"]), [0, 4])],
  ["an endless loop", "onnx/unsupported", file(forever)],
  ["a branch that enlarges", "onnx/unsupported", file((b) => either(b, "Expand"))],
  [
    "a matrix too large for its gradient",
    "opened, then onnx/no-derivative",
    file(
      (b) => {
        const scales = b.constant({ dtype: "float32", shape: [2], data: Float32Array.of(1, 2) });
        return b.add("Resize", ["x", "", scales], { mode: string("linear") });
      },
      ["n", 2 ** 15],
    ),
  ],
  // These end the process where they reach onnxruntime 1.30.
  [
    "an axis that 32 bits do not hold",
    "onnx/too-large",
    file((b) => {
      const ones = b.constant({ dtype: "float32", shape: [3, 4], data: new Float32Array(12) });
      return b.add("LayerNormalization", ["x", ones], { axis: int(2 ** 31) });
    }),
  ],
  [
    "a bias that is left out by name",
    "onnx/unsupported",
    file((b) => b.add("LayerNormalization", ["x", b.scalar(1), ""])),
  ],
  ["a term that is left out", "onnx/unsupported", file((b) => b.add("Max", ["x", ""]))],
  [
    "other pieces than it says",
    "onnx/unsupported",
    file((b) => b.addMany("Split", ["x"], 3, { axis: int(1), num_outputs: int(2) })[0]!),
  ],
  [
    "a mode that there is not",
    "onnx/unsupported",
    file((b) => {
      const [mean, variance] = [b.int64([0, 0, 0, 0]), b.int64([1, 1, 1, 1])].map((v) =>
        b.add("Cast", [v], { to: int(1) }),
      );
      return b.addMany("BatchNormalization", ["x", variance!, mean!, mean!, variance!], 3, {
        training_mode: int(2),
      })[0]!;
    }),
  ],
  [
    "a depth without a number",
    "onnx/unsupported",
    file((b) =>
      b.add("OneHot", [
        b.add("Cast", ["x"], { to: int(7) }),
        b.int64([]),
        b.constant({ dtype: "float32", shape: [2], data: Float32Array.of(0, 1) }),
      ]),
    ),
  ],
  [
    "the largest of nothing",
    "onnx/unsupported",
    file((b) => b.addMany("TopK", ["x", b.int64([3])], 2)[0]!, ["n", 0, 4]),
  ],
  [
    "a convolution of nothing",
    "onnx/unsupported",
    file(
      (b) =>
        b.add("ConvTranspose", ["x", b.constant({ dtype: "float32", shape: [1, 2, 3], data: new Float32Array(6) })], {
          strides: ints([1]),
        }),
      ["n", 1, 0],
    ),
  ],
];

describe("a file with", { timeout: 120_000 }, () => {
  let ends: readonly string[];
  beforeAll(async () => {
    ends = (await inChild({ files: encode(hostile.map(([, , bytes]) => bytes)), seeds: [], seed: 0, count: 0 })).files;
  });
  test.each(hostile.map(([name, end], index) => [name, end, index] as const))("%s: %s", (_, end, index) => {
    expect(ends[index]).toBe(end);
  });
});
