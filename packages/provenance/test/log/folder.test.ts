import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromUtf8 } from "@parapet/attestation";
import { folderStorage } from "@parapet/provenance/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFolderLock } from "../../src/node/log-lock.ts";
import { codeOf } from "../helpers/keys.ts";
import { entriesOf, open } from "../helpers/logs.ts";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const script = fileURLToPath(new URL("./fuzz-worker.ts", import.meta.url));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "parapet-log-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Starts a process that appends, and collects what it was promised; it is killed after so many lines. */
async function append(name: string, count: number, killAfter = Number.POSITIVE_INFINITY): Promise<string[]> {
  const child = spawn(
    process.execPath,
    ["--conditions=@parapet/source", "--import", "tsx", script, folder, name, String(count)],
    { cwd: root, stdio: ["ignore", "pipe", "inherit"] },
  );
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (text.split("\n").length > killAfter) child.kill("SIGKILL");
  });
  await new Promise((resolve) => child.once("close", resolve));
  // The last line may be a part of one.
  return text.split("\n").slice(0, -1);
}

/** Proves that what a process was promised is there. */
async function check(promises: readonly (readonly [name: string, lines: readonly string[]])[]): Promise<number> {
  const log = await open(folderStorage(folder));
  const { size } = await log.check();
  let promised = 0;
  for (const [name, lines] of promises) {
    for (const line of lines) {
      const [index, i, length] = line.split(" ").map(Number);
      if (length === undefined) continue;
      for (let k = 0; k < length; k++) expect(fromUtf8(await log.entry(index! + k))).toBe(`${name} ${i} ${k}`);
      promised += length;
    }
  }
  expect(size).toBeGreaterThanOrEqual(promised);
  await log.close();
  expect(readdirSync(join(folder, "journal"))).toEqual([]);
  return size - promised;
}

describe("a log in a folder", () => {
  it("lies there as a static host serves it, and in nothing else once it is closed", async () => {
    const log = await open(folderStorage(folder));
    for (const [start, end] of [
      [0, 1],
      [1, 2],
      [2, 300],
      [300, 600],
    ] as const)
      await log.append(entriesOf(start, end));
    await log.close();
    const files = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(folder.length + 1)
          .replaceAll("\\", "/"),
      )
      .filter((name) => !name.startsWith("lock/"));
    expect(files.sort()).toEqual([
      "checkpoint",
      "tile/0/000",
      "tile/0/001",
      "tile/0/002.p/88",
      "tile/1/000.p/1",
      "tile/1/000.p/2",
      "tile/entries/000",
      "tile/entries/001",
      "tile/entries/002.p/88",
    ]);
    expect(readFileSync(join(folder, "checkpoint"), "utf8").split("\n").slice(0, 2)).toEqual([
      "example.com/log",
      "600",
    ]);
    expect((await (await open(folderStorage(folder))).check()).size).toBe(600);
  });

  it("names no file outside the folder", async () => {
    const storage = folderStorage(folder);
    for (const name of ["../x", "/x", "a/../../x", "a\\..\\x", "", ".", "tile/./x", "a\0b"]) {
      expect(await codeOf(storage.write([{ name, data: new Uint8Array() }]))).toBe("TypeError");
      expect(await codeOf(storage.read(name))).toBe("TypeError");
    }
    expect(() => folderStorage("")).toThrow(TypeError);
  });

  it("keeps what several processes append at once, and all that one of them was promised before it was killed", {
    timeout: 120_000,
  }, async () => {
    const [one, two, three] = await Promise.all([append("one", 40), append("two", 40), append("three", 400, 25)]);
    expect([one?.at(-1), two?.at(-1)]).toEqual(["closed", "closed"]);
    expect(three?.at(-1)).not.toBe("closed");
    const more = await check([
      ["one", one!],
      ["two", two!],
      ["three", three!],
    ]);
    expect(more).toBeLessThanOrEqual(5);
  });

  it("keeps what was promised by processes that were killed one after another", { timeout: 120_000 }, async () => {
    const promises: [string, string[]][] = [];
    for (const killAfter of [2, 5, 13]) promises.push([`p${killAfter}`, await append(`p${killAfter}`, 400, killAfter)]);
    await check(promises);
  });
});

describe("the lock of a folder", () => {
  const file = () => join(folder, "lock", "0000000000000007");
  const put = (text: string) => {
    mkdirSync(join(folder, "lock"), { recursive: true });
    writeFileSync(file(), text);
  };
  /** What a holder on this machine writes. */
  const holder = async (): Promise<{ pid: number; begin: string; place: string }> => {
    const elsewhere = join(folder, "other");
    return createFolderLock(elsewhere)(async () =>
      JSON.parse(readFileSync(join(elsewhere, readdirSync(elsewhere)[0]!), "utf8")),
    );
  };

  it("is held by one at a time, across places that do not know of each other", async () => {
    const locks = [1, 2, 3].map(() => createFolderLock(join(folder, "lock")));
    let inside = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 1));
      inside--;
    };
    await Promise.all(Array.from({ length: 60 }, (_, i) => locks[i % 3]!(work)));
    expect([inside, most]).toEqual([0, 1]);
    expect(readdirSync(join(folder, "lock")).length).toBeLessThan(20);
  });

  it("is taken over from a process that is gone, also when its number was given to another, and from before the machine started", async () => {
    const me = await holder();
    const gone = spawnSync(process.execPath, ["-e", ""]).pid;
    const isLinux = process.platform === "linux";
    put(JSON.stringify({ ...me, pid: gone }));
    expect(await createFolderLock(join(folder, "lock"), 0)(async () => 5)).toBe(5);
    if (!isLinux) return;
    for (const other of [
      { ...me, begin: "1" },
      { ...me, place: me.place.replace(/ [^ ]+ /, " another ") },
    ]) {
      rmSync(join(folder, "lock"), { recursive: true });
      put(JSON.stringify(other));
      expect(await createFolderLock(join(folder, "lock"), 0)(async () => 5)).toBe(5);
    }
  });

  it("is not taken over from a process that lives, and let go when the work fails", async () => {
    put(JSON.stringify(await holder()));
    const lock = createFolderLock(join(folder, "lock"), 0);
    expect(await codeOf(lock(async () => 5))).toBe("provenance/locked");
    writeFileSync(file(), "");
    await expect(lock(() => Promise.reject(new Error("work")))).rejects.toThrow("work");
    expect(await lock(async () => 6)).toBe(6);
  });

  it.each([
    ["something that is not readable", "{"],
    ["another machine", JSON.stringify({ pid: 1, begin: "1", place: "elsewhere boot space" })],
    ["something else", JSON.stringify({ pid: "1", begin: 1, place: {} })],
  ])("is not taken over from %s", async (_, text) => {
    put(text);
    expect(await codeOf(createFolderLock(join(folder, "lock"), 0)(async () => 5))).toBe("provenance/locked");
  });
});
