import { createPrivateKey, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  AttestationError,
  type Curve,
  createSigner,
  createVerifier,
  exportPrivateKey,
  generateKeyPair,
  publicKeyFrom,
  readPublicKey,
  sha256,
  toHex,
  toUtf8,
} from "@parapet/attestation";
import { ed25519Signer, ed25519Verifier } from "@parapet/attestation/small";
import { describe, expect, it } from "vitest";

// Made by OpenSSL: vectors/openssl/generate.sh.
const file = (name: string) => readFileSync(new URL(`vectors/openssl/${name}`, import.meta.url));
const text = (name: string) => file(name).toString();
const curves: readonly (readonly [string, Curve])[] = [
  ["prime256v1", "ecdsa-p256-sha256"],
  ["secp384r1", "ecdsa-p384-sha384"],
  ["secp521r1", "ecdsa-p521-sha512"],
];
const hello = toUtf8("hello");
const passphrase = "correct horse";
const refused = async (run: () => Promise<unknown>) => {
  const error = await run().catch((cause: AttestationError) => cause);
  expect(error).toBeInstanceOf(AttestationError);
  return (error as AttestationError).code;
};

describe.each(curves)("keys of OpenSSL: %s", (name, algorithm) => {
  it("the public key is read, printed as it was, and named by the hash of that", async () => {
    const key = await readPublicKey(text(`${name}.public.pem`));
    expect(key.algorithm).toBe(algorithm);
    expect(key.pem).toBe(text(`${name}.public.pem`));
    expect(key.fingerprint).toBe(toHex(await sha256(file(`${name}.public.pem`))));
    expect(await readPublicKey(key.spki)).toEqual(key);
    const point = key.spki.subarray(key.spki.length - { prime256v1: 65, secp384r1: 97, secp521r1: 133 }[name]!);
    expect(await publicKeyFrom(algorithm, point)).toEqual(key);
  });

  it("its signature is proven, and no other bytes", async () => {
    const verifier = await createVerifier(text(`${name}.public.pem`));
    await verifier.verify(hello, file(`${name}.signature`));
    expect(await refused(() => verifier.verify(toUtf8("hellp"), file(`${name}.signature`)))).toBe(
      "attestation/signature",
    );
  });

  it.each(["sec1", "pkcs8", "encrypted"])("the private key is opened: %s", async (form) => {
    const signer = await createSigner(text(`${name}.${form}.pem`), { passphrase });
    expect(signer.publicKey.pem).toBe(text(`${name}.public.pem`));
    await (await createVerifier(signer.publicKey)).verify(hello, await signer.sign(hello));
  });
});

describe("what is refused", () => {
  it("other ways of encrypting are named, and those of PBES2 opened", async () => {
    const signer = await createSigner(text("aes128-sha512.encrypted.pem"), { passphrase });
    expect(signer.publicKey.algorithm).toBe("ecdsa-p256-sha256");
    expect(await refused(() => createSigner(text("scrypt.encrypted.pem"), { passphrase }))).toBe("attestation/unknown");
  });

  it("a wrong or missing passphrase; and no message tells it, or the key", async () => {
    const pem = text("prime256v1.encrypted.pem");
    for (const given of [undefined, "", "correct horsf"]) {
      const error: Error = await createSigner(pem, given === undefined ? {} : { passphrase: given }).then(
        () => new Error("opened"),
        (cause) => cause,
      );
      expect(error).toMatchObject({ code: "attestation/key" });
      expect(String(error.stack) + JSON.stringify(error)).not.toMatch(/correct|hors|MI[A-Z]/);
    }
  });

  it("keys of other kinds, and points in another form or off their curve", async () => {
    expect(await refused(() => readPublicKey(text("rsa.public.pem")))).toBe("attestation/unknown");
    expect(await refused(() => readPublicKey(text("secp256k1.public.pem")))).toBe("attestation/unknown");
    expect(await refused(() => readPublicKey(text("compressed.public.pem")))).toBe("attestation/malformed");
    expect(await refused(() => createSigner(text("ed25519.pem")))).toBe("attestation/unknown");
    expect(await refused(() => readPublicKey(text("prime256v1.pkcs8.pem")))).toBe("attestation/malformed");
    const off = await readPublicKey(text("prime256v1.public.pem"));
    const spki = off.spki.slice();
    spki[spki.length - 1]! ^= 1;
    expect(await refused(async () => createVerifier(await readPublicKey(spki)))).toBe("attestation/key");
  });

  it("every bit of a public key: another key, or an error", async () => {
    const { spki, fingerprint } = await readPublicKey(text("prime256v1.public.pem"));
    for (let bit = 0; bit < 8 * spki.length; bit++) {
      const changed = spki.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const got = await readPublicKey(changed).catch((error: AttestationError) => error.code);
      if (typeof got === "string") expect(got).toMatch(/^attestation\//);
      else expect(got.fingerprint).not.toBe(fingerprint);
    }
  });

  it("no passphrase and no leave to go without", async () => {
    const { privateKey } = await generateKeyPair("ecdsa-p256-sha256");
    // @ts-expect-error a passphrase, or unencrypted: true
    await expect(exportPrivateKey(privateKey, {})).rejects.toThrow(TypeError);
    await expect(exportPrivateKey(privateKey, { passphrase: "" })).rejects.toThrow(TypeError);
    // @ts-expect-error no such curve
    await expect(generateKeyPair("rsa")).rejects.toThrow('"algorithm" expected');
  });
});

describe("keys of our own", () => {
  it("are opened by OpenSSL, which Node carries", async () => {
    const { privateKey, publicKey } = await generateKeyPair("ecdsa-p384-sha384");
    const key = await exportPrivateKey(privateKey, { passphrase });
    const opened = createPublicKey(createPrivateKey({ key, passphrase }));
    expect(opened.export({ type: "spki", format: "pem" })).toBe(publicKey.pem);
    expect(() => createPrivateKey({ key, passphrase: "another" })).toThrow();
  });

  it.each(curves)("are written, opened again, and say the same: %s", async (_, algorithm) => {
    const { privateKey, publicKey, signer } = await generateKeyPair(algorithm);
    for (const options of [{ passphrase }, { unencrypted: true }] as const) {
      const again = await createSigner(await exportPrivateKey(privateKey, options), { passphrase });
      expect(again.publicKey).toEqual(publicKey);
      await (await createVerifier(publicKey)).verify(hello, await again.sign(hello));
    }
    const held = await createSigner({ privateKey, publicKey });
    await (await createVerifier(publicKey.pem)).verify(hello, await held.sign(hello));
    await (await createVerifier(publicKey)).verify(hello, await signer.sign(hello));
  });

  it("Ed25519 gives the first vectors of RFC 8032, section 7.1, and OpenSSL's key is read", async () => {
    const seed = Uint8Array.from(
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60".match(/../g)!,
      (digits) => Number.parseInt(digits, 16),
    );
    const signer = ed25519Signer(seed);
    expect(toHex(signer.publicKey.spki.subarray(12))).toBe(
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    );
    const signature = await signer.sign(new Uint8Array());
    expect(toHex(signature)).toBe(
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
    await (await createVerifier(signer.publicKey)).verify(new Uint8Array(), signature);
    await ed25519Verifier(signer.publicKey).verify(new Uint8Array(), signature);
    expect((await readPublicKey(text("ed25519.public.pem"))).algorithm).toBe("ed25519");
  });
});
