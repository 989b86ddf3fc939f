import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { generateKeyPair } from "@parapet/attestation";
import { memorySource, signModel, verifyBundle } from "@parapet/model-signing";
import { signFolder, verifyFolder } from "@parapet/model-signing/node";
import { median, rounded } from "../statistics.ts";

export const name = "signing";

interface Options {
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

const files = 4;
const rounds = 5;
const workers = 2;

/**
 * Signing and verifying a model of four files, and what the reference in Python takes to hash it with two workers, in turn; GB/s.
 * The files are read from the memory of the operating system. PARAPET_BENCH_MB (default 2048) is their size together;
 * PARAPET_PYTHON names a Python with model-signing.
 */
export async function run({ signal, log }: Options) {
  const megabytes = Number(process.env.PARAPET_BENCH_MB ?? 2048);
  if (!(megabytes >= 64)) throw new RangeError(`PARAPET_BENCH_MB expected >= 64, got ${megabytes}`);
  const scratch = mkdtempSync(join(tmpdir(), "bench-signing-"));
  const folder = join(scratch, "model");
  const output = join(scratch, "model.sig");
  const peer = await startPeer(folder, log);
  try {
    mkdirSync(folder);
    const piece = randomBytes(1 << 20);
    const each = Math.ceil(megabytes / files);
    for (let i = 0; i < files; i++) {
      const file = openSync(join(folder, `weights-${i}.bin`), "w");
      for (let at = 0; at < each; at++) writeSync(file, piece);
      closeSync(file);
    }
    const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
    const trust = { keys: [publicKey.pem] };
    const bytes = files * each * piece.length;
    const seconds = { sign: [] as number[], verify: [] as number[], reference: [] as number[], raw: [] as number[] };
    const time = async (work: () => unknown) => {
      const start = performance.now();
      await work();
      return (performance.now() - start) / 1000;
    };
    const memory = Buffer.concat(Array.from({ length: 256 }, () => piece));
    for (let round = 0; round <= rounds; round++) {
      signal.throwIfAborted();
      const one = {
        sign: await time(() => signFolder(folder, { signer, output, signal })),
        verify: await time(() => verifyFolder(folder, output, trust, { signal })),
        reference: (await peer?.run()) ?? Number.NaN,
        raw: ((await time(() => createHash("sha256").update(memory).digest())) * bytes) / memory.length / workers,
      };
      if (round === 0) continue; // warm up
      for (const what of ["sign", "verify", "reference", "raw"] as const) seconds[what].push(one[what]);
    }
    const small = memorySource("small", { w: new Uint8Array(10) });
    const bundle = await signModel(small, signer);
    const proofs: number[] = [];
    for (let i = 0; i < 200; i++) proofs.push(1000 * (await time(() => verifyBundle(bundle, trust))));
    const rate = (what: keyof typeof seconds) => rounded(bytes / 1e9 / median(seconds[what]));
    const to = (what: keyof typeof seconds, other: keyof typeof seconds) =>
      rounded(median(seconds[what].map((took, i) => seconds[other][i]! / took)));
    return {
      rows: (["sign", "verify"] as const).map((what) => ({
        what: `${what}, ${rounded(bytes / 1e9)} GB in ${files} files`,
        "parapet, GB/s": rate(what),
        "reference's hashing, GB/s": peer === undefined ? null : rate("reference"),
        "to the reference": peer === undefined ? null : to(what, "reference"),
        "raw SHA-256 on two cores, GB/s": rate("raw"),
        "part of raw": to(what, "raw"),
      })),
      summary: { "proving a P-256 bundle beyond hashing, ms": rounded(median(proofs)) },
    };
  } finally {
    peer?.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The reference, where there is a Python that has it. */
async function startPeer(folder: string, log: (line: string) => void) {
  const script = fileURLToPath(new URL("../peers/signing.py", import.meta.url));
  const python: ChildProcess = spawn(process.env.PARAPET_PYTHON ?? "python3", [script, folder, String(workers)], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const lines = createInterface({ input: python.stdout! })[Symbol.asyncIterator]();
  const failed = new Promise<undefined>((resolve) => {
    python.once("error", () => resolve(undefined));
    python.once("exit", () => resolve(undefined));
  });
  const first = await Promise.race([lines.next(), failed]);
  if (first?.value === undefined) {
    log("without the reference: no Python with model-signing (PARAPET_PYTHON names one)");
    return undefined;
  }
  log(`model-signing ${first.value}`);
  return {
    async run(): Promise<number> {
      python.stdin!.write("\n");
      return Number((await lines.next()).value);
    },
    close: () => python.kill(),
  };
}
