import { execFile } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { generateKeyPair } from "@parapet/attestation";
import { signFolder } from "@parapet/model-signing/node";

export const name = "signing-memory";

/** What a child process does with the model; see memory-of.ts. */
const ways = [
  "verifyFolder",
  "copy",
  "read",
  "fetch, not proven",
  "fetch, streamed",
  "fetch, streamed, length unknown",
] as const;

/**
 * How much memory proving a model of one large file takes beyond what the caller asked to hold, each way in a process of its own.
 * PARAPET_BENCH_MB (default 2048) is the size of the file.
 */
export async function run({ signal, log }: { readonly signal: AbortSignal; readonly log: (line: string) => void }) {
  const megabytes = Number(process.env.PARAPET_BENCH_MB ?? 2048);
  const scratch = mkdtempSync(join(tmpdir(), "bench-memory-"));
  try {
    const folder = join(scratch, "model");
    mkdirSync(folder);
    const piece = Buffer.alloc(1 << 20, 7);
    const file = openSync(join(folder, "weights.bin"), "w");
    for (let i = 0; i < megabytes; i++) writeSync(file, piece);
    closeSync(file);
    const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
    await signFolder(folder, { signer, output: join(scratch, "model.sig"), signal });
    const rows: { way: string; "asked to hold, MB": number; "peak beyond that, MB": number }[] = [];
    for (const way of ways) {
      signal.throwIfAborted();
      const child = fileURLToPath(new URL("../memory-of.ts", import.meta.url));
      const args = ["--import", "tsx", child, way, folder, join(scratch, "model.sig"), publicKey.pem];
      const { stdout } = await promisify(execFile)(process.execPath, args, { signal });
      const { before, peak, held } = JSON.parse(stdout) as { before: number; peak: number; held: number };
      rows.push({
        way,
        "asked to hold, MB": Math.round(held / 1e6),
        "peak beyond that, MB": Math.round((peak - before - held) / 1e6),
      });
      log(`${way}: done`);
    }
    return { rows, summary: { "size of the file, MiB": megabytes } };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
