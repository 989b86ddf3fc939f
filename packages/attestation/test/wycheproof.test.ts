import { createVerifier, fromHex, publicKeyFrom, readPublicKey, type Verifier } from "@parapet/attestation";
import { ed25519PublicKey, ed25519Verifier } from "@parapet/attestation/small";
import { describe, expect, it } from "vitest";
import { hasVectors, readVector } from "./helpers/vectors.ts";

interface File {
  readonly numberOfTests: number;
  readonly testGroups: readonly {
    readonly publicKeyPem: string;
    readonly publicKey: { readonly pk?: string };
    readonly tests: readonly {
      readonly tcId: number;
      readonly comment: string;
      readonly msg: string;
      readonly sig: string;
      readonly result: "valid" | "invalid" | "acceptable";
    }[];
  }[];
}

/** Every case of a file: a valid one is proven, an invalid one refused with a typed error. */
async function run(name: string, open: (pem: string, point: string | undefined) => Promise<Verifier>): Promise<number> {
  const { testGroups } = readVector(`wycheproof/${name}_test.json`) as File;
  const wrong: string[] = [];
  let count = 0;
  for (const { publicKeyPem, publicKey, tests } of testGroups) {
    const verifier = await open(publicKeyPem, publicKey.pk);
    for (const { tcId, comment, msg, sig, result } of tests) {
      count++;
      const error = await verifier.verify(fromHex(msg), fromHex(sig)).then(
        () => undefined,
        (cause: { code?: string }) => cause,
      );
      const typed = error === undefined || String(error.code).startsWith("attestation/");
      if ((error === undefined) !== (result === "valid") || !typed) wrong.push(`${tcId} ${comment}: ${error?.code}`);
    }
  }
  expect(wrong).toEqual([]);
  return count;
}

describe.skipIf(!hasVectors)("Wycheproof", () => {
  it.each([
    ["ecdsa_secp256r1_sha256", 484],
    ["ecdsa_secp384r1_sha384", 504],
    ["ecdsa_secp521r1_sha512", 542],
    ["ed25519", 151],
  ])("%s by WebCrypto", async (name, count) => {
    expect(await run(name, (pem) => createVerifier(pem))).toBe(count);
  });

  it("ed25519 in JavaScript", async () => {
    const open = async (pem: string, point: string | undefined) => {
      const key = ed25519PublicKey(pem);
      expect(key).toEqual(await readPublicKey(pem));
      expect(key).toEqual(await publicKeyFrom("ed25519", fromHex(point!)));
      return ed25519Verifier(key);
    };
    expect(await run("ed25519", open)).toBe(151);
  });
});
