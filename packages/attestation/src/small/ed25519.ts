import nacl from "tweetnacl";
import { toHex, toUtf8 } from "../bytes.ts";
import { derChildren, readDer, readDerBits, tags } from "../der.ts";
import { AttestationError } from "../errors.ts";
import type { PublicKey } from "../keys.ts";
import { parsePem, toPem } from "../pem.ts";
import type { Signer, Verifier } from "../signer.ts";
import { sha256 } from "./sha256.ts";

const PREFIX = Uint8Array.of(0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00);
/** The order of the group, the smallest byte first. */
const ORDER = Uint8Array.from("edd3f55c1a631258d69cf7a2def9de14".match(/../g)!, (digits) =>
  Number.parseInt(digits, 16),
);

/**
 * A public key of Ed25519 from its 32 bytes or its PEM, without WebCrypto.
 *
 * @param key - 32 bytes, or a PEM block "PUBLIC KEY"
 * @returns the same value as `readPublicKey` of the root entry gives
 * @throws AttestationError `attestation/malformed` or `attestation/unknown`
 *
 * @example
 * ```ts
 * import { ed25519PublicKey } from "@parapet/attestation/small";
 * console.log(ed25519PublicKey(new Uint8Array(32)).algorithm); // => ed25519
 * ```
 *
 * Source: RFC 8410.
 */
export function ed25519PublicKey(key: Uint8Array | string): PublicKey {
  const point = typeof key === "string" ? pointOf(parsePem(key)[0]!.bytes) : key;
  if (point.length !== 32)
    throw new AttestationError("attestation/malformed", `Ed25519 key expected 32 bytes, got ${point.length}`);
  const spki = new Uint8Array(44);
  spki.set(PREFIX);
  spki.set(point, PREFIX.length);
  const pem = toPem("PUBLIC KEY", spki);
  return { algorithm: "ed25519", spki, pem, fingerprint: toHex(sha256(toUtf8(pem))) };
}

function pointOf(spki: Uint8Array): Uint8Array {
  const bits = derChildren(readDer(spki), tags.sequence)[1];
  const isKey = spki.length === 44 && PREFIX.every((byte, i) => spki[i] === byte);
  if (!isKey || bits === undefined)
    throw new AttestationError("attestation/unknown", "public key expected Ed25519, got another kind");
  return readDerBits(bits);
}

/**
 * Proves Ed25519 signatures in JavaScript, in about 6 ms each: for pages without WebCrypto, and small devices. A signature
 * whose number is not below the group's order is refused: such a one could be made of another by anybody.
 *
 * @param key - from `ed25519PublicKey`
 * @returns a verifier
 * @throws AttestationError `attestation/unknown` for another kind of key
 *
 * @example
 * ```ts
 * import { toUtf8 } from "@parapet/attestation";
 * import { ed25519Signer, ed25519Verifier } from "@parapet/attestation/small";
 * const signer = ed25519Signer(new Uint8Array(32));
 * await ed25519Verifier(signer.publicKey).verify(toUtf8("hello"), await signer.sign(toUtf8("hello")));
 * console.log(signer.publicKey.fingerprint.length); // => 64
 * ```
 *
 * Source: RFC 8032, section 5.1.7, by npm tweetnacl.
 */
export function ed25519Verifier(key: PublicKey): Verifier {
  if (key.algorithm !== "ed25519")
    throw new AttestationError("attestation/unknown", `Ed25519 expected a key for it, got one for ${key.algorithm}`);
  const point = pointOf(key.spki);
  return {
    publicKey: key,
    async verify(data, signature) {
      const good =
        signature.length === 64 &&
        isBelowOrder(signature.subarray(32)) &&
        nacl.sign.detached.verify(data, signature, point);
      if (good) return;
      throw new AttestationError(
        "attestation/signature",
        "this is not a signature of the Ed25519 key over these bytes",
      );
    },
  };
}

/** Whether a number of 32 bytes is below 2^252 + 27742317777372353535851937790883648493. */
function isBelowOrder(number: Uint8Array): boolean {
  for (let i = 31; i >= 0; i--) {
    const limit = i === 31 ? 0x10 : i < 16 ? ORDER[i]! : 0;
    if (number[i] !== limit) return number[i]! < limit;
  }
  return false;
}

/**
 * Signs by Ed25519 in JavaScript.
 *
 * @param seed - 32 secret bytes, such as `crypto.getRandomValues` gives
 * @returns a signer
 * @throws RangeError when the seed has another length
 *
 * @example
 * ```ts
 * import { ed25519Signer } from "@parapet/attestation/small";
 * console.log((await ed25519Signer(new Uint8Array(32)).sign(new Uint8Array())).length); // => 64
 * ```
 *
 * Source: RFC 8032, section 5.1.6, by npm tweetnacl.
 */
export function ed25519Signer(seed: Uint8Array): Signer {
  if (seed.length !== 32) throw new RangeError(`"seed" expected 32 bytes, got ${seed.length}`);
  const { publicKey, secretKey } = nacl.sign.keyPair.fromSeed(seed);
  return { publicKey: ed25519PublicKey(publicKey), sign: async (data) => nacl.sign.detached(data, secretKey) };
}
