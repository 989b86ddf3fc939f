// Trains a small CNN on MNIST, attacks it, hardens it by adversarial training, and attacks it again.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createRng, type TrainableClassifier } from "@parapet/core";
import { evaluate } from "./evaluate.ts";
import { loadMnist, slice } from "./mnist.ts";
import { createModel, type EngineName, startEngine } from "./model.ts";
import { createProgress } from "./progress.ts";
import { type Report, table, writeReport } from "./report.ts";
import { settings } from "./settings.ts";
import { signModelFolder } from "./sign.ts";
import { trainHardened, trainStandard } from "./train.ts";
import { weightsOf } from "./weights.ts";

const { values: options } = parseArgs({
  options: { seed: { type: "string", default: "0" }, engine: { type: "string", default: "onnx" } },
});
const seed = Number(options.seed);
if (!Number.isSafeInteger(seed) || seed < 0)
  throw new RangeError(`"--seed" expected a whole number >= 0, got ${options.seed}`);

const { engine } = options;
if (engine !== "onnx" && engine !== "tfjs") throw new TypeError(`"--engine" expected onnx or tfjs, got ${engine}`);

const controller = new AbortController();
process.once("SIGINT", () => controller.abort(new DOMException("interrupted", "AbortError")));
const { signal } = controller;

try {
  await main(engine);
} catch (error) {
  if (!signal.aborted) throw error;
  process.stdout.write("\nStopped. Nothing was written.\n");
  process.exit(130);
}

async function main(engine: EngineName): Promise<void> {
  const progress = createProgress();
  const durationsMs: Record<string, number> = {};
  const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work();
    durationsMs[name] = Math.round(performance.now() - start);
    return result;
  };

  const running = await startEngine(engine);
  const { train, test } = loadMnist();
  const split = train.labels.length - settings.validationImages;
  const training = slice(train, 0, split);
  const validation = slice(train, split, train.labels.length);
  const images = slice(test, 0, settings.testImages);
  progress.done(
    `MNIST: ${split} training, ${settings.validationImages} validation, ${images.labels.length} test images`,
  );

  const command = `npm run demo -- --seed ${seed} --engine ${engine}`;
  const versions = { parapet: versionOf("../../../package.json"), engine: running, node: process.version };
  const judge = async (name: string, model: TrainableClassifier, weights: Uint8Array, other?: TrainableClassifier) => {
    const subject = { name, digest: { sha256: createHash("sha256").update(weights).digest("hex") } };
    const record = { subject, versions, command };
    return evaluate(name, model, other, images, settings, seed, record, progress, signal);
  };

  const plain = await createModel(seed, engine);
  const rng = createRng(seed).derive("standard");
  await timed("standard training", () => trainStandard(plain, training, settings, rng, progress, signal));
  const plainWeights = await weightsOf(plain);
  const standard = await timed("attacks on the standard model", () => judge("standard model", plain, plainWeights));

  const robust = await createModel(seed, engine);
  const history = await timed("adversarial training", () =>
    trainHardened(robust, training, validation, settings, seed, progress, signal),
  );
  const weights = await weightsOf(robust);
  const hardened = await timed("attacks on the hardened model", () => judge("hardened model", robust, weights, plain));

  const report: Report = {
    standard,
    hardened,
    seed,
    settings,
    training: history,
    versions: { ...versions, processor: cpus()[0]?.model ?? "unknown" },
    durationsMs,
    command,
  };
  const folder = fileURLToPath(new URL("../out", import.meta.url));
  const page = writeReport(folder, report, images.x, weights);
  const signing = await signModelFolder(folder, "hardened", hardened);
  process.stdout.write(`\n${table(report)}\n\n${signing}\n\nReport: ${page}\n`);
}

function versionOf(file: string): string {
  return (JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8")) as { version: string }).version;
}
