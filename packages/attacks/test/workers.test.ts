import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type NdArray, ndArray } from "@parapet/core";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoints } from "../src/node/checkpoints.ts";
import { subjectOf } from "../src/node/digest.ts";
import type { WorkersOptions } from "../src/node/index.ts";

// Workers run what users run: the entry and the caller's module as plain JavaScript, bundled here.

type Node = typeof import("../src/node/index.ts");
type Fixture = typeof import("./helpers/worker-module.ts");

const folder = mkdtempSync(join(tmpdir(), "parapet-workers-"));
const module = pathToFileURL(join(folder, "module.mjs"));
let node: Node;
let fixture: Fixture;
let x: NdArray;
let labels: Int32Array;

beforeAll(async () => {
  const bundle = (from: string, to: string) =>
    build({
      entryPoints: [fileURLToPath(new URL(from, import.meta.url))],
      outfile: join(folder, to),
      bundle: true,
      platform: "node",
      format: "esm",
      conditions: ["@parapet/source"],
      // The bundle lies outside of the workspace.
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
      logLevel: "error",
    });
  await bundle("../src/node/index.ts", "node.mjs");
  await bundle("./helpers/worker-module.ts", "module.mjs");
  node = (await import(/* @vite-ignore */ pathToFileURL(join(folder, "node.mjs")).href)) as Node;
  fixture = (await import(/* @vite-ignore */ module.href)) as Fixture;
  ({ x, labels } = fixture.problem());
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const options = (extra: Partial<WorkersOptions> = {}): WorkersOptions => ({
  module,
  norm: "linf",
  epsilon: 0.15,
  seed: 7,
  workers: 2,
  cores: 4,
  batchSize: 5,
  checkExamples: 4,
  ...extra,
});

describe("an evaluation in worker threads", () => {
  it("is the one of a single thread, byte for byte", { timeout: 60_000 }, async () => {
    const single = JSON.stringify(await fixture.alone());
    for (const workers of [1, 3]) {
      expect(JSON.stringify(await node.evaluateInWorkers(x, labels, options({ workers })))).toBe(single);
    }
  });

  it("gives each worker its share of the cores, and resumes from a file", { timeout: 60_000 }, async () => {
    const checkpoint = join(folder, "evaluation.jsonl");
    const whole = JSON.stringify(await node.evaluateInWorkers(x, labels, options({ checkpoint })));
    const lines = readFileSync(checkpoint, "utf8").split("\n").length - 1;
    // The machine dies in the middle of a line.
    truncateSync(checkpoint, Math.floor(readFileSync(checkpoint).length / 2));
    const kept = readFileSync(checkpoint, "utf8").split("\n").length - 1;
    let written = 0;
    const again = await node.evaluateInWorkers(x, labels, options({ checkpoint, onCheckpoint: () => void written++ }));
    expect(JSON.stringify(again)).toBe(whole);
    expect(kept).toBeGreaterThan(0);
    expect(written).toBe(lines - kept);
    expect(readFileSync(checkpoint, "utf8").split("\n").length - 1).toBe(lines);
  });

  it("fails as a single thread fails", { timeout: 60_000 }, async () => {
    await expect(node.evaluateInWorkers(x, labels, options({ epsilon: -1 }))).rejects.toThrow('"epsilon" expected');
    const bad = ndArray(new Float32Array(x.data.length).fill(2), x.shape);
    await expect(node.evaluateInWorkers(bad, labels, options())).rejects.toBeInstanceOf(RangeError);
    const failing = (text: string) => {
      const path = join(folder, `failing-${text.length}.mjs`);
      writeFileSync(path, text);
      return options({ module: path });
    };
    const attacks = "export const attacks = { none: async () => {} };";
    await expect(node.evaluateInWorkers(x, labels, failing(attacks))).rejects.toThrow("exports createModel");
    const thrown = `export const createModel = () => { throw Object.assign(new Error("no weights"), { code: "x/y" }); }; ${attacks}`;
    await expect(node.evaluateInWorkers(x, labels, failing(thrown))).rejects.toMatchObject({
      message: "no weights",
      code: "x/y",
    });
    const gone = `export const createModel = () => process.exit(3); ${attacks}`;
    await expect(node.evaluateInWorkers(x, labels, failing(gone))).rejects.toMatchObject({
      code: "attacks/worker-ended",
    });
  });

  it("stops when it is told to", { timeout: 60_000 }, async () => {
    const stop = new AbortController();
    const running = node.evaluateInWorkers(
      x,
      labels,
      options({ signal: stop.signal, onProgress: ({ done }) => done > 2 && stop.abort(new Error("enough")) }),
    );
    await expect(running).rejects.toThrow("enough");
  });
});

describe("the file of checkpoints", () => {
  const piece = (id: string) => ({ id, witness: [0.1], result: { outcomes: [], exhibits: [] } });

  it("gives back what was appended, and drops a torn last line", async () => {
    const path = join(folder, "torn.jsonl");
    const file = await openCheckpoints(path);
    await Promise.all([file.append(piece("a")), file.append(piece("b")), file.append(piece("ü"))]);
    await file.close();
    appendFileSync(path, '{"id":"c","wit');
    const again = await openCheckpoints(path);
    expect(again.pieces).toEqual([piece("a"), piece("b"), piece("ü")]);
    await again.append(piece("d"));
    await again.close();
    const last = await openCheckpoints(path);
    expect(last.pieces.map(({ id }) => id)).toEqual(["a", "b", "ü", "d"]);
    await last.close();
  });

  it("refuses a file that is none, and leaves it alone", async () => {
    for (const text of ["not json\n", '{"id":1}\n', "null\n", '{"id":"a","witness":[],"result":{}}\n\n']) {
      const path = join(folder, "damaged.jsonl");
      writeFileSync(path, text);
      await expect(openCheckpoints(path)).rejects.toMatchObject({ code: "attacks/checkpoint-damaged" });
      expect(readFileSync(path, "utf8")).toBe(text);
    }
  });
});

it("the subject is a file's name and digest", async () => {
  const path = join(folder, "model.onnx");
  writeFileSync(path, "abc");
  // FIPS 180-2, appendix B.1.
  expect(await subjectOf(path)).toEqual({
    name: "model.onnx",
    digest: { sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
  });
});
