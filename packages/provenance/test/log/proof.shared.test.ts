import { ed25519Verifier } from "@parapet/attestation/small";
import { createRng } from "@parapet/core";
import { memoryStorage, noteVerifier, openLog, readLogProof, verifyLogProof, writeLogProof } from "@parapet/provenance";
import { describe, expect, it } from "vitest";
import { codeOf, testSigner } from "../helpers/keys.ts";

const signer = testSigner("example.com/log");

async function made(size: number, index: number): Promise<string> {
  const log = await openLog(memoryStorage(), { signer, makeVerifier: ed25519Verifier });
  await log.append(Array.from({ length: size }, (_, i) => Uint8Array.of(i)));
  return log.proofFile(index);
}

describe("log proofs", () => {
  it("are written in the form of the specification, and read back", async () => {
    const text = await made(5, 3);
    const lines = text.split("\n");
    expect(lines.slice(0, 2)).toEqual(["c2sp.org/tlog-proof@v1", "index 3"]);
    expect(lines.slice(2, 5).every((line) => /^[A-Za-z0-9+/]{43}=$/.test(line))).toBe(true);
    expect(lines.slice(5, 8)).toEqual(["", "example.com/log", "5"]);
    const proof = readLogProof(text);
    expect(writeLogProof(proof)).toBe(text);
    const more = { ...proof, extra: Uint8Array.of(1, 2) };
    expect(writeLogProof(more).split("\n")[1]).toBe("extra AQI=");
    expect(readLogProof(writeLogProof(more))).toEqual(more);
  });

  it("of a single entry have no hashes", async () => {
    const text = await made(1, 0);
    expect(readLogProof(text).hashes).toEqual([]);
    expect(text.split("\n")[2]).toBe("");
  });

  it("are refused in any other form", async () => {
    const text = await made(5, 3);
    const changes: ((text: string) => string)[] = [
      () => "",
      (whole) => whole.replace("@v1", "@v2"),
      (whole) => whole.replace("index 3", "index 03"),
      (whole) => whole.replace("index 3", "index -3"),
      (whole) => whole.replace("index 3\n", ""),
      (whole) => whole.replace("index 3", "extra !\nindex 3"),
      (whole) => whole.replace("index 3", "index 3\nAAAA"),
      (whole) => whole.replace("\n\n", "\n"),
      (whole) => whole.replace(/\n\n\u2014.*\n/s, "\n"),
      (whole) => whole.replaceAll("\n", "\r\n"),
      (whole) => whole.replace("index 3\n", `index 3\n${`${"A".repeat(43)}=\n`.repeat(64)}`),
    ];
    for (const change of changes) {
      expect([change(text).slice(0, 60), await codeOf((async () => readLogProof(change(text)))())]).toEqual([
        change(text).slice(0, 60),
        "provenance/malformed",
      ]);
    }
    expect(await codeOf((async () => readLogProof(text.replace("index 3", "index 9007199254740993")))())).toBe(
      "provenance/unsupported",
    );
    expect(() => writeLogProof({ ...readLogProof(text), index: -1 })).toThrow(RangeError);
    expect(() => writeLogProof({ ...readLogProof(text), hashes: [new Uint8Array(31)] })).toThrow(TypeError);
  });

  it("prove nothing when anything that counts is changed", { timeout: 120_000 }, async () => {
    const text = await made(5, 3);
    const policy = { log: await noteVerifier(signer.text, "process" in globalThis ? undefined : ed25519Verifier) };
    const entry = Uint8Array.of(3);
    await verifyLogProof(text, entry, policy);
    const rng = createRng("proofs");
    const runs = "process" in globalThis ? Number(process.env.PARAPET_FUZZ ?? 2000) : 100;
    const bytes = new TextEncoder().encode(text);
    for (let run = 0; run < runs; run++) {
      const at = rng.integer(bytes.length);
      const other = bytes.slice();
      other[at] = rng.integer(256);
      const changed = [other, bytes.slice(0, at), Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(at + 1)])][
        rng.integer(3)
      ]!;
      if (changed.join() === bytes.join()) continue;
      const outcome = await verifyLogProof(changed, entry, policy).catch((error) => error);
      expect([at, outcome.code]).toEqual([at, expect.stringMatching(/^provenance\//)]);
    }
  });
});
