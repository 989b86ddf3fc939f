// Trains a small CNN on MNIST, attacks it, hardens it by adversarial training, and attacks it again.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createRng, type TrainableClassifier } from "@parapet/core";
import { indexStreamDigest } from "@parapet/provenance";
import { evaluate } from "./evaluate.ts";
import { loadMnist, slice } from "./mnist.ts";
import { createModel, type EngineName, startEngine } from "./model.ts";
import { createProgress } from "./progress.ts";
import { publishRecord, recordData, startRecording, weightsArtefact } from "./record.ts";
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
  const folder = fileURLToPath(new URL("../out", import.meta.url));
  const record = join(folder, "provenance");
  const recorder = await startRecording(record);
  const data = await timed("record digests of the data", () =>
    recordData(recorder, record, { train, test }, split, settings.testImages),
  );
  progress.done(
    `MNIST: ${split} training, ${settings.validationImages} validation, ${images.labels.length} test images`,
  );

  const command = `npm run demo -- --seed ${seed} --engine ${engine}`;
  const versions = { parapet: versionOf("../../../package.json"), engine: running, node: process.version };
  const judge = (name: string, model: TrainableClassifier, weights: Uint8Array, other?: TrainableClassifier) => {
    const subject = { name, digest: { sha256: createHash("sha256").update(weights).digest("hex") } };
    return recorder.step({ kind: "evaluate", name: `Evaluate ${name}`, seeds: { attacks: seed } }, async (step) => {
      step.use(await recorder.artefact(weightsArtefact(name, weights)), "model");
      step.use(data.test, "test data", { count: images.labels.length, all: true });
      const about = { subject, versions, command };
      const evaluation = await evaluate(name, model, other, images, settings, seed, about, progress, signal);
      step.measure({ clean: evaluation.clean.rate, robust: evaluation.robust.rate });
      const content = JSON.stringify(evaluation);
      step.make({ kind: "report", name: `${name}.json`, content, mediaType: "application/json" }, "evaluation");
      return evaluation;
    });
  };

  const plain = await createModel(seed, engine);
  const rng = createRng(seed).derive("standard");
  const drawn: number[] = [];
  const plainWeights = await timed("standard training", () =>
    recorder.step(
      { kind: "train", name: "Standard training", parameters: settings.standard, seeds: { training: seed } },
      async (step) => {
        await trainStandard(plain, training, settings, rng, progress, signal, (rows) => drawn.push(...rows));
        const indices = indexStreamDigest(drawn);
        step.use(data.training, "training data", { count: drawn.length, all: false, indices });
        const weights = await weightsOf(plain);
        step.make(weightsArtefact("standard model", weights), "weights");
        return weights;
      },
    ),
  );
  const standard = await timed("attacks on the standard model", () => judge("standard model", plain, plainWeights));

  const robust = await createModel(seed, engine);
  const { history, weights } = await timed("adversarial training", () =>
    recorder.step(
      {
        ...{ kind: "harden", name: "Adversarial training", seeds: { training: seed } },
        parameters: { ...settings.hardened, epsilon: settings.epsilon },
      },
      async (step) => {
        step.use(data.training, "training data", { count: training.labels.length, all: true });
        step.use(data.validation, "validation data", { count: validation.labels.length, all: true });
        const history = await trainHardened(robust, training, validation, settings, seed, progress, signal);
        for (const { epoch, loss } of history.epochs) step.measure({ [`loss, epoch ${epoch}`]: loss });
        const weights = await weightsOf(robust);
        step.make(weightsArtefact("hardened model", weights), "weights");
        return { history, weights };
      },
    ),
  );
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
  const page = writeReport(folder, report, images.x, weights);
  const signed = await signModelFolder(folder, "hardened", hardened);
  await recorder.step({ kind: "export", name: "Export and sign" }, async (step) => {
    step.use(await recorder.artefact(weightsArtefact("hardened model", weights)), "weights");
    step.make({ kind: "model", name: "hardened", id: signed.id, description: "the signed folder" }, "signed model");
  });
  const run = await recorder.finish();
  const proven = await publishRecord(run, record, signed, data, Int32Array.from(drawn), train.labels[0]!);
  process.stdout.write(`\n${table(report)}\n\n${signed.text}\n\n${proven}\n\nReport: ${page}\n`);
}

function versionOf(file: string): string {
  return (JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8")) as { version: string }).version;
}
