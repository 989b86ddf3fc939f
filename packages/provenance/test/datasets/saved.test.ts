import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createDataset,
  type Dataset,
  eraseRecord,
  isErased,
  manifestId,
  proveMembership,
  verifyMembership,
} from "@parapet/provenance";
import { eraseSavedRecord, nodeHash256, openDataset, saveDataset } from "@parapet/provenance/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { portableHash } from "../../src/merkle/tree.ts";

let folder: string;
let dataset: Dataset;
const path = (name: string) => join(folder, name);
const rows = [{ a: 1 }, { a: 2 }, { a: 3 }];

beforeEach(async () => {
  folder = join(mkdtempSync(join(tmpdir(), "saved-")), "dataset");
  dataset = await createDataset(rows, { name: "saved" });
  await saveDataset(folder, dataset);
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true }));

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "opened",
    (error) => (error as { code?: string }).code ?? String(error),
  );

/** Opens the dataset after each change of a file's bytes, and puts them back. */
async function codesAfter(name: string, edits: (bytes: Buffer) => Iterable<Uint8Array>, id?: string) {
  const original = readFileSync(path(name));
  const codes = new Map<string, number>();
  for (const bytes of edits(original)) {
    if (original.equals(bytes)) continue;
    writeFileSync(path(name), bytes);
    const code = await codeOf(openDataset(folder, id === undefined ? {} : { id }));
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  writeFileSync(path(name), original);
  expect(await codeOf(openDataset(folder))).toBe("opened");
  return Object.fromEntries(codes);
}

/** Every bit, every cut at both ends, every byte taken out or doubled, every piece of 32 or 36 bytes moved. */
function* everyEdit(bytes: Buffer): Generator<Uint8Array> {
  for (let i = 0; i < bytes.length; i++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[i]! ^= 1 << bit;
      yield changed;
    }
    yield bytes.subarray(0, i);
    yield bytes.subarray(i + 1);
    yield Buffer.concat([bytes.subarray(0, i), bytes.subarray(i + 1)]);
    yield Buffer.concat([bytes.subarray(0, i), bytes.subarray(i, i + 1), bytes.subarray(i)]);
  }
  for (const width of [1, 32, 36]) {
    for (let a = 0; a + width <= bytes.length; a += width) {
      for (let b = a + width; b + width <= bytes.length; b += width === 1 ? 29 : width) {
        const moved = Buffer.from(bytes);
        bytes.copy(moved, a, b, b + width);
        bytes.copy(moved, b, a, a + width);
        yield moved;
      }
      if (width > 1) yield Buffer.concat([bytes.subarray(0, a), bytes.subarray(a + width)]);
    }
  }
  yield Buffer.concat([bytes, bytes]);
  yield Buffer.concat([bytes, Buffer.from("\n")]);
}

describe("a saved dataset", () => {
  it("comes back, with salts for its owner only", async () => {
    const opened = await openDataset(folder, { id: manifestId(dataset.manifest) });
    expect(opened).toEqual(dataset);
    expect(statSync(path("salts.bin")).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).sort()).toEqual(["commitments.bin", "manifest.json", "salts.bin"]);
    expect(await codeOf(openDataset(folder, { id: `sha256:${"0".repeat(64)}` }))).toBe("provenance/changed");
    await expect(saveDataset(folder, dataset)).rejects.toThrow(RangeError);
    await expect(saveDataset(join(folder, "b"), { ...dataset, salts: dataset.salts.slice(1) })).rejects.toThrow(
      TypeError,
    );
  });

  it("may be empty", async () => {
    const none = await createDataset([], { name: "none" });
    await saveDataset(join(folder, "none"), none);
    expect(await openDataset(join(folder, "none"))).toEqual(none);
  });

  it("shows every change of its manifest", { timeout: 120_000 }, async () => {
    const codes = await codesAfter("manifest.json", everyEdit);
    expect(Object.keys(codes).sort()).toEqual(["provenance/changed", "provenance/malformed"]);
  });

  it("shows every change of its commitments", { timeout: 120_000 }, async () => {
    expect(Object.keys(await codesAfter("commitments.bin", everyEdit))).toEqual(["provenance/changed"]);
  });

  it("shows every change of its salts", { timeout: 120_000 }, async () => {
    expect(Object.keys(await codesAfter("salts.bin", everyEdit))).toEqual(["provenance/changed"]);
  });

  it("shows a manifest and commitments that were both changed, by its identity", async () => {
    const id = manifestId(dataset.manifest);
    const other = join(folder, "other");
    await saveDataset(other, await createDataset(rows, { name: "saved" }));
    for (const name of ["manifest.json", "commitments.bin", "salts.bin"]) renameSync(join(other, name), path(name));
    expect(await codeOf(openDataset(folder))).toBe("opened");
    expect(await codeOf(openDataset(folder, { id }))).toBe("provenance/changed");
  });

  it("shows a file that is missing, a link, a folder, and another one's file", async () => {
    for (const name of ["manifest.json", "commitments.bin", "salts.bin"]) {
      renameSync(path(name), path("kept"));
      expect(await codeOf(openDataset(folder))).toBe("provenance/missing");
      symlinkSync(path("kept"), path(name));
      expect(await codeOf(openDataset(folder))).toBe("provenance/unsupported");
      rmSync(path(name));
      mkdirSync(path(name));
      expect(await codeOf(openDataset(folder))).toBe("provenance/unsupported");
      rmSync(path(name), { recursive: true });
      renameSync(path("kept"), path(name));
    }
    const other = join(folder, "other");
    await saveDataset(other, await createDataset(rows, { name: "other" }));
    for (const name of ["manifest.json", "commitments.bin"]) {
      const original = readFileSync(path(name));
      writeFileSync(path(name), readFileSync(join(other, name)));
      expect(await codeOf(openDataset(folder))).toBe("provenance/changed");
      writeFileSync(path(name), original);
    }
    expect(await codeOf(openDataset(join(folder, "nowhere")))).toBe("provenance/missing");
  });
});

describe("erasing in place", () => {
  it("takes the salt from the disk, and leaves the others and the identity", async () => {
    const { ino } = statSync(path("salts.bin"));
    const salt = Buffer.from(dataset.salts.slice(32, 64));
    expect(readFileSync(path("salts.bin")).includes(salt)).toBe(true);
    await eraseSavedRecord(folder, 1);
    await eraseSavedRecord(folder, 1);
    expect(readFileSync(path("salts.bin")).includes(salt)).toBe(false);
    expect(statSync(path("salts.bin")).ino).toBe(ino); // the same file: no copy of the salt is left in a replaced one
    const opened = await openDataset(folder, { id: manifestId(dataset.manifest) });
    eraseRecord(dataset, 1);
    expect(opened).toEqual(dataset);
    expect([0, 1, 2].map((i) => isErased(opened, i))).toEqual([false, true, false]);
    expect(verifyMembership(proveMembership(opened, 2), rows[2]!, opened.manifest).index).toBe(2);
    await saveDataset(join(folder, "again"), opened);
    expect(await openDataset(join(folder, "again"))).toEqual(opened);
  });

  it("mends one that was cut off after any byte", async () => {
    const original = readFileSync(path("salts.bin"));
    for (let cut = 1; cut < 36; cut++) {
      const torn = Buffer.from(original);
      torn.fill(0, 36, 36 + cut);
      writeFileSync(path("salts.bin"), torn);
      const code = await codeOf(openDataset(folder));
      expect(["provenance/changed", torn.equals(original) ? "opened" : ""]).toContain(code);
      await eraseSavedRecord(folder, 1);
      expect(isErased(await openDataset(folder), 1)).toBe(true);
      writeFileSync(path("salts.bin"), original);
    }
  });

  it("refuses records that are not there, and files that are not as they were", async () => {
    for (const index of [-1, 3, 0.5]) await expect(eraseSavedRecord(folder, index)).rejects.toThrow(RangeError);
    appendFileSync(path("salts.bin"), "x");
    expect(await codeOf(eraseSavedRecord(folder, 0))).toBe("provenance/changed");
    rmSync(path("salts.bin"));
    expect(await codeOf(eraseSavedRecord(folder, 0))).toBe("provenance/missing");
    symlinkSync(path("commitments.bin"), path("salts.bin"));
    expect(await codeOf(eraseSavedRecord(folder, 0))).toBe("provenance/unsupported");
  });

  it("leaves no part of a file, and no manifest, where it cannot write one of them", async () => {
    const other = join(folder, "other");
    mkdirSync(join(other, "commitments.bin", "full"), { recursive: true });
    await expect(saveDataset(other, dataset)).rejects.toThrow();
    expect(readdirSync(other).sort()).toEqual(["commitments.bin", "salts.bin"]);
    expect(await codeOf(openDataset(other))).toBe("provenance/missing");
  });
});

describe("nodeHash256", () => {
  it("is the portable hash, in memory of its own", () => {
    for (const length of [0, 1, 55, 56, 64, 1000]) {
      const bytes = Uint8Array.from({ length }, (_, i) => i % 256);
      expect(nodeHash256(bytes)).toEqual(portableHash(bytes));
      expect(nodeHash256(bytes).constructor).toBe(Uint8Array);
    }
  });
});
