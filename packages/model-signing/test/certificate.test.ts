import { createSigner, generateKeyPair } from "@parapet/attestation";
import { memorySource, signModel, verifyModel } from "@parapet/model-signing";
import { describe, expect, it } from "vitest";
import { readCertificate } from "../src/certificate.ts";
import vectors from "./vectors/certificates/certificates.json" with { type: "json" };

// Chains by Python's cryptography: vectors/certificates/generate.py.
const model = memorySource("digits", { w: Uint8Array.of(1) });
const now = new Date("2026-06-01T00:00:00Z");

describe("chains of certificates", () => {
  it.each(vectors.cases)("$name", async ({ chain, roots, refused }) => {
    const bundle = await signModel(model, await createSigner(vectors.key), { certificates: chain });
    const verified = verifyModel(model, bundle, { roots: [roots], now });
    if (refused === null) expect((await verified).signedBy.certificate?.commonName).toBe("leaf");
    else {
      await expect(verified).rejects.toMatchObject({
        code: "model-signing/certificate",
        message: expect.stringContaining(refused),
      });
    }
  });

  it("the key must be that of the certificate", async () => {
    const { signer } = await generateKeyPair("ecdsa-p256-sha256");
    const { chain, roots } = vectors.cases[0]!;
    const bundle = await signModel(model, signer, { certificates: chain });
    await expect(verifyModel(model, bundle, { roots: [roots], now })).rejects.toMatchObject({
      code: "model-signing/signature",
    });
  });

  it("a certificate is judged now, where nothing else is said", async () => {
    const { chain, roots } = vectors.cases[0]!;
    const bundle = await signModel(model, await createSigner(vectors.key), { certificates: chain });
    await verifyModel(model, bundle, { roots: [roots] });
    const later = new Date("2046-01-01T00:00:00Z");
    await expect(verifyModel(model, bundle, { roots: [roots], now: later })).rejects.toMatchObject({
      code: "model-signing/certificate",
    });
    await expect(
      verifyModel(model, bundle, { keys: [(await generateKeyPair("ecdsa-p256-sha256")).publicKey.pem] }),
    ).rejects.toMatchObject({
      code: "model-signing/signature",
    });
  });

  it("every bit of a certificate: refused, or another one that nobody trusts", async () => {
    const { chain, roots } = vectors.cases[0]!;
    const der = Uint8Array.from(Buffer.from(chain.split("-----")[2]!, "base64"));
    const text = await signModel(model, await createSigner(vectors.key), { certificates: chain });
    const proven: number[] = [];
    for (let bit = 0; bit < 8 * der.length; bit++) {
      const changed = der.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const bundle = JSON.parse(text);
      bundle.verificationMaterial.x509CertificateChain.certificates[0].rawBytes =
        Buffer.from(changed).toString("base64");
      const error = await verifyModel(model, JSON.stringify(bundle), { roots: [roots], now }).then(
        () => undefined,
        (cause) => cause,
      );
      if (!String(error?.code).startsWith("model-signing/")) proven.push(bit);
    }
    expect(proven).toEqual([]);
    expect((await readCertificate(der)).commonName).toBe("leaf");
  }, 60_000);
});
