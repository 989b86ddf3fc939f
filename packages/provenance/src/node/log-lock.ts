import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { checkNumber } from "@parapet/core";
import { createMutex } from "../log/storage.ts";
import { problem } from "../problem.ts";

// Each turn of the lock is a file with the next higher number, made by a link, of which only one can succeed. Its content says who holds
// it; when it is empty, the turn is over. The highest file stays, so that no number ever comes again: whoever was about to take a number
// that is long over finds a higher one beside it and gives way. So a dead holder's turn can be taken over without a moment in which two
// could.

/** Files of turns that are over and stay for a while. */
const KEPT = 16;

const readOr = <Value>(read: () => Value, otherwise: Value): Value => {
  try {
    return read();
  } catch {
    return otherwise;
  }
};

/** When a process began, in clock ticks since the machine did; a number that is used again does not begin at the same time. */
function beginOf(pid: number): string {
  const text = readOr(() => readFileSync(`/proc/${pid}/stat`, "latin1"), "");
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

/** Where a process number means something: this start of this machine, and this container. */
const placeOf = () =>
  [
    hostname(),
    readOr(() => readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim(), ""),
    readOr(() => readlinkSync("/proc/self/ns/pid"), ""),
  ].join(" ");

interface Holder {
  readonly pid: number;
  readonly begin: string;
  readonly place: string;
}

/** Whether the holder is certainly gone. On another machine, or in another container, that cannot be known. */
function isGone({ pid, begin, place }: Holder): boolean {
  const [host, boot, space] = place.split(" ");
  const [ourHost, ourBoot, ourSpace] = placeOf().split(" ");
  if (host !== ourHost) return false;
  if (boot !== ourBoot) return true;
  if (space !== ourSpace) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return true;
  }
  return begin !== beginOf(pid);
}

function holderOf(file: string): Holder | "over" | "unknown" {
  try {
    const text = readFileSync(file, "utf8");
    if (text === "") return "over";
    const { pid, begin, place } = JSON.parse(text) as Partial<Holder>;
    const isHolder = Number.isSafeInteger(pid) && typeof begin === "string" && typeof place === "string";
    return isHolder ? { pid: pid!, begin, place } : "unknown";
  } catch {
    return "unknown";
  }
}

/** A lock between processes, in a folder of its own. One that a dead process held is taken over. */
export function createFolderLock(
  folder: string,
  timeout = 30_000,
): <Result>(work: () => Promise<Result>) => Promise<Result> {
  checkNumber("lockTimeout", timeout, { min: 0 });
  const mutex = createMutex();
  const me = JSON.stringify({ pid: process.pid, begin: beginOf(process.pid), place: placeOf() });
  const fileOf = (turn: number) => join(folder, String(turn).padStart(16, "0"));
  const turns = () =>
    readdirSync(folder)
      .filter((name) => /^[0-9]{16}$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);

  /** The number of our turn, or undefined when it is another's. */
  function tryToTake(): number | undefined {
    mkdirSync(folder, { recursive: true });
    const last = turns().at(-1);
    if (last !== undefined) {
      const holder = holderOf(fileOf(last));
      if (holder !== "over" && (holder === "unknown" || !isGone(holder))) return undefined;
    }
    const turn = (last ?? 0) + 1;
    const draft = join(folder, `${process.pid}-${crypto.randomUUID()}`);
    writeFileSync(draft, me);
    try {
      linkSync(draft, fileOf(turn));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
      throw error;
    } finally {
      unlinkSync(draft);
    }
    const now = turns();
    if (now.at(-1) !== turn) {
      unlinkSync(fileOf(turn));
      return undefined;
    }
    for (const old of now) if (old < turn - KEPT) readOr(() => unlinkSync(fileOf(old)), undefined);
    return turn;
  }

  return (work) =>
    mutex(async () => {
      const end = performance.now() + timeout;
      let turn = tryToTake();
      for (let delay = 1; turn === undefined; delay = Math.min(2 * delay, 20)) {
        if (performance.now() > end) {
          const last = turns().at(-1) ?? 0;
          throw problem(
            "provenance/locked",
            `log expected its lock within ${timeout} ms, got it held by another process: if there is none, remove ${fileOf(last)}`,
          );
        }
        await wait(delay);
        turn = tryToTake();
      }
      try {
        return await work();
      } finally {
        truncateSync(fileOf(turn));
      }
    });
}
