import { equalBytes } from "@parapet/attestation";
import { createRng } from "@parapet/core";
import { memoryStorage } from "@parapet/provenance";
import { beforeAll, describe, expect, it } from "vitest";
import {
  acknowledged,
  afterKill,
  afterPowerLoss,
  type Disk,
  type Operation,
  recordingStorage,
} from "../helpers/disk.ts";
import { entriesOf, entryOf, open } from "../helpers/logs.ts";

// A recorded run of appends, killed at every boundary between two writes and within every write.
const runs = Number(process.env.PARAPET_FUZZ ?? 2000);
const steps = [1, 1, 2, 250, 1, 1, 1, 300, 5, 1];
const total = steps.reduce((sum, step) => sum + step, 0);
const operations: Operation[] = [];

beforeAll(async () => {
  const log = await open(recordingStorage(operations), { journalBytes: 2500 });
  let size = 0;
  for (const step of steps) {
    const { index } = await log.append(entriesOf(size, size + step));
    expect(index).toBe(size);
    size += step;
    operations.push({ kind: "acknowledged", count: size });
  }
  await log.close();
});

/** Opens what is left, and proves that nothing that was promised is missing. */
async function survives(disk: Disk, promised: number): Promise<void> {
  const log = await open(memoryStorage(disk), { journalBytes: 500 });
  const { size } = await log.check();
  expect(size).toBeGreaterThanOrEqual(promised);
  expect(size).toBeLessThanOrEqual(total);
  for (const index of [0, Math.floor(size / 2), size - 1]) {
    if (index >= 0 && index < size) expect(equalBytes(await log.entry(index), entryOf(index))).toBe(true);
  }
  const { index } = await log.append(entriesOf(size, size + 3));
  expect(index).toBe(size);
  await log.close();
  const again = await open(memoryStorage(disk));
  expect((await again.check()).size).toBe(size + 3);
  for (let i = Math.max(0, size - 20); i < size + 3; i++)
    expect(equalBytes(await again.entry(i), entryOf(i))).toBe(true);
}

describe("a log whose process is killed", () => {
  it("removes journals during the run: otherwise this proves too little", () => {
    const kinds = operations.map((operation) => operation.kind);
    expect(kinds.filter((kind) => kind === "remove").length).toBeGreaterThan(5);
    expect(kinds.filter((kind) => kind === "write").length).toBeGreaterThan(30);
    expect(kinds.indexOf("remove")).toBeLessThan(kinds.length / 2);
  });

  it("loses nothing at any boundary between two operations", { timeout: 120_000 }, async () => {
    for (let end = 0; end <= operations.length; end++) {
      const before = operations.slice(0, end);
      await survives(afterKill(before), acknowledged(before));
    }
  });

  it("loses nothing within any write", { timeout: 240_000 }, async () => {
    for (const [end, operation] of operations.entries()) {
      if (operation.kind !== "write") continue;
      const { name, data } = operation;
      const before = operations.slice(0, end);
      for (const length of new Set([0, 1, Math.floor(data.length / 2), data.length - 1])) {
        await survives(afterKill(before, { name, data: data.subarray(0, length) }), acknowledged(before));
      }
    }
  });
});

describe("a log whose machine loses power", () => {
  it("loses nothing that was made durable, whatever else reached the disk", { timeout: 240_000 }, async () => {
    const rng = createRng("power");
    for (let run = 0; run < runs / 4; run++) {
      const before = operations.slice(0, rng.integer(operations.length + 1));
      await survives(
        afterPowerLoss(before, (n) => (n === 0 ? 0 : rng.integer(n))),
        acknowledged(before),
      );
    }
  });
});

describe("a log whose storage fails", () => {
  it("rejects what it could not store, and goes on", { timeout: 120_000 }, async () => {
    for (let failing = 0; failing < 60; failing++) {
      const disk: Disk = new Map();
      let calls = 0;
      const fail = () => {
        if (calls++ === failing) throw new Error("no space left");
      };
      const plain = memoryStorage(disk);
      const storage: typeof plain = {
        ...plain,
        async write(objects) {
          for (const object of objects) {
            fail();
            await plain.write([object]);
          }
        },
        async replace(object) {
          fail();
          await plain.replace(object);
        },
        async sync(names) {
          fail();
          await plain.sync(names);
        },
      };
      const log = await open(storage, { journalBytes: 1e9 }).catch(() => open(storage, { journalBytes: 1e9 }));
      let rejected = 0;
      for (const batch of [1, 3, 260, 2, 1]) {
        const entries = Array.from({ length: batch }, (_, i) => entryOf(i));
        const { index } = await log.append(entries).catch(() => {
          rejected++;
          return { index: -1 };
        });
        if (index >= 0) expect(equalBytes(await log.entry(index + batch - 1), entryOf(batch - 1))).toBe(true);
      }
      const { size } = await log.check();
      expect(rejected).toBeLessThanOrEqual(1);
      expect(size).toBeGreaterThanOrEqual(7);
      expect((await (await open(memoryStorage(disk))).check()).size).toBe(size);
    }
  });
});
