import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { proveMembership, readManifest, verifyMembership } from "@parapet/provenance";
import { datasetOfFolder, filePieces, recordOfFile } from "@parapet/provenance/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "folder-"));
});
afterEach(() => rmSync(folder, { recursive: true }));
const put = (name: string, text: string) => {
  mkdirSync(join(folder, name, ".."), { recursive: true });
  writeFileSync(join(folder, name), text);
};
const refused = (code: string) => expect(datasetOfFolder(folder, { name: "x" })).rejects.toMatchObject({ code });
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

describe("datasetOfFolder", () => {
  it("commits to each file, in the order of the bytes of the names", async () => {
    const files = { "b.txt": "b", "a/z.txt": "z", "a.txt": "", "\u{1f600}.txt": "smile", "\uff5e.txt": "wave" };
    for (const [name, text] of Object.entries(files)) put(name, text);
    const dataset = await datasetOfFolder(folder, { name: "files", listFiles: true });
    const order = ["a.txt", "a/z.txt", "b.txt", "\uff5e.txt", "\u{1f600}.txt"] as const;
    const expected = order.map((name) => ({ name, size: Buffer.byteLength(files[name]), sha256: sha256(files[name]) }));
    expect(dataset.manifest.files).toEqual(expected);
    expect(readManifest(JSON.stringify(dataset.manifest))).toEqual(dataset.manifest);
    for (const [i, record] of expected.entries()) {
      expect(verifyMembership(proveMembership(dataset, i), record, dataset.manifest).index).toBe(i);
      expect(await recordOfFile(join(folder, record.name), record.name)).toEqual(record);
    }
  });

  it("says nothing of the files' contents unless it is asked to", async () => {
    for (const name of ["a", "b", "c", "d"]) put(name, "the same secret");
    const { manifest } = await datasetOfFolder(folder, { name: "files" });
    expect(JSON.stringify(manifest)).not.toContain(sha256("the same secret"));
    expect([manifest.records, manifest.files, manifest.statistics]).toEqual([4, undefined, undefined]);
  });

  it("hashes files larger than a piece", async () => {
    const text = "0123456789".repeat(300_000);
    put("large", text);
    const { manifest } = await datasetOfFolder(folder, { name: "x", listFiles: true });
    expect(manifest.files).toEqual([{ name: "large", size: 3_000_000, sha256: sha256(text) }]);
    let length = 0;
    for await (const piece of filePieces(join(folder, "large"))) length += piece.length;
    expect(length).toBe(3_000_000);
  });

  it("refuses links, to files, to folders, to nothing, and out of it", async () => {
    put("real/a", "a");
    for (const target of ["real/a", "real", "nowhere", "/etc/passwd", ".."]) {
      symlinkSync(target, join(folder, "link"));
      await refused("provenance/unsupported");
      rmSync(join(folder, "link"));
    }
    expect((await datasetOfFolder(folder, { name: "x" })).manifest.records).toBe(1);
    symlinkSync("real/a", join(folder, "link"));
    await expect(recordOfFile(join(folder, "link"), "a")).rejects.toMatchObject({ code: "provenance/unsupported" });
    await expect(recordOfFile(join(folder, "none"), "a")).rejects.toMatchObject({ code: "provenance/missing" });
    await expect(recordOfFile(join(folder, "real"), "a")).rejects.toMatchObject({ code: "provenance/unsupported" });
  });

  it.skipIf(process.platform === "win32")("refuses a pipe, and does not wait for it", async () => {
    const command = "mkfifo";
    execFileSync(command, [join(folder, "pipe")]);
    await refused("provenance/unsupported");
    const path = join(folder, "pipe");
    const unsupported = { code: "provenance/unsupported" };
    await expect(filePieces(path).next()).rejects.toMatchObject(unsupported);
    await expect(recordOfFile(path, "a")).rejects.toMatchObject(unsupported);
  });

  it.each(["a\\b", "a\nb", "a\u202eb", "a\u200bb"])("refuses the name %j", async (name) => {
    put(name, "a");
    await refused("provenance/unsupported");
  });

  it("refuses a name that is not UTF-8", async () => {
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.of(0xff)]), "a");
    await refused("provenance/unsupported");
  });

  it("refuses names that differ in case or composition only", async () => {
    put("\u00e9", "a");
    put("e\u0301", "b");
    await refused("provenance/unsupported");
  });

  it("refuses folders too deep, what is no folder, and nothing", async () => {
    put(`${"d/".repeat(70)}a`, "a");
    await refused("provenance/too-large");
    put("file", "a");
    await expect(datasetOfFolder(join(folder, "file"), { name: "x" })).rejects.toThrow(TypeError);
    await expect(datasetOfFolder(join(folder, "no"), { name: "x" })).rejects.toMatchObject({
      code: "provenance/missing",
    });
  });

  it("notices a file that changes between being listed and being read", async () => {
    for (const name of ["a", "b"]) put(name, name);
    const work = datasetOfFolder(folder, {
      name: "x",
      rng: {
        bytes: (n) => {
          put("b", "other"); // asked for with the first record: "b" is still to be read
          return new Uint8Array(n).fill(1);
        },
      },
    });
    await expect(work).rejects.toMatchObject({ code: "provenance/changed" });
  });

  it("stops when it is told to", async () => {
    put("a", "a");
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(datasetOfFolder(folder, { name: "x", signal })).rejects.toThrow("enough");
  });
});
