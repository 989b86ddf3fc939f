import { AttestationError, createSigner, generateKeyPair, type KeyPair, toUtf8 } from "@parapet/attestation";
import { createRng, ParapetError, type Rng } from "@parapet/core";
import { memorySource, readPolicy, signModel, verifyBundle } from "@parapet/model-signing";
import { beforeAll, describe, expect, it } from "vitest";
import { readBundle } from "../src/bundle.ts";
import { readCertificate } from "../src/certificate.ts";
import { readManifest } from "../src/manifest.ts";
import certificates from "./vectors/certificates/certificates.json" with { type: "json" };

// Good files with bytes changed, cut, doubled or put elsewhere: a typed error or a value, quickly, and never a proof.
const runs = Number(process.env.PARAPET_FUZZ ?? 2000);
let pair: KeyPair;
let good: Record<string, Uint8Array>;

beforeAll(async () => {
  pair = await generateKeyPair("ecdsa-p256-sha256");
  const model = memorySource("digits", { "a.json": Uint8Array.of(1, 2, 3, 4, 5), w: Uint8Array.of(6) });
  const bundle = await signModel(model, pair.signer);
  const { chain } = certificates.cases[0]!;
  const sharded = await signModel(model, await createSigner(certificates.key), {
    certificates: chain,
    method: "shards",
    shardSize: 2,
  });
  const policy = {
    version: 1,
    rules: [{ models: ["a*"], signers: [{ key: pair.publicKey.pem }] }],
    revoked: ["ab".repeat(32)],
  };
  good = {
    bundle: toUtf8(bundle),
    "bundle with certificates": toUtf8(sharded),
    statement: readBundle(bundle).envelope.payload,
    "statement with shards": readBundle(sharded).envelope.payload,
    certificate: Uint8Array.from(Buffer.from(chain.split("-----")[2]!, "base64")),
    policy: toUtf8(JSON.stringify(policy)),
  };
});

function changed(source: Uint8Array, rng: Rng): Uint8Array {
  let bytes = Array.from(source);
  const pick = (below: number) => Math.floor(rng.next() * below);
  for (let edits = 1 + pick(4); edits > 0; edits--) {
    const at = pick(bytes.length + 1);
    const kind = pick(6);
    if (kind === 0) bytes[at % Math.max(1, bytes.length)] = pick(256);
    else if (kind === 1) bytes = bytes.slice(0, at);
    else if (kind === 2) bytes.splice(at, pick(8));
    else if (kind === 3) bytes.splice(at, 0, ...Array.from({ length: pick(8) }, () => pick(256)));
    else if (kind === 4)
      bytes.splice(at, 0, ...bytes.slice(pick(bytes.length + 1), pick(bytes.length + 1)).slice(0, 1000));
    else if (bytes.length > 0) bytes[at % bytes.length]! ^= 1 << pick(8);
  }
  return Uint8Array.from(bytes);
}

describe("damaged files get a typed error", () => {
  it.each<[string, (bytes: Uint8Array) => unknown]>([
    ["bundle", (bytes) => readBundle(bytes)],
    ["bundle with certificates", (bytes) => readBundle(bytes)],
    ["statement", (bytes) => readManifest(bytes)],
    ["statement with shards", (bytes) => readManifest(bytes)],
    ["certificate", (bytes) => readCertificate(bytes)],
    ["policy", (bytes) => readPolicy(bytes)],
  ])(
    "%s",
    async (name, read) => {
      await read(good[name]!);
      const rng = createRng(11).derive(name);
      const others: unknown[] = [];
      for (let i = 0; i < runs; i++) {
        const bytes = changed(good[name]!, rng);
        try {
          await read(bytes);
        } catch (error) {
          if (!(error instanceof ParapetError || error instanceof AttestationError)) others.push(error);
        }
      }
      expect(others).toEqual([]);
    },
    600_000,
  );

  it("a bundle that was changed is never proven", async () => {
    const rng = createRng(12);
    const same = JSON.stringify(JSON.parse(new TextDecoder().decode(good.bundle)));
    let proven = 0;
    for (let i = 0; i < runs; i++) {
      const bytes = changed(good.bundle!, rng);
      let text: string | undefined;
      try {
        text = JSON.stringify(JSON.parse(new TextDecoder().decode(bytes)));
      } catch {}
      if (text === same) continue; // nothing but a blank was changed
      const error = await verifyBundle(bytes, { keys: [pair.publicKey.pem] }).then(
        () => undefined,
        (cause) => cause,
      );
      if (!(error instanceof ParapetError)) proven++;
    }
    expect(proven).toBe(0);
  }, 600_000);
});
