import { execFile, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createSigner, readPublicKey } from "@parapet/attestation";
import { ndArray } from "@parapet/core";
import { createDataset, createRecorder, noteSigner, openLog, rowsOf } from "@parapet/provenance";
import { fileJournal, folderStorage, nodeHash256 } from "@parapet/provenance/node";
import { median, rounded } from "../statistics.ts";

export const name = "provenance";

interface Options {
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

const batch = 10_000;
const entryBytes = 32;

/**
 * A log in a folder: entries of 32 bytes in batches of 10,000, each batch durable and under a signed checkpoint; then single entries of
 * many callers at once, and proofs. In a process of its own, whose memory is measured. PARAPET_BENCH_ENTRIES (default 10,000,000) is how many.
 */
export async function run({ signal, log }: Options) {
  const entries = Number(process.env.PARAPET_BENCH_ENTRIES ?? 10_000_000);
  if (!(entries >= batch)) throw new RangeError(`PARAPET_BENCH_ENTRIES expected >= ${batch}, got ${entries}`);
  const child = fork(fileURLToPath(import.meta.url), [String(entries)], { execArgv: process.execArgv, signal });
  const results = await new Promise<{ what: string; took: number; unit: string }[]>((resolve, reject) => {
    child.on("message", (message) => (typeof message === "string" ? log(message) : resolve(message as never)));
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`the benchmark's process ended with ${code}`)));
  });
  results.push(...(await recording()), ...(await peer(log)));
  return {
    rows: results.map(({ what, took, unit }) => ({ what, measured: rounded(took), unit })),
    summary: Object.fromEntries(results.map(({ what, took, unit }) => [`${what}, ${unit}`, rounded(took)])),
  };
}

/** For context: a Merkle tree in Python, in memory, which signs nothing and keeps nothing. PARAPET_PYTHON names a Python with pymerkle. */
async function peer(log: (line: string) => void) {
  const script = fileURLToPath(new URL("../peers/provenance.py", import.meta.url));
  try {
    const { stdout } = await promisify(execFile)(process.env.PARAPET_PYTHON ?? "python3", [script, "300000"]);
    const { version, perSecond, proof } = JSON.parse(stdout) as { version: string; perSecond: number; proof: number };
    return [
      { what: `pymerkle ${version}, in memory: appends`, took: perSecond, unit: "1/s" },
      { what: `pymerkle ${version}, in memory: inclusion proof, median`, took: proof, unit: "ms" },
    ];
  } catch {
    log("without a peer: no Python with pymerkle (PARAPET_PYTHON names one)");
    return [];
  }
}

/** What recording costs: the digests of the demo's data, once, and each step with its two events on the disk. */
async function recording() {
  const folder = mkdtempSync(join(tmpdir(), "bench-run-"));
  try {
    const seconds = (start: number) => (performance.now() - start) / 1000;
    const width = 784;
    const images = new Float32Array(70_000 * width);
    for (let i = 0; i < images.length; i++) images[i] = (i % 251) / 255;
    let start = performance.now();
    const rows = rowsOf({ image: ndArray(images, [70_000, width]), label: new Int32Array(70_000) });
    await createDataset(rows, { name: "images", hash: nodeHash256 });
    const digests = seconds(start);
    const recorder = await createRecorder(fileJournal(join(folder, "run.jsonl")), { name: "bench" });
    const data = await recorder.artefact({ kind: "dataset", name: "data", content: "data" });
    const weights = new Uint8Array(1_700_000);
    const steps = 50;
    start = performance.now();
    for (let epoch = 1; epoch <= steps; epoch++) {
      await recorder.step({ kind: "train", name: `Epoch ${epoch}`, parameters: { rate: 0.1 } }, (step) => {
        step.use(data, "training data", { count: 60_000, all: true });
        weights[0] = epoch;
        const content = nodeHash256(weights);
        step.make({ kind: "model", name: "weights", content }, "weights");
        step.measure({ loss: 1 / epoch });
      });
    }
    const perStep = (1000 * seconds(start)) / steps;
    return [
      { what: "digests of 70,000 images of 784 floats, once", took: digests, unit: "s" },
      { what: "a recorded epoch, digest of 1.7 MB of weights included", took: perStep, unit: "ms" },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(entries: number): Promise<void> {
  const folder = mkdtempSync(join(process.env.PARAPET_BENCH_FOLDER ?? tmpdir(), "bench-log-"));
  const pair = (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair;
  const publicKey = await readPublicKey(new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey)));
  const signer = noteSigner("example.com/bench", await createSigner({ privateKey: pair.privateKey, publicKey }));
  const results: { what: string; took: number; unit: string }[] = [];
  const seconds = (start: number) => (performance.now() - start) / 1000;
  try {
    const before = process.memoryUsage().rss;
    const log = await openLog(folderStorage(folder), { signer });
    const random = randomBytes(batch * entryBytes);
    let start = performance.now();
    for (let at = 0; at < entries; at += batch) {
      random.writeUInt32LE(at, 0);
      await log.append(Array.from({ length: batch }, (_, i) => random.subarray(i * entryBytes, (i + 1) * entryBytes)));
      if (at % (entries / 10) === 0) process.send?.(`${at} of ${entries} entries, ${rounded(seconds(start))} s`);
    }
    await log.close();
    const million = entries / 1e6;
    results.push({ what: `append ${million} million entries in batches of ${batch}`, took: seconds(start), unit: "s" });
    const peak = process.resourceUsage().maxRSS / 1024;
    results.push({ what: "memory at most, tsx included", took: peak, unit: "MB" });
    results.push({ what: "memory before", took: before / 2 ** 20, unit: "MB" });

    start = performance.now();
    const again = await openLog(folderStorage(folder), { signer });
    results.push({ what: "open", took: 1000 * seconds(start), unit: "ms" });
    const [callers, rounds] = [100, 50];
    start = performance.now();
    const caller = async () => {
      for (let i = 0; i < rounds; i++) await again.append(randomBytes(entryBytes));
    };
    await Promise.all(Array.from({ length: callers }, caller));
    results.push({
      what: `single durable appends of ${callers} callers`,
      took: (callers * rounds) / seconds(start),
      unit: "1/s",
    });
    start = performance.now();
    for (let i = 0; i < 100; i++) await again.append(randomBytes(entryBytes));
    results.push({ what: "single durable appends of one caller", took: 100 / seconds(start), unit: "1/s" });

    const proofs: number[] = [];
    for (let i = 0; i < 1000; i++) {
      const index = Number(randomBytes(6).readUIntBE(0, 6) % entries);
      start = performance.now();
      await again.inclusionProof(index);
      proofs.push(1000 * seconds(start));
    }
    proofs.sort((a, b) => a - b);
    results.push({ what: "inclusion proof, median", took: median(proofs), unit: "ms" });
    results.push({ what: "inclusion proof, 99th of 100", took: proofs[989]!, unit: "ms" });
    start = performance.now();
    await again.check();
    results.push({ what: "check of everything", took: seconds(start), unit: "s" });
    await again.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  process.send?.(results);
  process.disconnect?.();
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  await measure(Number(process.argv[2]));
}
