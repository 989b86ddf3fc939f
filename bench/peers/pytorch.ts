import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** What is timed: `runs` times, after `warmup` more. */
export interface Work {
  readonly network: "small" | "madry" | "resnet18";
  readonly work: "input gradient" | "training step, sgd" | "training step, adam";
  readonly batch: number;
  readonly threads: 1 | 2;
}

export interface Peer {
  readonly version: string;
  time(work: Work & { readonly runs: number; readonly warmup: number }): Promise<number[]>;
  close(): void;
}

/** PyTorch in a process of its own, or undefined where Python has none; PARAPET_PYTHON says which Python. */
export async function startPyTorch(): Promise<Peer | undefined> {
  const script = fileURLToPath(new URL("engines.py", import.meta.url));
  const child = spawn(process.env.PARAPET_PYTHON ?? "python3", [script], { stdio: ["pipe", "pipe", "ignore"] });
  const gone = new Promise<undefined>((resolve) => {
    child.once("error", () => resolve(undefined));
    child.once("exit", () => resolve(undefined));
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<Record<string, unknown>> => {
    const line = await Promise.race([lines.next(), gone]);
    if (line?.done !== false) throw new Error("PyTorch has ended");
    return JSON.parse(line.value);
  };
  const first = await answer().catch(() => undefined);
  if (first === undefined) return undefined;
  return {
    version: String(first.version),
    async time(work) {
      child.stdin.write(`${JSON.stringify(work)}\n`);
      return (await answer()).times as number[];
    },
    close: () => void child.kill(),
  };
}
