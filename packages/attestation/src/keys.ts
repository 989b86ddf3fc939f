import { concatBytes, toHex, toUtf8 } from "./bytes.ts";
import {
  type DerNode,
  derChildren,
  readDer,
  readDerBits,
  readDerIdentifier,
  tags,
  writeDer,
  writeDerIdentifier,
} from "./der.ts";
import { AttestationError, malformed } from "./errors.ts";
import { parsePem, toPem } from "./pem.ts";
import { sha256 } from "./sha256.ts";

/** What signatures are made with. The hash of ECDSA goes with its curve. */
export type KeyAlgorithm =
  | "ecdsa-p256-sha256"
  | "ecdsa-p384-sha384"
  | "ecdsa-p521-sha512"
  | "ed25519"
  | "ed25519ph"
  | "ml-dsa-65";

/** A public key. Plain data: it can be written down, compared and shown. */
export interface PublicKey {
  readonly algorithm: KeyAlgorithm;
  /** The key in its DER form, SubjectPublicKeyInfo. */
  readonly spki: Uint8Array<ArrayBuffer>;
  /** The same as OpenSSL prints it. */
  readonly pem: string;
  /** SHA-256 of `pem`, in hexadecimal digits: by this a key is named, here and in OpenSSF model signatures. */
  readonly fingerprint: string;
}

/** The three curves: their identifiers, what WebCrypto calls them, and the bytes of their fields. */
export const curves = {
  "ecdsa-p256-sha256": { identifier: "1.2.840.10045.3.1.7", name: "P-256", hash: "SHA-256", size: 32 },
  "ecdsa-p384-sha384": { identifier: "1.3.132.0.34", name: "P-384", hash: "SHA-384", size: 48 },
  "ecdsa-p521-sha512": { identifier: "1.3.132.0.35", name: "P-521", hash: "SHA-512", size: 66 },
} as const;

/** A curve, with the hash that goes with it. */
export type Curve = keyof typeof curves;

/** Elliptic-curve keys, and keys that are known by their identifier alone, by what X.509 calls them. */
export const ECDSA_KEY = "1.2.840.10045.2.1";
export const ML_DSA_65_BYTES = 1952;
const plain = {
  ed25519: { identifier: "1.3.101.112", name: "Ed25519", size: 32 },
  "ml-dsa-65": { identifier: "2.16.840.1.101.3.4.3.18", name: "ML-DSA-65", size: ML_DSA_65_BYTES },
} as const;
type Plain = keyof typeof plain;

/** The curve with an identifier. */
export function curveOf(identifier: string): Curve {
  const found = (Object.keys(curves) as Curve[]).find((name) => curves[name].identifier === identifier);
  if (found === undefined) {
    throw new AttestationError(
      "attestation/unknown",
      `key expected P-256, P-384 or P-521, got the curve ${identifier}`,
    );
  }
  return found;
}

/**
 * Reads a public key: an elliptic curve by its name with its point in full, Ed25519, or ML-DSA-65. Whether the point lies on
 * its curve is seen when a verifier is made of it.
 *
 * @param key - PEM ("PUBLIC KEY", one block), or the DER inside
 * @returns the key
 * @throws AttestationError `attestation/malformed`, `attestation/not-canonical`, or `attestation/unknown` for keys of
 *   another kind, such as RSA
 *
 * @example
 * ```ts
 * import { generateKeyPair, readPublicKey } from "@parapet/attestation";
 * const { publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * console.log((await readPublicKey(publicKey.pem)).fingerprint === publicKey.fingerprint); // => true
 * ```
 *
 * Source: RFC 5280, section 4.1; RFC 5480; RFC 8410; RFC 9881, section 4.
 */
export async function readPublicKey(key: string | Uint8Array): Promise<PublicKey> {
  let der: Uint8Array;
  if (typeof key === "string") {
    const [block, ...others] = parsePem(key);
    if (block!.label !== "PUBLIC KEY" || others.length > 0) {
      throw malformed(
        `public key expected one block "PUBLIC KEY", got "${block!.label}"${others.length > 0 ? " and others" : ""}`,
      );
    }
    der = block!.bytes;
  } else der = key;
  const algorithm = algorithmOf(readDer(der));
  const spki = Uint8Array.from(der);
  const pem = toPem("PUBLIC KEY", spki);
  return { algorithm, spki, pem, fingerprint: toHex(await sha256(toUtf8(pem))) };
}

function algorithmOf(node: DerNode): KeyAlgorithm {
  const [about, bits, ...more] = derChildren(node, tags.sequence);
  if (about === undefined || bits === undefined || more.length > 0) throw malformed("public key expected two parts");
  const [identifier, parameters, ...others] = derChildren(about, tags.sequence);
  if (identifier === undefined || others.length > 0) throw malformed("public key expected an algorithm");
  const kind = readDerIdentifier(identifier);
  const point = readDerBits(bits);
  const alone = (Object.keys(plain) as Plain[]).find((one) => plain[one].identifier === kind);
  if (alone !== undefined) {
    const { name, size } = plain[alone];
    if (parameters !== undefined || point.length !== size)
      throw malformed(`${name} key expected ${size} bytes and no parameters`);
    return alone;
  }
  if (kind !== ECDSA_KEY) {
    throw new AttestationError(
      "attestation/unknown",
      `public key expected ECDSA, Ed25519 or ML-DSA-65, got the algorithm ${kind}`,
    );
  }
  if (parameters === undefined) throw malformed("public key expected the name of its curve");
  const curve = curveOf(readDerIdentifier(parameters));
  if (point[0] !== 4 || point.length !== 1 + 2 * curves[curve].size) {
    throw malformed(`public key expected an uncompressed point of ${1 + 2 * curves[curve].size} bytes`);
  }
  return curve;
}

/**
 * A public key of Ed25519 or ML-DSA-65 from its bytes, or of a curve from its point.
 *
 * @param algorithm - of the key
 * @param point - 32 bytes, 1,952 bytes, or 4, x and y
 * @returns the key
 * @throws AttestationError as `readPublicKey`
 *
 * @example
 * ```ts
 * import { publicKeyFrom } from "@parapet/attestation";
 * console.log((await publicKeyFrom("ed25519", new Uint8Array(32))).spki.length); // => 44
 * ```
 */
export async function publicKeyFrom(algorithm: Curve | "ed25519" | "ml-dsa-65", point: Uint8Array): Promise<PublicKey> {
  const about =
    algorithm in plain
      ? writeDer(tags.sequence, writeDerIdentifier(plain[algorithm as Plain].identifier))
      : writeDer(
          tags.sequence,
          writeDerIdentifier(ECDSA_KEY),
          writeDerIdentifier(curves[algorithm as Curve].identifier),
        );
  return readPublicKey(writeDer(tags.sequence, about, writeDer(tags.bitString, concatBytes(Uint8Array.of(0), point))));
}
