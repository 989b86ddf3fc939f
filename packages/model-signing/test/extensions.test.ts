import { createVerifier, fromHex, generateKeyPair, type PublicKey, type Signer } from "@parapet/attestation";
import { ed25519phSigner, ed25519phVerifier, mlDsaSigner, mlDsaVerifier } from "@parapet/attestation/extensions";
import { ed25519Signer, ed25519Verifier } from "@parapet/attestation/small";
import {
  type ExtensionName,
  type Extensions,
  memorySource,
  readPolicy,
  signModel,
  type TrustPolicy,
  verifyBundle,
  verifyByPolicy,
  verifyModel,
} from "@parapet/model-signing";
import { beforeAll, describe, expect, it } from "vitest";
import { identityCertificate, mail } from "./helpers/identities.ts";
import certificates from "./vectors/certificates/extensions.json" with { type: "json" };

const names: readonly ExtensionName[] = ["ed25519", "ed25519ph", "ml-dsa-65"];
const verifiers: Required<Extensions> = {
  ed25519: createVerifier,
  ed25519ph: ed25519phVerifier,
  "ml-dsa-65": mlDsaVerifier,
};
const only = (name: ExtensionName): Extensions => ({ [name]: verifiers[name] });
const model = memorySource("digits", { "model.onnx": Uint8Array.of(1, 2, 3), "labels.json": Uint8Array.of(4) });
const signersOf = async (seed: Uint8Array): Promise<Readonly<Record<ExtensionName, Signer>>> => ({
  ed25519: ed25519Signer(seed),
  ed25519ph: await ed25519phSigner(seed),
  "ml-dsa-65": await mlDsaSigner(seed),
});
const why = (promise: Promise<unknown>) =>
  promise.then(
    () => "proven",
    (error: Error & { code?: string }) => `${error.code ?? error.name}: ${error.message}`,
  );

let signers: Readonly<Record<ExtensionName, Signer>>;
const bundles = {} as Record<ExtensionName, string>;
beforeAll(async () => {
  signers = await signersOf(new Uint8Array(32).fill(5));
  for (const name of names) bundles[name] = await signModel(model, signers[name], { extension: name });
});

describe.each(names)("the extension %s", (name) => {
  it("is proven where it is allowed by its name, and named in the result", async () => {
    const { pem, fingerprint } = signers[name].publicKey;
    const { signedBy, forms } = await verifyModel(model, bundles[name], { keys: [pem], extensions: only(name) });
    expect(signedBy.key).toMatchObject({ algorithm: name, fingerprint });
    expect(forms).toEqual([`extension-${name}`]);
    const other = memorySource("digits", { "model.onnx": Uint8Array.of(1, 2, 4), "labels.json": Uint8Array.of(4) });
    expect(await why(verifyModel(other, bundles[name], { keys: [pem], extensions: only(name) }))).toMatch(
      /^model-signing\/changed/,
    );
  });

  it("is refused everywhere else, with what to do", async () => {
    const trust = { keys: [signers[name].publicKey.pem] };
    for (const extensions of [undefined, {}, { [name]: undefined }]) {
      const message = await why(verifyBundle(bundles[name], { ...trust, ...(extensions && { extensions }) }));
      expect(message).toMatch(/^model-signing\/unsupported: model signatures expected an ECDSA key, got /);
      expect(message).toContain(`"${name}"`);
    }
    expect(await why(signModel(model, signers[name]))).toMatch(/^model-signing\/unsupported: .*"extension"/);
    for (const other of names.filter((one) => one !== name))
      expect(await why(signModel(model, signers[name], { extension: other }))).toMatch(/^model-signing\/unsupported/);
  });

  it("is not reached through another one, nor by a changed signature or another key", async () => {
    const { pem } = signers[name].publicKey;
    for (const other of names.filter((one) => one !== name)) {
      const message = await why(verifyBundle(bundles[name], { keys: [pem], extensions: only(other) }));
      expect(message).toMatch(/^model-signing\/(signature|unsupported)/);
      // A verifier of another algorithm under this name is the caller's mistake.
      const mixed = { [name]: verifiers[other] } as Extensions;
      expect(await why(verifyBundle(bundles[name], { keys: [pem], extensions: mixed }))).not.toBe("proven");
    }
    const bundle = JSON.parse(bundles[name]);
    const signature = Buffer.from(bundle.dsseEnvelope.signatures[0].sig, "base64");
    signature[10]! ^= 1;
    bundle.dsseEnvelope.signatures[0].sig = signature.toString("base64");
    expect(await why(verifyBundle(JSON.stringify(bundle), { keys: [pem], extensions: only(name) }))).toMatch(
      /^model-signing\/signature/,
    );
    const [stranger] = [(await signersOf(new Uint8Array(32).fill(6)))[name].publicKey.pem];
    expect(await why(verifyBundle(bundles[name], { keys: [stranger], extensions: only(name) }))).toMatch(
      /^model-signing\/signature/,
    );
  });

  it("in policies counts for the key that is said to have it, and no other", async () => {
    const { pem } = signers[name].publicKey;
    const policy = (signer: object): TrustPolicy => ({ version: 1, rules: [{ signers: [signer as never] }] });
    const allowed = policy({ key: pem, extension: name });
    const { signedBy } = await verifyByPolicy(model, [bundles[name]], allowed, { extensions: verifiers });
    expect(signedBy.key.algorithm).toBe(name);
    expect(await why(verifyByPolicy(model, [bundles[name]], policy({ key: pem }), { extensions: verifiers }))).toMatch(
      /^model-signing\/unsupported/,
    );
    expect(await why(verifyByPolicy(model, [bundles[name]], allowed))).toMatch(
      /^TypeError: "extensions" expected what/,
    );
    for (const other of names.filter((one) => one !== name))
      expect(
        await why(
          verifyByPolicy(model, [bundles[name]], policy({ key: pem, extension: other }), { extensions: verifiers }),
        ),
      ).toMatch(/^model-signing\/(policy|unsupported)/);
    const malformed = [
      { key: pem, extension: "rsa" },
      { key: pem, extension: 1 },
      { roots: certificates.root, extension: name },
    ];
    for (const signer of malformed)
      expect(() => readPolicy(JSON.stringify(policy(signer)))).toThrow(/^policy expected/);
  });

  it("in a certificate needs to be allowed as well", async () => {
    const made = certificates[name === "ml-dsa-65" ? name : "ed25519"];
    const signer = (await signersOf(fromHex(made.seed)))[name];
    const bundle = await signModel(model, signer, { extension: name, certificates: made.certificate });
    const trust = { roots: [certificates.root], now: new Date("2026-01-01") };
    expect(await why(verifyBundle(bundle, trust))).toMatch(/^model-signing\/unsupported/);
    const { signedBy, forms } = await verifyBundle(bundle, { ...trust, extensions: only(name) });
    expect(signedBy).toMatchObject({
      key: { algorithm: name },
      certificate: { commonName: made === certificates["ml-dsa-65"] ? "ml-dsa-65" : "ed25519" },
    });
    expect(forms).toEqual([`extension-${name}`]);
    for (const other of names.filter((one) => one !== name))
      expect(await why(verifyBundle(bundle, { ...trust, extensions: only(other) }))).toMatch(
        /^model-signing\/(signature|unsupported)/,
      );
  });

  it("of an identity needs to be allowed as well", async () => {
    const signer = signers[name];
    const der = identityCertificate({ spki: signer.publicKey.spki, names: [mail("a@b.c")], issuer: "https://i" });
    const bundle = JSON.parse(bundles[name]);
    bundle.verificationMaterial = { certificate: { rawBytes: Buffer.from(der).toString("base64") }, tlogEntries: [{}] };
    const keyless = {
      identities: [{ identity: "a@b.c", issuer: "https://i" }],
      verifier: async () => ({ times: [new Date(0)], authorities: [] }),
    };
    expect(await why(verifyBundle(JSON.stringify(bundle), { keyless }))).toMatch(/^model-signing\/unsupported/);
    expect(await why(verifyBundle(JSON.stringify(bundle), { keyless, extensions: only(name) }))).toBe("proven");
  });
});

describe("which extensions are meant", () => {
  it("one of the two Ed25519: a key does not say which", async () => {
    const { pem } = signers.ed25519.publicKey;
    expect(await why(verifyBundle(bundles.ed25519, { keys: [pem], extensions: verifiers }))).toMatch(
      /^TypeError: "extensions" expected "ed25519" or "ed25519ph", got both/,
    );
    const extensions = { ed25519: createVerifier, rsa: createVerifier } as Extensions;
    expect(await why(verifyBundle(bundles.ed25519, { keys: [pem], extensions }))).toMatch(/^TypeError/);
    // Under one name, a verifier that is of the other.
    for (const [name, wrong] of [
      ["ed25519", ed25519phVerifier],
      ["ed25519ph", (key: PublicKey) => ed25519Verifier({ ...key, algorithm: "ed25519" })],
    ] as const)
      for (const bundle of [bundles.ed25519, bundles.ed25519ph])
        expect(await why(verifyBundle(bundle, { keys: [pem], extensions: { [name]: wrong } }))).toMatch(
          /^TypeError: "extensions" expected a verifier of/,
        );
  });

  it("Ed25519 is proven by JavaScript too, and ECDSA needs none of them", async () => {
    const { pem } = signers.ed25519.publicKey;
    const extensions = { ed25519: ed25519Verifier, "ml-dsa-65": mlDsaVerifier };
    expect(await why(verifyBundle(bundles.ed25519, { keys: [pem], extensions }))).toBe("proven");
    const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
    const { forms } = await verifyBundle(await signModel(model, signer), { keys: [publicKey.pem, pem], extensions });
    expect(forms).toEqual([]);
  });
});
