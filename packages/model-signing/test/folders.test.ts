import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateKeyPair, type KeyPair } from "@parapet/attestation";
import { signFolder, verifyFolder } from "@parapet/model-signing/node";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { nodeHashers } from "../src/node/hashers.ts";

let pair: KeyPair;
let scratch: string;
let folder: string;
let output: string;
beforeAll(async () => {
  pair = await generateKeyPair("ecdsa-p256-sha256");
});
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "signing-"));
  folder = join(scratch, "model");
  output = join(folder, "model.sig");
  mkdirSync(join(folder, "sub"), { recursive: true });
  writeFileSync(join(folder, "weights.bin"), Buffer.alloc(3 << 20, 7));
  writeFileSync(join(folder, "sub", "vocab.txt"), "a\n");
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));
const sign = (options = {}) => signFolder(folder, { signer: pair.signer, output, ...options });
const verify = (options = {}) => verifyFolder(folder, output, { keys: [pair.publicKey.pem] }, options);

describe("folders", () => {
  it.each(["sha256", "blake2b", "blake3"] as const)("are signed and proven: %s, files and shards", async (hash) => {
    for (const method of ["files", "shards"] as const) {
      await sign({ hash, method, shardSize: 1 << 20 });
      expect((await verify()).resources.length).toBe(method === "files" ? 2 : 4);
    }
    expect(readdirSync(folder).sort()).toEqual(["model.sig", "sub", "weights.bin"]);
  });

  it.each(["sha256", "blake2b"] as const)(
    "large ones in threads, with the same result, and an end when they are stopped: %s",
    async (hash) => {
      for (const name of ["a.bin", "b.bin", "sub/c.bin"])
        writeFileSync(join(folder, name), Buffer.alloc(30 << 20, name.length));
      const seen: number[] = [];
      const onProgress = ({ done, total }: { done: number; total: number }) => seen.push(done / total);
      const inThreads = JSON.parse(await sign({ hash, onProgress })).dsseEnvelope.payload;
      expect([seen.at(-1), seen.length > 5]).toEqual([1, true]);
      expect(JSON.parse(await sign({ hash, hashers: nodeHashers })).dsseEnvelope.payload).toBe(inThreads);
      expect((await verify()).resources.length).toBe(5);
      await sign({ hash, method: "shards", shardSize: 20 << 20 });
      writeFileSync(join(folder, "b.bin"), Buffer.alloc(30 << 20, 6));
      await expect(verify()).rejects.toMatchObject({ code: "model-signing/changed" });
      const controller = new AbortController();
      const stopping = { signal: controller.signal, onProgress: () => controller.abort(new Error("enough")) };
      await expect(sign({ hash, ...stopping })).rejects.toThrow("enough");
    },
    60_000,
  );

  it("the signature is no part of the model, wherever it lies; a second one is", async () => {
    await sign();
    await sign({ output: join(scratch, "other.sig") }); // model.sig is now signed as a file
    await expect(verify()).resolves.toBeDefined();
    writeFileSync(join(folder, "model2.sig"), "");
    await expect(verify()).rejects.toMatchObject({ code: "model-signing/unsigned" });
  });

  it("a file alone", async () => {
    const file = join(folder, "weights.bin");
    await signFolder(file, { signer: pair.signer, output });
    const proven = await verifyFolder(file, output, { keys: [pair.publicKey.pem] });
    expect(proven.resources.map(({ name }) => name)).toEqual(["weights.bin"]);
  });

  it("links are refused, or followed to files inside when that is allowed; never out of the model, nor to folders", async () => {
    const link = join(folder, "link");
    symlinkSync("weights.bin", link);
    await expect(sign()).rejects.toMatchObject({ code: "model-signing/link" });
    await sign({ allowSymlinks: true });
    expect((await verify()).allowSymlinks).toBe(true);
    // What a link led to is signed: another target is another content.
    rmSync(link);
    symlinkSync("sub/vocab.txt", link);
    await expect(verify()).rejects.toMatchObject({ code: "model-signing/changed" });
    writeFileSync(join(scratch, "outside"), Buffer.alloc(3 << 20, 7));
    for (const target of ["../outside", "sub", "nowhere", "link", "/etc/hostname"]) {
      rmSync(link);
      symlinkSync(target, link);
      await expect(sign({ allowSymlinks: true })).rejects.toMatchObject({ code: "model-signing/link" });
      await expect(verify()).rejects.toMatchObject({ code: "model-signing/link" });
    }
    rmSync(link);
    symlinkSync("../model", link); // a circle
    await expect(sign({ allowSymlinks: true })).rejects.toMatchObject({ code: "model-signing/link" });
  });

  it("a link in place of a signed file is refused", async () => {
    await sign();
    rmSync(join(folder, "sub", "vocab.txt"));
    writeFileSync(join(scratch, "vocab.txt"), "a\n");
    symlinkSync(join(scratch, "vocab.txt"), join(folder, "sub", "vocab.txt"));
    await expect(verify()).rejects.toMatchObject({ code: "model-signing/link" });
  });

  it("when signing fails, nothing is written and what was there stays", async () => {
    await sign();
    const controller = new AbortController();
    controller.abort(new Error("enough"));
    await expect(sign({ signal: controller.signal })).rejects.toThrow("enough");
    await verify();
    await expect(sign({ output: join(scratch, "no", "such.sig") })).rejects.toThrow("ENOENT");
    expect(existsSync(join(scratch, "no"))).toBe(false);
    await expect(signFolder(join(scratch, "none"), { signer: pair.signer })).rejects.toThrow("ENOENT");
  });
});
