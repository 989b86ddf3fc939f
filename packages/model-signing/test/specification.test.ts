import { readdirSync, readFileSync } from "node:fs";
import { generateKeyPair } from "@parapet/attestation";
import { ed25519phSigner } from "@parapet/attestation/extensions";
import { ed25519Signer } from "@parapet/attestation/small";
import { memorySource, type SignOptions, signModel, type Trust, verifyBundle } from "@parapet/model-signing";
import { keylessTrust } from "@parapet/model-signing/node/keyless";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { nodeHashers } from "../src/node/hashers.ts";
import { trustedRootOf } from "./helpers/suite.ts";
import { hasVectors, vector } from "./helpers/vectors.ts";
import certificates from "./vectors/certificates/certificates.json" with { type: "json" };

const read = (...path: readonly string[]) => readFileSync(vector("spec-v1.0", ...path), "utf8");
const listed = (...path: readonly string[]) =>
  hasVectors ? readdirSync(vector("spec-v1.0", "test-vectors", "v1.0", ...path)).sort() : [];
const payloadOf = (bundle: string) =>
  JSON.parse(Buffer.from(JSON.parse(bundle).dsseEnvelope.payload, "base64").toString());

/** The four JSON Schemas of the specification. */
function schemas() {
  const ajv = new Ajv2020({ allErrors: true });
  for (const name of ["predicate", "statement", "envelope", "bundle"])
    ajv.addSchema(JSON.parse(read("schemas", "v1.0", `${name}.schema.json`)));
  return (name: "bundle" | "statement", json: unknown) => {
    const good = ajv.validate(`https://model_signing/${name}/v1.0/schema`, json);
    return good ? [] : ajv.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`);
  };
}

function trustAll(): Trust {
  const asset = (name: string) => readFileSync(vector("conformance", "assets", "keys", "certificate", name), "utf8");
  const { keyless } = keylessTrust({
    trustedRoot: trustedRootOf(vector("conformance")),
    identities: [{ identity: "stefanb@us.ibm.com", issuer: "https://sigstore.verify.ibm.com/oauth2" }],
  });
  return {
    keys: [asset("signing-key-pub.pem")],
    roots: [asset("ca-cert.pem")],
    keyless,
    now: new Date("2026-01-01"),
  };
}

describe.skipIf(!hasVectors)("samples of the specification", () => {
  it("are those that are known here", () => {
    expect(listed("valid")).toEqual(["certificate.bundle.json", "key.bundle.json", "sigstore.bundle.json"]);
    expect(listed("invalid").length).toBe(4);
    expect(listed("invalid-payload")).toEqual(["wrong-predicate.bundle.json"]);
  });

  it.each(listed("valid"))("valid: %s", async (name) => {
    const bundle = read("test-vectors", "v1.0", "valid", name);
    const validate = schemas();
    expect(validate("bundle", JSON.parse(bundle))).toEqual([]);
    const { resources, rootDigest, forms } = await verifyBundle(bundle, trustAll());
    const statement = payloadOf(bundle);
    expect(validate("statement", statement)).toEqual([]);
    expect(resources.map((one) => one.name)).toEqual(
      statement.predicate.resources.map((one: { name: string }) => one.name),
    );
    expect(rootDigest).toBe(statement.subject[0].digest.sha256);
    expect(forms).toEqual([]);
  });

  it.each(listed("invalid"))("invalid: %s", async (name) => {
    const bundle = read("test-vectors", "v1.0", "invalid", name);
    await expect(verifyBundle(bundle, trustAll())).rejects.toMatchObject({ code: "model-signing/malformed" });
    let json: unknown;
    try {
      json = JSON.parse(bundle);
    } catch {
      return; // not even JSON
    }
    expect(schemas()("bundle", json)).not.toEqual([]);
  });

  it("an invalid payload: its signature is broken too, and a good one over it is refused for what it says", async () => {
    const bundle = read("test-vectors", "v1.0", "invalid-payload", "wrong-predicate.bundle.json");
    const validate = schemas();
    expect(validate("bundle", JSON.parse(bundle))).toEqual([]);
    expect(validate("statement", payloadOf(bundle))).not.toEqual([]);
    await expect(verifyBundle(bundle, trustAll())).rejects.toMatchObject({ code: "model-signing/signature" });
    const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
    const own = JSON.parse(await signModel(memorySource("m", new Uint8Array(1)), signer));
    const { payload, payloadType } = JSON.parse(bundle).dsseEnvelope;
    const bytes = Buffer.from(payload, "base64");
    const encoded = Buffer.concat([Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${bytes.length} `), bytes]);
    const sig = Buffer.from(await signer.sign(Uint8Array.from(encoded))).toString("base64");
    own.dsseEnvelope = { payload, payloadType, signatures: [{ sig }] };
    await expect(verifyBundle(JSON.stringify(own), { keys: [publicKey.pem] })).rejects.toMatchObject({
      code: "model-signing/unsupported",
    });
  });
});

describe.skipIf(!hasVectors)("what is signed here is of the specification's form", () => {
  const folder = memorySource("digits", {
    "model.onnx": new Uint8Array(100),
    "a/b.json": new Uint8Array(3),
    c: new Uint8Array(),
  });
  const single = memorySource("model.onnx", new Uint8Array(20));
  const options: readonly SignOptions[] = [
    {},
    { hash: "blake2b" },
    { hash: "blake3" },
    { method: "shards", shardSize: 16 },
    { method: "shards", shardSize: 1000, hash: "blake3" },
    { ignorePaths: ["a"], allowSymlinks: true },
    { certificates: certificates.cases[0]!.chain },
  ];
  it.each(options)("%o", async (option) => {
    const validate = schemas();
    const { signer } = await generateKeyPair("ecdsa-p384-sha384");
    for (const source of [folder, single]) {
      const bundle = await signModel(source, signer, { ...option, hashers: nodeHashers });
      expect(validate("bundle", JSON.parse(bundle))).toEqual([]);
      expect(validate("statement", payloadOf(bundle))).toEqual([]);
    }
  });

  it("with extensions too", async () => {
    const validate = schemas();
    for (const signer of [ed25519Signer(new Uint8Array(32)), await ed25519phSigner(new Uint8Array(32))]) {
      const extension = signer.publicKey.algorithm as "ed25519" | "ed25519ph";
      const bundle = await signModel(folder, signer, { extension });
      expect(validate("bundle", JSON.parse(bundle))).toEqual([]);
      expect(validate("statement", payloadOf(bundle))).toEqual([]);
    }
  });

  it("the schemas refuse what is not", async () => {
    const validate = schemas();
    const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
    const bundle = await signModel(folder, signer);
    for (const change of [
      (one: Record<string, unknown>) => delete one.dsseEnvelope,
      (one: Record<string, unknown>) => Object.assign(one, { more: 1 }),
      (one: Record<string, unknown>) => Object.assign(one, { verificationMaterial: {} }),
    ]) {
      const json = JSON.parse(bundle);
      change(json);
      expect(validate("bundle", json)).not.toEqual([]);
      await expect(verifyBundle(JSON.stringify(json), { keys: [publicKey.pem] })).rejects.toMatchObject({
        code: "model-signing/malformed",
      });
    }
  });
});
