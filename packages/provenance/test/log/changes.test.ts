import { createRng } from "@parapet/core";
import { memoryStorage, openLog } from "@parapet/provenance";
import { beforeAll, describe, expect, it } from "vitest";
import { createNodeHasher } from "../../src/node/log-hasher.ts";
import type { Disk } from "../helpers/disk.ts";
import type { verifierOf } from "../helpers/keys.ts";
import { entriesOf, open, signer } from "../helpers/logs.ts";

// Everything that can be done to the objects of a log, short of putting back all of it: each must be found.
const runs = Number(process.env.PARAPET_FUZZ ?? 2000);
const hasher = createNodeHasher();
let small: Disk;
let large: Disk;
let verifier: Awaited<ReturnType<typeof verifierOf>>;

async function make(steps: readonly number[]): Promise<Disk> {
  const disk: Disk = new Map();
  const log = await open(memoryStorage(disk));
  for (const [i, step] of steps.entries()) await log.append(entriesOf(1000 * i, 1000 * i + step));
  await log.close();
  return disk;
}

beforeAll(async () => {
  small = await make([3]);
  large = await make([300, 400]);
  const { noteVerifier } = await import("@parapet/provenance");
  verifier = await noteVerifier(signer.text);
});

/** The code with which a log is refused, by whoever may only read it, or "accepted". */
async function outcome(disk: Disk): Promise<string> {
  try {
    await (await openLog({ ...memoryStorage(disk), hasher }, { verifier })).check();
    return "accepted";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** The same by whoever writes to it. */
async function outcomeForWriter(disk: Disk): Promise<string> {
  try {
    await (await open(memoryStorage(new Map(disk)))).check();
    return "accepted";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const found = /^provenance\/(changed|missing)$/;
const withObject = (disk: Disk, name: string, data: Uint8Array | undefined): Disk => {
  const other = new Map(disk);
  if (data === undefined) other.delete(name);
  else other.set(name, data);
  return other;
};

describe("changes to a log", () => {
  it("accepts what nobody changed", async () => {
    for (const disk of [small, large]) {
      expect(await outcome(disk)).toBe("accepted");
      expect(await outcomeForWriter(disk)).toBe("accepted");
    }
    expect([...small.keys()].sort()).toEqual(["checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"]);
  });

  it("finds every other value of every byte of a small log", { timeout: 240_000 }, async () => {
    for (const [name, data] of small) {
      for (let at = 0; at < data.length; at++) {
        for (let value = 0; value < 256; value++) {
          if (value === data[at]) continue;
          const other = data.slice();
          other[at] = value;
          const code = await outcome(withObject(small, name, other));
          if (!found.test(code)) expect([name, at, value, code]).toEqual([]);
        }
      }
    }
  });

  it("finds every removed, added or doubled byte, every truncation, removal and swap", {
    timeout: 120_000,
  }, async () => {
    const expectFound = async (what: unknown, disk: Disk) => {
      for (const code of [await outcome(disk), await outcomeForWriter(disk)]) {
        if (!found.test(code)) expect([what, code]).toEqual([]);
      }
    };
    for (const [name, data] of small) {
      await expectFound([name, "gone"], withObject(small, name, undefined));
      for (let at = 0; at < data.length; at++) {
        const without = Uint8Array.from([...data.subarray(0, at), ...data.subarray(at + 1)]);
        await expectFound([name, at, "removed"], withObject(small, name, without));
        await expectFound([name, at, "cut"], withObject(small, name, data.slice(0, at)));
        const more = Uint8Array.from([...data.subarray(0, at), data[at]!, ...data.subarray(at)]);
        await expectFound([name, at, "doubled"], withObject(small, name, more));
      }
      await expectFound([name, "longer"], withObject(small, name, Uint8Array.from([...data, 0])));
      for (const [other, bytes] of small) {
        if (other !== name) await expectFound([name, other], withObject(withObject(small, name, bytes), other, data));
      }
    }
    await expectFound("added", withObject(small, "tile/0/000.p/4", new Uint8Array(128)));
    await expectFound("added", withObject(small, "tile/1/000.p/1", new Uint8Array(32)));
    await expectFound("added", withObject(small, "tile/entries/001", new Uint8Array(512)));
    await expectFound("added", withObject(small, "tile/nothing", new Uint8Array(1)));
    await expectFound(
      "added",
      withObject(small, "journal/0000000000000003", new Uint8Array(1)).set("checkpoint", new Uint8Array(1)),
    );
  });

  it("finds random changes to a larger one", { timeout: 240_000 }, async () => {
    const rng = createRng("changes");
    const names = [...large.keys()];
    // Tiles that a wider one replaced may go: a log removes them itself.
    const isSpare = (name: string) => {
      const [, base] = /^(.*)\.p\/\d+$/.exec(name) ?? [];
      return (
        base !== undefined &&
        names.some(
          (other) => other === base || (other.startsWith(`${base}.p/`) && other.length >= name.length && other > name),
        )
      );
    };
    for (let run = 0; run < runs; run++) {
      const name = names[rng.integer(names.length)]!;
      const data = large.get(name)!;
      const [at, to] = [rng.integer(data.length), rng.integer(data.length)];
      const [from, until] = [Math.min(at, to), Math.max(at, to)];
      const kinds: Record<string, () => Uint8Array | undefined> = {
        bit: () => data.map((byte, i) => (i === at ? byte ^ (1 << rng.integer(8)) : byte)),
        cut: () => data.slice(0, at),
        gone: () => undefined,
        removed: () => Uint8Array.from([...data.subarray(0, from), ...data.subarray(until + 1)]),
        reversed: () =>
          Uint8Array.from([
            ...data.subarray(0, from),
            ...data
              .subarray(from, until + 1)
              .slice()
              .reverse(),
            ...data.subarray(until + 1),
          ]),
        other: () => large.get(names[rng.integer(names.length)]!)!,
        longer: () => Uint8Array.from([...data, ...data.subarray(at)]),
        zeros: () => data.map((byte, i) => (i >= from && i <= until ? 0 : byte)),
      };
      const kind = Object.keys(kinds)[rng.integer(8)]!;
      const changed = kinds[kind]!();
      if (changed !== undefined && Buffer.compare(changed, data) === 0) continue;
      if (changed === undefined && isSpare(name)) continue;
      const code = await outcome(withObject(large, name, changed));
      if (!found.test(code)) expect([run, name, kind, at, to, code]).toEqual([]);
    }
  });

  it("never gives out a changed entry or a proof by changed tiles", async () => {
    for (const [name, data] of large) {
      if (!name.startsWith("tile/")) continue;
      for (let at = 0; at < data.length; at += 97) {
        const other = data.slice();
        other[at]! ^= 1;
        const log = await openLog({ ...memoryStorage(withObject(large, name, other)), hasher }, { verifier }).catch(
          () => undefined,
        );
        if (log === undefined) continue;
        for (const index of [0, 255, 256, 511, 512, 699]) {
          const entry = await log.entry(index).catch((error) => error);
          const wanted = entriesOf(index < 300 ? index : 700 + index, (index < 300 ? index : 700 + index) + 1)[0]!;
          if (!(entry instanceof Uint8Array)) expect(entry.code).toMatch(/changed|missing/);
          else expect(entry.join()).toBe(wanted.join());
        }
      }
    }
  });
});

describe("putting back all of a log", () => {
  it("cannot be seen without a memory, whoever looks", async () => {
    const disk: Disk = new Map();
    const log = await open(memoryStorage(disk));
    await log.append(entriesOf(0, 5));
    await log.close();
    const old = new Map(disk);
    const later = await open(memoryStorage(disk));
    await later.append(entriesOf(5, 9));
    await later.close();
    expect(await outcome(old)).toBe("accepted");
    expect(await outcomeForWriter(old)).toBe("accepted");
    // Only the checkpoint of it is not enough.
    expect(await outcome(withObject(disk, "checkpoint", old.get("checkpoint")))).toMatch(found);
    expect(await outcomeForWriter(withObject(disk, "checkpoint", old.get("checkpoint")))).toMatch(found);
  });
});
