import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parapetSign } from "@parapet/model-signing/node/cli";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { casesOf } from "./helpers/suite.ts";
import { hasVectors, vector } from "./helpers/vectors.ts";

let scratch: string;
const at = (name: string) => join(scratch, name);
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "parapet-sign-"));
  mkdirSync(at("model"));
  writeFileSync(at("model/w.bin"), "weights");
  vi.stubEnv("PARAPET_SIGN_PASSPHRASE", "correct horse");
});
afterEach(() => {
  rmSync(scratch, { recursive: true, force: true });
  vi.unstubAllEnvs();
});

/** Runs a command: exit code, output, errors. */
async function result(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: "", err: "" };
  const listen = (stream: NodeJS.WriteStream, name: "out" | "err") =>
    vi.spyOn(stream, "write").mockImplementation((text) => {
      said[name] += text;
      return true;
    });
  const spies = [listen(process.stdout, "out"), listen(process.stderr, "err")];
  try {
    const code = await parapetSign(args);
    return { code, ...said };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
const sign = async () => {
  expect((await result("keygen", "--output", at("key.pem"))).code).toBe(0);
  return result("sign", at("model"), "--key", at("key.pem"), "--output", at("model.sig"));
};
const verify = (...more: string[]) =>
  result("verify", at("model"), "--signature", at("model.sig"), "--key", at("key.pub.pem"), ...more);

describe("parapet-sign", () => {
  it("makes a key, signs, verifies and refuses", async () => {
    expect((await sign()).out).toMatch(/^signed .*model with the key [0-9a-f]{64}\nwrote .*model.sig\n$/);
    expect(readFileSync(at("key.pem"), "utf8")).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
    expect(statSync(at("key.pem")).mode & 0o77).toBe(0);
    expect(await verify()).toMatchObject({ code: 0, out: expect.stringContaining("1 file as signed by"), err: "" });
    const { out } = await verify("--json");
    expect(JSON.parse(out)).toMatchObject({ proven: true, name: "model", files: ["w.bin"], unsigned: [], forms: [] });

    writeFileSync(at("model/w.bin"), "weightz");
    expect(await verify()).toMatchObject({
      code: 1,
      out: "",
      err: expect.stringMatching(/^parapet-sign: "w.bin" expected/),
    });
    expect(JSON.parse((await verify("--json")).out)).toMatchObject({ error: { code: "model-signing/changed" } });
  });

  it("verifies by a policy", async () => {
    await sign();
    const policy = (models: string[]) => {
      const rules = [{ models, signers: [{ key: readFileSync(at("key.pub.pem"), "utf8") }] }];
      writeFileSync(at("policy.json"), JSON.stringify({ version: 1, rules }));
      return result("verify", at("model"), "--signature", at("model.sig"), "--policy", at("policy.json"));
    };
    expect((await policy(["model"])).code).toBe(0);
    expect(await policy(["other"])).toMatchObject({
      code: 1,
      err: expect.stringContaining("the policy expected a signature"),
    });
    expect((await verify("--policy", at("policy.json"))).code).toBe(2);
  });

  it("says what a signature says, and that it proves nothing", async () => {
    await sign();
    const { out } = await result("inspect", at("model.sig"));
    expect(out).toMatch(/model "model", 1 files, sha256, root digest [0-9a-f]{64}\nby: key [0-9a-f]{64}; not proven\n/);
    expect(JSON.parse((await result("inspect", at("model.sig"), "--json")).out)).toMatchObject({
      proven: false,
      files: [{ name: "w.bin" }],
    });
  });

  it("never overwrites a key, and says nothing about passphrases", async () => {
    await sign();
    expect((await result("keygen", "--output", at("key.pem"))).code).toBe(3);
    vi.stubEnv("PARAPET_SIGN_PASSPHRASE", "wrong horse");
    const { code, out, err } = await result("sign", at("model"), "--key", at("key.pem"), "--output", at("second.sig"));
    expect([code, out]).toEqual([1, ""]);
    expect(err).not.toMatch(/horse|MI[A-Z]/);
    expect(existsSync(at("second.sig"))).toBe(false);
    vi.stubEnv("PARAPET_SIGN_PASSPHRASE", "");
    expect((await result("keygen", "--output", at("other.pem"))).code).toBe(2);
    expect((await result("keygen", "--output", at("other.pem"), "--unencrypted")).code).toBe(0);
    expect((await result("sign", at("model"), "--key", at("key.pem"), "--passphrase", "x")).code).toBe(2);
  });

  it.each([
    [[], 2],
    [["--help"], 0],
    [["frobnicate"], 2],
    [["toString"], 2],
    [["verify"], 2],
    [["verify", "/no/such", "--signature", "x"], 2],
    [["verify", "/no/such", "--signature", "/no/such.sig", "--key", "/no/such.pem"], 3],
    [["sign", "/no/such", "--key", "/no/such.pem", "--output", "x"], 3],
    [["keygen"], 2],
    [["keygen", "--output", "x", "--algorithm", "rsa"], 2],
    [["verify", "a", "b", "--signature", "x", "--key", "y"], 2],
    [["--nonsense"], 2],
  ])("%j ends with %i", async (args, code) => {
    expect((await result(...args)).code).toBe(code);
  });

  it.skipIf(!hasVectors)("verifies a signature of an identity, and no other one's", async () => {
    const folder = vector("conformance", "verify", "historical", "historical-v1.1.0-sigstore");
    const [identity, issuer] = ["stefanb@us.ibm.com", "https://sigstore.verify.ibm.com/oauth2"];
    const verifyAs = (...more: string[]) =>
      result(
        ...["verify", join(folder, "model"), "--signature", join(folder, "bundle.sig"), "--ignore", "ignore-me"],
        ...["--trusted-root", vector("trust", "sigstore_trusted_root.json"), ...more],
      );
    expect(await verifyAs("--identity", identity, "--issuer", issuer)).toMatchObject({
      code: 0,
      out: expect.stringContaining(`identity "${identity}" by "${issuer}"`),
    });
    expect((await verifyAs("--identity", "somebody@example.com", "--issuer", issuer)).code).toBe(1);
    expect((await verifyAs("--identity", identity, "--issuer", "https://example.com")).code).toBe(1);
    expect((await verifyAs("--identity", identity)).code).toBe(2);
    const policy = { version: 1, rules: [{ signers: [{ identity, issuer }] }] };
    writeFileSync(at("policy.json"), JSON.stringify(policy));
    expect((await verifyAs("--policy", at("policy.json"))).code).toBe(0);
  });

  it.skipIf(!hasVectors)("speaks the protocol of the conformance suite", async () => {
    const suite = vector("conformance");
    const asset = (name: string) => join(suite, "assets", name);
    const cases = casesOf(suite).filter(
      ({ config }) =>
        config.method !== "sigstore" &&
        config.model_modifications === undefined &&
        config.verify.public_key !== "keys/ec-p256/signing-key-pub.pem",
    );
    expect(cases.length).toBeGreaterThan(25);
    for (const { name, folder, config } of cases) {
      const { public_key, cert_chain = [], ignore_paths = [] } = config.verify;
      const model = join(config.model_relative_to === "test_dir" ? folder : join(suite, "assets"), config.model);
      const trust =
        public_key === undefined
          ? cert_chain.flatMap((path) => ["--cert-chain", asset(path)])
          : ["--public-key", asset(public_key)];
      const ignored = ignore_paths.flatMap((path) => ["--ignore-paths", join(model, path)]);
      const { code } = await result(
        "verify-model",
        "--method",
        config.method,
        "--model-path",
        model,
        "--bundle",
        join(folder, "bundle.sig"),
        ...trust,
        ...ignored,
      );
      expect(`${name}: ${code}`).toBe(`${name}: ${config.expect === "fail" ? 1 : 0}`);
    }
  });
});
