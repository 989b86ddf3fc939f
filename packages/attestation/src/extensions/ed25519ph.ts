import { ed25519ph } from "@noble/curves/ed25519.js";
import { checkBytes } from "../bytes.ts";
import { AttestationError } from "../errors.ts";
import { type PublicKey, publicKeyFrom, readPublicKey } from "../keys.ts";
import type { Signer, Verifier } from "../signer.ts";

/**
 * Signs by Ed25519ph: Ed25519 over the SHA-512 of the bytes, without a context. Another algorithm than Ed25519, with the same
 * keys: a signature of one is none of the other.
 *
 * @param seed - 32 secret bytes, such as `crypto.getRandomValues` gives
 * @returns a signer; its key is the one of Ed25519 with that seed, called "ed25519ph"
 * @throws RangeError when the seed has another length
 *
 * @example
 * ```ts
 * import { ed25519phSigner } from "@parapet/attestation/extensions";
 * const signer = await ed25519phSigner(new Uint8Array(32));
 * console.log(signer.publicKey.algorithm, (await signer.sign(new Uint8Array())).length); // => ed25519ph 64
 * ```
 *
 * Source: RFC 8032, section 5.1, by npm @noble/curves.
 */
export async function ed25519phSigner(seed: Uint8Array): Promise<Signer> {
  checkBytes("seed", seed);
  if (seed.length !== 32) throw new RangeError(`"seed" expected 32 bytes, got ${seed.length}`);
  const secret = Uint8Array.from(seed);
  const key = await publicKeyFrom("ed25519", ed25519ph.getPublicKey(secret));
  return {
    publicKey: { ...key, algorithm: "ed25519ph" },
    sign: async (data) => {
      checkBytes("data", data);
      return ed25519ph.sign(data, secret);
    },
  };
}

/**
 * Proves signatures of Ed25519ph, by the strict rules of RFC 8032: no number that is not below the group's order, no point in
 * two forms.
 *
 * @param key - of Ed25519: from `readPublicKey`, or the PEM
 * @returns a verifier; its key is called "ed25519ph"
 * @throws AttestationError `attestation/unknown` for another kind of key, and as `readPublicKey`
 *
 * @example
 * ```ts
 * import { toUtf8 } from "@parapet/attestation";
 * import { ed25519phSigner, ed25519phVerifier } from "@parapet/attestation/extensions";
 * import { ed25519Signer } from "@parapet/attestation/small";
 * const seed = new Uint8Array(32);
 * const { publicKey, sign } = await ed25519phSigner(seed);
 * const { verify } = await ed25519phVerifier(publicKey);
 * await verify(toUtf8("hello"), await sign(toUtf8("hello")));
 * const pure = await ed25519Signer(seed).sign(toUtf8("hello"));
 * const refusal = await verify(toUtf8("hello"), pure).catch((error) => error);
 * console.log(refusal.code); // => attestation/signature
 * ```
 *
 * Source: RFC 8032, section 5.1.7, by npm @noble/curves.
 */
export async function ed25519phVerifier(key: PublicKey | string): Promise<Verifier> {
  const read = typeof key === "string" ? await readPublicKey(key) : key;
  if (read.algorithm !== "ed25519" && read.algorithm !== "ed25519ph") {
    throw new AttestationError("attestation/unknown", `Ed25519ph expected a key of Ed25519, got ${read.algorithm}`);
  }
  const point = Uint8Array.from(read.spki.subarray(-32));
  return {
    publicKey: { ...read, algorithm: "ed25519ph" },
    async verify(data, signature) {
      checkBytes("data", data);
      checkBytes("signature", signature);
      if (signature.length === 64 && ed25519ph.verify(signature, data, point, { zip215: false })) return;
      throw new AttestationError(
        "attestation/signature",
        `this is not a signature of the key ${read.fingerprint.slice(0, 16)}... (ed25519ph) over these bytes`,
      );
    },
  };
}
