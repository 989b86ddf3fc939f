import { createSigner, generateKeyPair, parsePem, readPublicKey, sha256, toHex } from "@parapet/attestation";
import { memorySource, signModel, type TrustPolicy, verifyBundle, verifyByPolicy } from "@parapet/model-signing";
import { describe, expect, it } from "vitest";
import vectors from "./vectors/certificates/crossed.json" with { type: "json" };

// Certificates by Python's cryptography: vectors/certificates/crossed.py.
const now = new Date("2030-01-01T00:00:00Z");
const model = memorySource("digits", { w: Uint8Array.of(1) });
const roots = vectors.root;
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "proven",
    (error: Error & { code?: string }) => error.code ?? String(error),
  );
const signAs = async (i: number) =>
  signModel(model, await createSigner(vectors.people[i]!.key), { certificates: vectors.people[i]!.chain });

describe("certificates that lead to each other", () => {
  // Every way through them would be 15! / 7! signatures, most of a day: a search that tries them all ends by the timeout.
  it("cost no more than the square of their number", async () => {
    const signer = await createSigner(vectors.key);
    const bundle = await signModel(model, signer, { certificates: vectors.crossed });
    expect(await codeOf(verifyBundle(bundle, { roots: [roots], now }))).toBe("model-signing/certificate");
  }, 20_000);

  it("do not hide the one that leads to a root", async () => {
    const bundle = await signModel(model, await createSigner(vectors.key), { certificates: vectors.bridged });
    const { signedBy } = await verifyBundle(bundle, { roots: [roots], now });
    expect(signedBy.certificate?.commonName).toBe("leaf");
    expect(signedBy.certificate?.authorities.length).toBe(2);
  }, 20_000);
});

describe("a threshold counts people", () => {
  const rule = (signers: TrustPolicy["rules"][number]["signers"], threshold = 2): TrustPolicy => ({
    version: 1,
    rules: [{ signers, threshold }],
  });

  it("not the certificates of one", async () => {
    const [one, two, bob] = await Promise.all([signAs(0), signAs(1), signAs(2)]);
    const named = rule([
      { roots, commonName: "mallory" },
      { roots, commonName: "bob" },
    ]);
    expect(await codeOf(verifyByPolicy(model, [one, two], named, { now }))).toBe("model-signing/policy");
    expect((await verifyByPolicy(model, [one, bob], named, { now })).signers.length).toBe(2);
    // Roots without a name stand for many, who still count once each.
    expect(await codeOf(verifyByPolicy(model, [one, two], rule([{ roots }]), { now }))).toBe("model-signing/policy");
    expect(await codeOf(verifyByPolicy(model, [one, two, bob], rule([{ roots }]), { now }))).toBe("proven");
  });

  it("nor a key and its certificate", async () => {
    const signer = await createSigner(vectors.people[0]!.key);
    const { pem } = await readPublicKey(signer.publicKey.pem);
    const both = rule([{ key: pem }, { roots, commonName: "mallory" }]);
    const bundles = [await signModel(model, signer), await signAs(0)];
    expect(await codeOf(verifyByPolicy(model, bundles, both, { now }))).toBe("model-signing/policy");
    // Nor is somebody two by having a name in common with each of two keys.
    expect(await codeOf(verifyByPolicy(model, [...bundles, await signAs(1)], both, { now }))).toBe(
      "model-signing/policy",
    );
  });

  it("a threshold that named signers cannot meet is refused", async () => {
    expect(await codeOf(verifyByPolicy(model, [await signAs(0)], rule([{ roots, commonName: "bob" }]), { now }))).toBe(
      "model-signing/malformed",
    );
  });

  it("an authority that is revoked takes along whom it certified", async () => {
    const middle = toHex(await sha256(parsePem(vectors.middle)[0]!.bytes));
    const policy = rule([{ roots }], 1);
    expect(await codeOf(verifyByPolicy(model, [await signAs(0)], policy, { now }))).toBe("proven");
    expect(await codeOf(verifyByPolicy(model, [await signAs(0)], { ...policy, revoked: [middle] }, { now }))).toBe(
      "model-signing/policy",
    );
  });
});

describe("several signers", () => {
  it("only what all of them left out is passed over, in any order of their bundles", async () => {
    const pairs = [await generateKeyPair("ecdsa-p256-sha256"), await generateKeyPair("ecdsa-p256-sha256")];
    const policy: TrustPolicy = {
      version: 1,
      rules: [{ threshold: 2, signers: pairs.map(({ publicKey }) => ({ key: publicKey.pem })) }],
    };
    const honest = await signModel(model, pairs[0]!.signer, { ignorePaths: ["notes.md"] });
    const wide = await signModel(model, pairs[1]!.signer, {
      ignorePaths: ["evil.py", "notes.md"],
      allowSymlinks: true,
    });
    const more = (file: string) => memorySource("digits", { w: Uint8Array.of(1), [file]: Uint8Array.of(2) });
    for (const bundles of [
      [honest, wide],
      [wide, honest],
    ]) {
      expect(await codeOf(verifyByPolicy(more("evil.py"), bundles, policy))).toBe("model-signing/unsigned");
      const proven = await verifyByPolicy(more("notes.md"), bundles, policy);
      expect(proven.allowSymlinks).toBe(false);
      expect(proven.ignorePaths).toContain("notes.md");
      expect(proven.ignorePaths).not.toContain("evil.py");
    }
  });
});
