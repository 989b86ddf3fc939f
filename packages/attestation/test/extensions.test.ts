import { readFileSync } from "node:fs";
import { createVerifier, fromHex, publicKeyFrom, readPublicKey, sha256, toHex, toUtf8 } from "@parapet/attestation";
import { ed25519phSigner, ed25519phVerifier, mlDsaSigner, mlDsaVerifier } from "@parapet/attestation/extensions";
import { ed25519PublicKey, ed25519Signer, ed25519Verifier } from "@parapet/attestation/small";
import { describe, expect, it } from "vitest";

const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "proven",
    (error: { code?: string; name: string }) => error.code ?? error.name,
  );
const FUZZ = Number(process.env.PARAPET_FUZZ ?? 2000);

// RFC 8032, section 7.3: the test "abc".
const seed = fromHex("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42");
const point = "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf";
const signature =
  "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406";

describe("Ed25519ph", () => {
  it("is that of RFC 8032", async () => {
    const signer = await ed25519phSigner(seed);
    expect(toHex(signer.publicKey.spki.subarray(-32))).toBe(point);
    expect(toHex(await signer.sign(toUtf8("abc")))).toBe(signature);
    const key = await publicKeyFrom("ed25519", signer.publicKey.spki.subarray(-32));
    for (const form of [key, key.pem, signer.publicKey]) {
      const { publicKey, verify } = await ed25519phVerifier(form);
      expect(publicKey).toEqual({ ...key, algorithm: "ed25519ph" });
      await verify(toUtf8("abc"), fromHex(signature));
      expect(await code(verify(toUtf8("abd"), fromHex(signature)))).toBe("attestation/signature");
    }
  });

  it("every bit of a signature counts, its length too", async () => {
    const { publicKey } = await ed25519phSigner(seed);
    const { verify } = await ed25519phVerifier(publicKey);
    for (let bit = 0; bit < Math.min(512, FUZZ / 8); bit++) {
      const changed = fromHex(signature);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(await code(verify(toUtf8("abc"), changed)), `bit ${bit}`).toBe("attestation/signature");
    }
    for (const length of [0, 1, 63])
      expect(await code(verify(toUtf8("abc"), fromHex(signature).slice(0, length)))).toBe("attestation/signature");
    expect(await code(verify(toUtf8("abc"), new Uint8Array(65)))).toBe("attestation/signature");
  });

  it("a number beyond the group's order, and the key that is none, prove nothing", async () => {
    const { publicKey } = await ed25519phSigner(seed);
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const good = fromHex(signature);
    let number = good.slice(32).reduceRight((sum, byte) => 256n * sum + BigInt(byte), 0n) + order;
    const beyond = good.slice();
    for (let i = 32; i < 64; i++, number >>= 8n) beyond[i] = Number(number & 255n);
    const { verify } = await ed25519phVerifier(publicKey);
    expect(await code(verify(toUtf8("abc"), beyond))).toBe("attestation/signature");
    // The neutral point as a key, and as R with the number 0, would prove any bytes.
    const neutral = await publicKeyFrom(
      "ed25519",
      Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0)),
    );
    const all = Uint8Array.from({ length: 64 }, (_, i) => (i === 0 ? 1 : 0));
    expect(await code((await ed25519phVerifier(neutral)).verify(toUtf8("abc"), all))).toBe("attestation/signature");
  });

  it("is not Ed25519, and the other way round", async () => {
    const pure = ed25519Signer(seed);
    const hashed = await ed25519phSigner(seed);
    expect(pure.publicKey.fingerprint).toBe(hashed.publicKey.fingerprint);
    const data = toUtf8("abc");
    const { verify } = await ed25519phVerifier(pure.publicKey);
    expect(await code(verify(data, await pure.sign(data)))).toBe("attestation/signature");
    const byHash = new Uint8Array(await crypto.subtle.digest("SHA-512", data));
    expect(await code(verify(data, await pure.sign(byHash)))).toBe("attestation/signature");
    expect(await code(ed25519Verifier(pure.publicKey).verify(data, await hashed.sign(data)))).toBe(
      "attestation/signature",
    );
    expect(await code((await createVerifier(pure.publicKey)).verify(data, await hashed.sign(data)))).toBe(
      "attestation/signature",
    );
    // A key that is called otherwise is not taken.
    expect(() => ed25519Verifier(hashed.publicKey)).toThrow(/expected a key for it/);
    expect(await code(createVerifier(hashed.publicKey))).toBe("attestation/unsupported");
  });

  it("refuses seeds and keys of other kinds", async () => {
    expect(await code(ed25519phSigner(new Uint8Array(31)))).toBe("RangeError");
    expect(await code(ed25519phSigner("x" as never))).toBe("TypeError");
    expect(await code(ed25519phVerifier((await mlDsaSigner(seed)).publicKey))).toBe("attestation/unknown");
    expect(
      await code(
        (await ed25519phVerifier(ed25519PublicKey(new Uint8Array(32).fill(7)))).verify(
          "x" as never,
          new Uint8Array(64),
        ),
      ),
    ).toBe("TypeError");
  });
});

interface Case {
  readonly seed: string;
  readonly pem: string;
  readonly message: string;
  readonly signature: string;
  readonly withContext: string;
}
// Made by another implementation: vectors/extensions/generate.py.
const { cases } = JSON.parse(readFileSync(new URL("vectors/extensions/ml-dsa-65.json", import.meta.url), "utf8")) as {
  readonly cases: readonly Case[];
};

describe("ML-DSA-65", () => {
  it.each(cases)("keys and signatures of OpenSSL: $seed", async ({ seed: from, pem, message, ...made }) => {
    const key = await readPublicKey(pem);
    expect(key).toMatchObject({ algorithm: "ml-dsa-65", pem, fingerprint: toHex(await sha256(toUtf8(pem))) });
    expect(await publicKeyFrom("ml-dsa-65", key.spki.subarray(-1952))).toEqual(key);
    const signer = await mlDsaSigner(fromHex(from));
    expect(signer.publicKey).toEqual(key);
    const { verify } = await mlDsaVerifier(pem);
    await verify(fromHex(message), fromHex(made.signature));
    expect(await code(verify(fromHex(message), fromHex(made.withContext)))).toBe("attestation/signature");
    expect(await code(verify(fromHex(`${message}00`), fromHex(made.signature)))).toBe("attestation/signature");
    // Each signature has its own randomness.
    const [one, two] = [await signer.sign(fromHex(message)), await signer.sign(fromHex(message))];
    expect(toHex(one)).not.toBe(toHex(two));
    for (const own of [one, two]) await verify(fromHex(message), own);
  });

  it("bits of a signature and of a key count, lengths too", async () => {
    const { pem, message, signature: hex } = cases[1]!;
    const { verify, publicKey } = await mlDsaVerifier(pem);
    const data = fromHex(message);
    const count = Math.min(8 * 3309, FUZZ / 20);
    for (let i = 0; i < count; i++) {
      const changed = fromHex(hex);
      const bit = Math.floor((i * 8 * changed.length) / count);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(await code(verify(data, changed)), `bit ${bit}`).toBe("attestation/signature");
      const spki = publicKey.spki.slice();
      spki[spki.length - 1 - (i % 1952)]! ^= 1 << (i & 7);
      const other = await mlDsaVerifier(await readPublicKey(spki));
      expect(await code(other.verify(data, fromHex(hex)))).toBe("attestation/signature");
    }
    for (const length of [0, 1, 3308])
      expect(await code(verify(data, fromHex(hex).slice(0, length)))).toBe("attestation/signature");
    expect(await code(verify(data, new Uint8Array(3310)))).toBe("attestation/signature");
  });

  it("refuses seeds, and keys of other kinds, lengths or with parameters", async () => {
    expect(await code(mlDsaSigner(new Uint8Array(33)))).toBe("RangeError");
    expect(await code(mlDsaVerifier(ed25519PublicKey(new Uint8Array(32))))).toBe("attestation/unknown");
    expect(await code(publicKeyFrom("ml-dsa-65", new Uint8Array(1312)))).toBe("attestation/malformed");
    const key = await readPublicKey(cases[0]!.pem);
    expect(await code(createVerifier(key))).toBe("attestation/unsupported");
    // The identifiers of ML-DSA-44 and -87 are one below and one above.
    for (const last of [0x11, 0x13]) {
      const spki = key.spki.slice();
      expect(spki[16]).toBe(0x12);
      spki[16] = last;
      expect(await code(readPublicKey(spki))).toBe("attestation/unknown");
    }
  });
});
