import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { binary, cnn, mlp, normalised } from "../helpers/networks.ts";

const FILES = 100_000;
const SEED = 20261125;
const folder = new URL("../vectors/models/", import.meta.url);

/** What the child says at the end. */
interface Report {
  readonly failure?: string;
  readonly file?: string;
  readonly ends: Readonly<Record<string, number>>;
  readonly slowest: number;
  readonly ran: number;
  /** The most that it held, in MB. */
  readonly memory: number;
}

test(`${FILES} damaged files are opened and answer, or are refused, in bounded time and memory`, {
  timeout: 600_000,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), "parapet-fuzz-"));
  try {
    const made = [mlp(), binary(), cnn(), normalised({ dropout: 0.5 })].map((bytes, i) => {
      const path = join(directory, `${i}.onnx`);
      writeFileSync(path, bytes);
      return path;
    });
    const exported = ["sklearn-logistic-zipmap", "mlp-sigmoid", "series-opset17"].map((name) =>
      fileURLToPath(new URL(`${name}.onnx`, folder)),
    );
    const bundle = await build({
      entryPoints: [fileURLToPath(new URL("fuzz-session-child.ts", import.meta.url))],
      bundle: true,
      platform: "node",
      format: "esm",
      external: ["onnxruntime-node"],
      conditions: ["@parapet/source"],
      write: false,
    });
    const task = JSON.stringify({ seeds: [...made, ...exported], count: FILES, seed: SEED });
    const { report, last, code } = await run(bundle.outputFiles[0]!.text, task);
    expect(report?.failure, report?.file).toBeUndefined();
    expect(code, `the process ended at file ${last} of seed ${SEED}`).toBe(0);
    const { ends, ran, memory, slowest } = report!;
    console.log(
      `fuzzed ${FILES} files: ${ran} opened, ${Math.round(memory)} MB, slowest ${Math.round(slowest)} ms`,
      ends,
    );
    // Every way is well trodden.
    expect(ends.answered).toBeGreaterThan(500);
    for (const end of ["onnx/malformed", "onnx/unsupported", "onnx/too-large", "onnx/runtime", "TypeError"]) {
      expect(ends[end], end).toBeGreaterThan(50);
    }
    expect(memory).toBeLessThan(2500);
    expect(slowest).toBeLessThan(20_000);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/** Runs a module in a process with 4 GB of memory; one that is silent for a minute is ended. */
async function run(
  code: string,
  task: string,
): Promise<{ report: Report | undefined; last: string; code: number | null }> {
  const command = `ulimit -d 4000000; exec "$0" --max-old-space-size=1000 --input-type=module - "$1"`;
  const child = spawn("sh", ["-c", command, process.execPath, task], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
  });
  let [out, last] = ["", ""];
  let timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    clearTimeout(timer);
    timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
    last = chunk.toString().trim().split("\n").at(-1)!;
  });
  child.stdin.end(code);
  const ended = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  const line = out.trim().split("\n").at(-1) ?? "";
  return { report: line.startsWith("{") ? (JSON.parse(line) as Report) : undefined, last, code: ended };
}
