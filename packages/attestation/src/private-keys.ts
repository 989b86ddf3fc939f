import { toUtf8 } from "./bytes.ts";
import {
  type DerNode,
  derChildren,
  readDer,
  readDerIdentifier,
  readDerInteger,
  tags,
  writeDer,
  writeDerIdentifier,
  writeDerInteger,
} from "./der.ts";
import { AttestationError, malformed } from "./errors.ts";
import { type Curve, curveOf, curves, ECDSA_KEY } from "./keys.ts";
import { parsePem, toPem } from "./pem.ts";
import { subtle } from "./subtle.ts";

const PBES2 = "1.2.840.113549.1.5.13";
const PBKDF2 = "1.2.840.113549.1.5.12";
const HMACS: Readonly<Record<string, string>> = {
  "1.2.840.113549.2.9": "SHA-256",
  "1.2.840.113549.2.10": "SHA-384",
  "1.2.840.113549.2.11": "SHA-512",
};
const CIPHERS: Readonly<Record<string, number>> = {
  "2.16.840.1.101.3.4.1.2": 128,
  "2.16.840.1.101.3.4.1.22": 192,
  "2.16.840.1.101.3.4.1.42": 256,
};
/** What OWASP asks of PBKDF2 with SHA-256, and what a hostile file may cost at most. */
const ITERATIONS = 600_000;
const MOST_ITERATIONS = 10_000_000;

/** A private key of one of the curves, in PKCS#8. */
export interface PrivateKeyFile {
  readonly algorithm: Curve;
  readonly pkcs8: Uint8Array<ArrayBuffer>;
}

/** Reads "PRIVATE KEY", "ENCRYPTED PRIVATE KEY" or "EC PRIVATE KEY". No message says anything about what is inside. */
export async function readPrivateKey(pem: string, passphrase: string | undefined): Promise<PrivateKeyFile> {
  const blocks = parsePem(pem).filter(({ label }) => label !== "EC PARAMETERS");
  const [block, ...others] = blocks;
  if (block === undefined || others.length > 0) throw malformed(`private key expected one block, got ${blocks.length}`);
  switch (block.label) {
    case "PRIVATE KEY":
      return opened(block.bytes);
    case "EC PRIVATE KEY":
      return opened(wrapped(block.bytes));
    case "ENCRYPTED PRIVATE KEY":
      if (passphrase === undefined)
        throw new AttestationError("attestation/key", "this private key expected a passphrase");
      return opened(await decrypted(block.bytes, passphrase));
    default:
      throw malformed(`private key expected a block "PRIVATE KEY" or "ENCRYPTED PRIVATE KEY", got "${block.label}"`);
  }
}

/** What kind of key a PKCS#8 file holds. */
function opened(pkcs8: Uint8Array<ArrayBuffer>): PrivateKeyFile {
  const [, about] = derChildren(readDer(pkcs8), tags.sequence);
  const [kind, curve] = about === undefined ? [] : derChildren(about, tags.sequence);
  if (kind === undefined) throw malformed("private key expected an algorithm");
  const name = readDerIdentifier(kind);
  if (name !== ECDSA_KEY || curve === undefined) {
    throw new AttestationError(
      "attestation/unknown",
      `private key expected an elliptic curve, got the algorithm ${name}`,
    );
  }
  return { algorithm: curveOf(readDerIdentifier(curve)), pkcs8 };
}

/** PKCS#8 around the older form of a key, RFC 5915. */
function wrapped(sec1: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const parameters = derChildren(readDer(sec1), tags.sequence).find(({ tag }) => tag === 0xa0);
  const curve = parameters && derChildren(parameters)[0];
  if (curve === undefined) throw malformed("private key expected the name of its curve");
  return writeDer(
    tags.sequence,
    writeDerInteger(Uint8Array.of(0)),
    writeDer(tags.sequence, writeDerIdentifier(ECDSA_KEY), curve.bytes),
    writeDer(tags.octetString, sec1),
  );
}

/** Opens PBES2 with PBKDF2 and AES in CBC mode, RFC 8018. */
async function decrypted(der: Uint8Array, passphrase: string): Promise<Uint8Array<ArrayBuffer>> {
  const [about, box] = derChildren(readDer(der), tags.sequence);
  const [scheme, parameters] = about === undefined ? [] : derChildren(about, tags.sequence);
  if (scheme === undefined || parameters === undefined || box?.tag !== tags.octetString) {
    throw malformed("encrypted private key expected an algorithm and its bytes");
  }
  const unknown = (what: string, got: string) =>
    new AttestationError(
      "attestation/unknown",
      `encrypted private key expected ${what}, got ${got}; openssl pkcs8 -topk8 -v2 aes256 makes one`,
    );
  if (readDerIdentifier(scheme) !== PBES2) throw unknown("PBES2", readDerIdentifier(scheme));
  const [derivation, encryption] = derChildren(parameters, tags.sequence);
  const [function_, settings] = derivation === undefined ? [] : derChildren(derivation, tags.sequence);
  const [cipher, vector] = encryption === undefined ? [] : derChildren(encryption, tags.sequence);
  if (function_ === undefined || settings === undefined || cipher === undefined || vector?.tag !== tags.octetString) {
    throw malformed("encrypted private key expected PBKDF2 and a cipher");
  }
  if (readDerIdentifier(function_) !== PBKDF2) throw unknown("PBKDF2", readDerIdentifier(function_));
  const length = CIPHERS[readDerIdentifier(cipher)];
  if (length === undefined || vector.content.length !== 16) throw unknown("AES-CBC", readDerIdentifier(cipher));
  const [salt, count, ...rest] = derChildren(settings, tags.sequence);
  const hmac = rest.find(({ tag }) => tag === tags.sequence);
  const hash = hmac && HMACS[readDerIdentifier(derChildren(hmac)[0] ?? hmac)];
  if (hash === undefined) throw unknown("HMAC with SHA-2", "another one");
  if (salt?.tag !== tags.octetString || count === undefined) throw malformed("PBKDF2 expected a salt and a count");
  const iterations = smallNumber(count);
  if (!(iterations >= 1 && iterations <= MOST_ITERATIONS)) {
    throw new AttestationError("attestation/too-large", `PBKDF2 expected at most ${MOST_ITERATIONS} iterations`);
  }
  try {
    const key = await derivedKey(passphrase, salt.content, iterations, hash, length, "decrypt");
    return new Uint8Array(await subtle().decrypt({ name: "AES-CBC", iv: vector.content }, key, box.content));
  } catch (cause) {
    if (cause instanceof AttestationError) throw cause;
    throw new AttestationError("attestation/key", "this passphrase does not open the private key");
  }
}

function smallNumber(node: DerNode): number {
  const bytes = readDerInteger(node);
  return bytes.length > 4 ? Number.POSITIVE_INFINITY : bytes.reduce((sum, byte) => 256 * sum + byte, 0);
}

async function derivedKey(
  passphrase: string,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
  hash: string,
  length: number,
  use: "encrypt" | "decrypt",
): Promise<CryptoKey> {
  const base = await subtle().importKey("raw", toUtf8(passphrase), "PBKDF2", false, ["deriveKey"]);
  const how = { name: "PBKDF2", salt, iterations, hash };
  return subtle().deriveKey(how, base, { name: "AES-CBC", length }, false, [use]);
}

/** PKCS#8 as PEM: encrypted with a passphrase, as it is without one. */
export async function writePrivateKey(pkcs8: Uint8Array<ArrayBuffer>, passphrase: string | undefined): Promise<string> {
  if (passphrase === undefined) return toPem("PRIVATE KEY", pkcs8);
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = crypto.getRandomValues(new Uint8Array(16));
  const key = await derivedKey(passphrase, salt, ITERATIONS, "SHA-256", 256, "encrypt");
  const box = new Uint8Array(await subtle().encrypt({ name: "AES-CBC", iv }, key, pkcs8));
  const { sequence, octetString } = tags;
  const count = Uint8Array.of(ITERATIONS >> 16, (ITERATIONS >> 8) & 255, ITERATIONS & 255);
  const hmac = writeDer(sequence, writeDerIdentifier("1.2.840.113549.2.9"), writeDer(tags.null));
  const derivation = writeDer(
    sequence,
    writeDerIdentifier(PBKDF2),
    writeDer(sequence, writeDer(octetString, salt), writeDerInteger(count), hmac),
  );
  const cipher = writeDer(sequence, writeDerIdentifier("2.16.840.1.101.3.4.1.42"), writeDer(octetString, iv));
  const about = writeDer(sequence, writeDerIdentifier(PBES2), writeDer(sequence, derivation, cipher));
  return toPem("ENCRYPTED PRIVATE KEY", writeDer(sequence, about, writeDer(octetString, box)));
}

/** How WebCrypto names the algorithm of a curve. */
export const webAlgorithm = (algorithm: Curve) => ({ name: "ECDSA", namedCurve: curves[algorithm].name });
