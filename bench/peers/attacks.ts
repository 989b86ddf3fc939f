import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { NdArray } from "@parapet/core";

export type Library = "foolbox" | "torchattacks" | "art" | "auto-attack";
export type NormName = "l0" | "l1" | "l2" | "linf";

/** One attack of a library; the rest are its options, by the names that `attacks.py` reads. */
export interface PeerAttack {
  readonly library: Library;
  readonly attack: string;
  readonly norm: NormName;
  /** The first so many images. */
  readonly rows: number;
  /** Images in one call. */
  readonly batch: number;
  readonly [option: string]: unknown;
}

export interface PeerFindings {
  /** For each image; null where the attack failed, 0 where the network was wrong already. */
  readonly distance: readonly (number | null)[];
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Images shown to the network, for one example. */
  readonly queries: number;
}

export interface AttackPeers {
  /** Of `torch` and of each library; null where it is not installed. */
  readonly versions: Readonly<Record<string, string | null>>;
  /** Gives PyTorch a network with these weights, and images with their classes. */
  open(network: "small" | "madry", weights: Float32Array, images: NdArray, labels: Int32Array): Promise<void>;
  logits(images: NdArray): Promise<readonly (readonly number[])[]>;
  /** The reference's standard AutoAttack on the first `rows` images: 1 for each that held. */
  auto(ask: {
    readonly checkout: string;
    readonly norm: NormName;
    readonly epsilon: number;
    readonly rows: number;
    /** Default 0. */
    readonly seed?: number;
  }): Promise<{ readonly robust: readonly number[]; readonly seconds: number; readonly log: readonly string[] }>;
  attack(ask: PeerAttack): Promise<PeerFindings>;
  close(): void;
}

/**
 * Foolbox, torchattacks, ART and AutoAttack on PyTorch with one thread, in a process of their own; undefined where Python has
 * no PyTorch. PARAPET_PYTHON says which Python.
 */
export async function startAttackPeers(): Promise<AttackPeers | undefined> {
  const script = fileURLToPath(new URL("attacks.py", import.meta.url));
  const child = spawn(process.env.PARAPET_PYTHON ?? "python3", [script], { stdio: ["pipe", "pipe", "ignore"] });
  const gone = new Promise<undefined>((resolve) => {
    child.once("error", () => resolve(undefined));
    child.once("exit", () => resolve(undefined));
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<Record<string, unknown>> => {
    const line = await Promise.race([lines.next(), gone]);
    if (line?.done !== false) throw new Error("Python has ended");
    const value = JSON.parse(line.value);
    if (value.error !== undefined) throw new Error(value.error);
    return value;
  };
  const ask = async <T>(request: Record<string, unknown>): Promise<T> => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    return (await answer()) as T;
  };
  const versions = await answer().catch(() => undefined);
  if (versions === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "parapet-attacks-"));
  const file = (name: string, { buffer, byteOffset, byteLength }: Float32Array): string => {
    const path = join(folder, name);
    writeFileSync(path, new Uint8Array(buffer, byteOffset, byteLength));
    return path;
  };
  return {
    versions: versions as Record<string, string | null>,
    async open(network, weights, images, labels) {
      const files = { weights: file("weights", weights), images: file("images", images.data) };
      await ask({ ask: "open", network, ...files, labels: [...labels] });
    },
    logits: async (images) =>
      (await ask<{ logits: number[][] }>({ ask: "logits", images: file("points", images.data) })).logits,
    auto: (request) => ask({ ask: "auto", ...request }),
    attack: (request) => ask({ ask: "attack", ...request }),
    close() {
      child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
