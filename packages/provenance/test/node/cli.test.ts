import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportPrivateKey, generateKeyPair, type PublicKey } from "@parapet/attestation";
import { createRecorder, type Run } from "@parapet/provenance";
import { fileJournal } from "@parapet/provenance/node";
import { parapetProvenance } from "@parapet/provenance/node/cli";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

let scratch: string;
let key: PublicKey;
let run: Run;
const at = (...parts: readonly string[]) => join(scratch, ...parts);

async function result(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: "", err: "" };
  const listen = (stream: NodeJS.WriteStream, name: "out" | "err") =>
    vi.spyOn(stream, "write").mockImplementation((text) => {
      said[name] += text;
      return true;
    });
  const spies = [listen(process.stdout, "out"), listen(process.stderr, "err")];
  try {
    return { code: await parapetProvenance(args), ...said };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
const json = async (...args: readonly string[]) => {
  const { code, out } = await result(...args, "--json");
  return { code, value: JSON.parse(out) };
};
const model = () => run.artefacts.at(-1)!.id;

describe("parapet-provenance", () => {
  beforeEach(async () => {
    scratch = mkdtempSync(join(tmpdir(), "parapet-provenance-"));
    const pair = await generateKeyPair("ecdsa-p256-sha256");
    key = pair.publicKey;
    writeFileSync(at("key.pem"), await exportPrivateKey(pair.privateKey, { passphrase: "correct horse" }));
    vi.stubEnv("PARAPET_PROVENANCE_PASSPHRASE", "correct horse");
    writeFileSync(at("digits.csv"), "pixel,label\n0.5,7\n0.25,3\n");
    expect((await result("init", at("record"), "--key", at("key.pem"), "--origin", "example.com/log")).code).toBe(0);
    const made = await json(
      "record",
      at("record"),
      "--key",
      at("key.pem"),
      "--dataset",
      at("digits.csv"),
      "--name",
      "digits",
    );
    expect(made).toMatchObject({ code: 0, value: { index: 0, records: 2 } });
    const recorder = await createRecorder(fileJournal(at("run.jsonl")), { name: "train" });
    const data = await recorder.artefact({ kind: "dataset", name: "digits", id: made.value.dataset });
    await recorder.step({ kind: "train", name: "Train" }, (step) => {
      step.use(data, "training data", { count: 2, all: true });
      step.make({ kind: "model", name: "digits model", content: "weights" }, "weights");
    });
    run = await recorder.finish();
    const claimed = await json("record", at("record"), "--key", at("key.pem"), "--run", at("run.jsonl"));
    expect(claimed).toMatchObject({ code: 0, value: { index: 1 } });
  });
  afterEach(() => {
    rmSync(scratch, { recursive: true, force: true });
    vi.unstubAllEnvs();
  });

  it("verifies the record, and a model by a policy", async () => {
    const policy = { version: 1, lineage: { keys: [key.pem] }, steps: ["train"] };
    writeFileSync(at("policy.json"), JSON.stringify(policy));
    expect(await json("verify", at("record"))).toMatchObject({ code: 0, value: { proven: true, size: 2 } });
    const proven = await json("verify", at("record"), "--artefact", model(), "--policy", at("policy.json"));
    expect(proven).toMatchObject({ code: 0, value: { by: [key.fingerprint], steps: ["train"] } });
    expect(proven.value.sources[0].name).toBe("digits");
    writeFileSync(at("policy.json"), JSON.stringify({ ...policy, forbidden: [run.artefacts[0]!.id] }));
    const refused = await result("verify", at("record"), "--artefact", model(), "--policy", at("policy.json"));
    expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/^parapet-provenance: the policy expected/) });
  });

  it("finds a claim that was changed, taken out or put in, and data that was", async () => {
    const text = readFileSync(at("record", "claims.jsonl"), "utf8");
    const lines = text.trimEnd().split("\n");
    const policy = "provenance/changed";
    for (const bad of [
      lines.slice(0, 1),
      lines.slice(1),
      [...lines, lines[0]!],
      [...lines].reverse(),
      ["{}", lines[1]!],
    ]) {
      writeFileSync(at("record", "claims.jsonl"), bad.map((line) => `${line}\n`).join(""));
      expect(await json("verify", at("record"))).toMatchObject({ code: 1, value: { error: { code: policy } } });
    }
    writeFileSync(at("record", "claims.jsonl"), text);
    expect((await result("verify", at("record"))).code).toBe(0);
    const commitments = at("record", "datasets", "digits", "commitments.bin");
    const bytes = readFileSync(commitments);
    bytes[40]! ^= 1;
    writeFileSync(commitments, bytes);
    expect(await json("verify", at("record"))).toMatchObject({ code: 1, value: { error: { code: policy } } });
  });

  it("shows the log and its proofs", async () => {
    const { code, value } = await json("log", at("record"));
    expect([code, value.origin, value.size]).toEqual([0, "example.com/log", 2]);
    expect((await result("log", at("record"), "--proof", "1")).out).toMatch(/^c2sp.org\/tlog-proof@v1\nindex 1\n/);
    expect((await result("log", at("record"), "--proof", "9")).code).toBe(2);
  });

  it("exports and shows runs, as journals and as JSON", async () => {
    writeFileSync(at("run.json"), JSON.stringify(run));
    for (const path of [at("run.jsonl"), at("run.json")]) {
      writeFileSync(at("options.json"), JSON.stringify({ builder: "https://example.com/trainer" }));
      const { code, out } = await result("export", path, "--format", "slsa", "--options", at("options.json"));
      expect([code, JSON.parse(out).predicateType]).toEqual([0, "https://slsa.dev/provenance/v1"]);
      expect((await result("show", path)).out).toContain("digits model");
    }
    expect((await result("export", at("run.json"), "--format", "prov", "--output", at("prov.json"))).out).toBe(
      `wrote ${at("prov.json")}\n`,
    );
    expect(JSON.parse(readFileSync(at("prov.json"), "utf8"))).toHaveProperty("entity");
    const found = await json("show", at("run.jsonl"), "--impact", run.artefacts[0]!.id);
    expect(found.value).toMatchObject([{ certainty: "seen", artefact: { name: "digits model" } }]);
    expect((await result("show", at("run.jsonl"), "--html", at("lineage.html"))).code).toBe(0);
    expect(readFileSync(at("lineage.html"), "utf8")).toMatch(/^<!doctype html>/);
  });

  it("records folders, and refuses what leads out of the record", async () => {
    mkdirSync(at("images"));
    writeFileSync(at("images", "a.png"), "image");
    const key = ["--key", at("key.pem")];
    expect(await json("record", at("record"), ...key, "--dataset", at("images"))).toMatchObject({
      code: 0,
      value: { index: 2, records: 1 },
    });
    expect((await result("record", at("record"), ...key, "--dataset", at("images"), "--name", "../../x")).code).toBe(2);
    expect((await result("verify", at("record"))).code).toBe(0);
  });

  it("says nothing of the passphrase, and needs it", async () => {
    vi.stubEnv("PARAPET_PROVENANCE_PASSPHRASE", "wrong");
    const { code, err } = await result("record", at("record"), "--key", at("key.pem"), "--run", at("run.jsonl"));
    expect([code, err.includes("wrong horse")]).toEqual([1, false]);
    vi.stubEnv("PARAPET_PROVENANCE_PASSPHRASE", "");
    expect((await result("record", at("record"), "--key", at("key.pem"), "--run", at("run.jsonl"))).code).toBe(2);
    expect((await result("verify", at("record"))).code).toBe(0);
  });
});

describe("wrong use", () => {
  it.each<[readonly string[], number]>([
    [[], 2],
    [["--help"], 0],
    [["frobnicate"], 2],
    [["toString"], 2],
    [["init"], 2],
    [["record", "x"], 2],
    [["verify", "/no/such"], 3],
    [["export", "/no/such", "--format", "prov"], 3],
    [["export", "/no/such", "--format", "constructor"], 2],
    [["show"], 2],
    [["--nonsense"], 2],
  ])("%j ends with %i", async (args, code) => {
    expect((await result(...args)).code).toBe(code);
  });
});
