import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { crossEntropy, type NdArray } from "@parapet/core";
import { fromOnnx } from "../../src/from-onnx.ts";
import type { OnnxRuntime } from "../../src/runtime.ts";
import { createMutants } from "./mutants.ts";

/** What the child is told on its standard input. Files are base64. */
export interface SessionTask {
  /** The path of onnxruntime. */
  readonly runtime: string;
  /** Files to be opened as they are. */
  readonly files: readonly string[];
  /** Files whose mutants are opened. */
  readonly seeds: readonly string[];
  readonly seed: number;
  readonly count: number;
}
/** What it answers in its last line; every line before is the number of the file that comes next. */
export interface SessionReport {
  /** What became of `files`: an error's code or name, "opened, then " and that of the gradient's, or "differentiated". */
  readonly files: readonly string[];
  /** How many mutants had which end. */
  readonly ends: Readonly<Record<string, number>>;
  /** How many mutants reached onnxruntime. */
  readonly reached: number;
  /** The most memory in use, in bytes. */
  readonly memory: number;
  /** The longest that one file took, in milliseconds, and its number. */
  readonly slowest: readonly [milliseconds: number, index: number];
  /** The first file that came out wrong. */
  readonly failure: { readonly index: number; readonly why: string } | undefined;
}

const decode = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));

async function fuzz(task: SessionTask): Promise<SessionReport> {
  const ort = createRequire(task.runtime)(task.runtime) as OnnxRuntime;
  let sessions = 0;
  const runtime: OnnxRuntime = {
    Tensor: ort.Tensor,
    InferenceSession: {
      create(bytes, options) {
        sessions++;
        return ort.InferenceSession.create(bytes, options);
      },
    },
  };
  const mutant = createMutants(task.seeds.map(decode), task.seed);
  const files: string[] = [];
  const ends: Record<string, number> = {};
  let reached = 0;
  let slowest: [number, number] = [0, 0];
  let failure: SessionReport["failure"];
  const all = task.files.length + task.count;
  for (let index = 0; index < all && failure === undefined; index++) {
    // Whoever watches knows which file it was when this process is gone.
    writeSync(1, `${index}\n`);
    const given = task.files[index];
    const file = given === undefined ? mutant(index) : decode(given);
    sessions = 0;
    const start = performance.now();
    const end = await open(file, runtime).catch((error: unknown) => nameOf(error));
    const took = performance.now() - start;
    if (typeof end !== "string") failure = { index, why: String(end.stack) };
    else if (given !== undefined) files.push(end);
    else {
      ends[end] = (ends[end] ?? 0) + 1;
      if (sessions > 0) reached++;
    }
    if (took > slowest[0]) slowest = [took, index];
  }
  return { files, ends, reached, memory: process.resourceUsage().maxRSS * 1024, slowest, failure };
}

async function open(file: Uint8Array, runtime: OnnxRuntime): Promise<string | Error> {
  const session = { intraOpNumThreads: 1, logSeverityLevel: 4 };
  const model = await fromOnnx(file, { runtime, bounds: { lower: 0, upper: 1 }, session });
  try {
    const shape = [1, ...model.inputShape];
    const data = new Float32Array(shape.reduce((product, length) => product * length, 1)).fill(0.5);
    const x: NdArray = { dtype: "float32", shape, data };
    return await model.gradient(x, crossEntropy([0])).then(
      () => "differentiated",
      (error: unknown) => {
        const name = nameOf(error);
        return typeof name === "string" ? `opened, then ${name}` : name;
      },
    );
  } finally {
    await model.release();
  }
}

/** The code of an error of ours, or the name of a caller's mistake; any other error comes back. */
function nameOf(error: unknown): string | Error {
  const { code, name, message } = error as { code?: string; name: string; message: string };
  if (code?.startsWith("onnx/")) return code;
  const ours = (name === "TypeError" || name === "RangeError") && /^".*" expected .*, got /s.test(message);
  return ours ? name : (error as Error);
}

fuzz(JSON.parse(readFileSync(0, "utf8")) as SessionTask).then((report) => writeSync(1, `${JSON.stringify(report)}\n`));
