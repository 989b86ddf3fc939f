import { ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";
import { checkBytes } from "../bytes.ts";
import { AttestationError } from "../errors.ts";
import { ML_DSA_65_BYTES, type PublicKey, publicKeyFrom, readPublicKey } from "../keys.ts";
import type { Signer, Verifier } from "../signer.ts";

const SIGNATURE_BYTES = 3309;

/**
 * Signs by ML-DSA-65, which a quantum computer is not known to break: the pure form, without a context, each signature with
 * fresh randomness.
 *
 * @param seed - 32 secret bytes, such as `crypto.getRandomValues` gives
 * @returns a signer; signatures have 3,309 bytes
 * @throws RangeError when the seed has another length
 *
 * @example
 * ```ts
 * import { mlDsaSigner } from "@parapet/attestation/extensions";
 * const signer = await mlDsaSigner(new Uint8Array(32));
 * console.log(signer.publicKey.algorithm, (await signer.sign(new Uint8Array())).length); // => ml-dsa-65 3309
 * ```
 *
 * Source: FIPS 204, algorithms 1, 2 and 6, by npm @noble/post-quantum.
 */
export async function mlDsaSigner(seed: Uint8Array): Promise<Signer> {
  checkBytes("seed", seed);
  if (seed.length !== 32) throw new RangeError(`"seed" expected 32 bytes, got ${seed.length}`);
  const { publicKey, secretKey } = ml_dsa65.keygen(Uint8Array.from(seed));
  return {
    publicKey: await publicKeyFrom("ml-dsa-65", publicKey),
    sign: async (data) => {
      checkBytes("data", data);
      return ml_dsa65.sign(data, secretKey);
    },
  };
}

/**
 * Proves signatures of ML-DSA-65: the pure form, without a context.
 *
 * @param key - from `readPublicKey`, or the PEM
 * @returns a verifier
 * @throws AttestationError `attestation/unknown` for another kind of key, and as `readPublicKey`
 *
 * @example
 * ```ts
 * import { toUtf8 } from "@parapet/attestation";
 * import { mlDsaSigner, mlDsaVerifier } from "@parapet/attestation/extensions";
 * const { publicKey, sign } = await mlDsaSigner(new Uint8Array(32));
 * const { verify } = await mlDsaVerifier(publicKey.pem);
 * await verify(toUtf8("hello"), await sign(toUtf8("hello")));
 * const refusal = await verify(toUtf8("other"), await sign(toUtf8("hello"))).catch((error) => error);
 * console.log(refusal.code); // => attestation/signature
 * ```
 *
 * Source: FIPS 204, algorithms 3 and 8, by npm @noble/post-quantum.
 */
export async function mlDsaVerifier(key: PublicKey | string): Promise<Verifier> {
  const publicKey = typeof key === "string" ? await readPublicKey(key) : key;
  if (publicKey.algorithm !== "ml-dsa-65") {
    throw new AttestationError("attestation/unknown", `ML-DSA-65 expected its own key, got ${publicKey.algorithm}`);
  }
  const bytes = Uint8Array.from(publicKey.spki.subarray(-ML_DSA_65_BYTES));
  return {
    publicKey,
    async verify(data, signature) {
      checkBytes("data", data);
      checkBytes("signature", signature);
      if (signature.length === SIGNATURE_BYTES && ml_dsa65.verify(signature, data, bytes)) return;
      throw new AttestationError(
        "attestation/signature",
        `this is not a signature of the key ${publicKey.fingerprint.slice(0, 16)}... (ml-dsa-65) over these bytes`,
      );
    },
  };
}
