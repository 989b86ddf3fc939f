import { checkBytes } from "./bytes.ts";
import { ecdsaFromDer, ecdsaToDer } from "./ecdsa.ts";
import { AttestationError } from "./errors.ts";
import { type Curve, curves, type KeyAlgorithm, type PublicKey, readPublicKey } from "./keys.ts";
import { readPrivateKey, webAlgorithm, writePrivateKey } from "./private-keys.ts";
import { subtle } from "./subtle.ts";

/** What signs: a key of this platform, or anything else that can, such as a key service or a hardware token. */
export interface Signer {
  readonly publicKey: PublicKey;
  /** The signature over the bytes; for ECDSA in DER, over the hash that goes with the curve. */
  readonly sign: (data: Uint8Array) => Promise<Uint8Array>;
}

/** What proves signatures of one key. */
export interface Verifier {
  readonly publicKey: PublicKey;
  /** Resolves when the signature is good, and rejects with `attestation/signature` when it is not. */
  readonly verify: (data: Uint8Array, signature: Uint8Array) => Promise<void>;
}

/** A fresh pair of keys. */
export interface KeyPair {
  readonly signer: Signer;
  readonly publicKey: PublicKey;
  /** To be kept by `exportPrivateKey`. */
  readonly privateKey: CryptoKey;
}

const refused = (publicKey: PublicKey) =>
  new AttestationError(
    "attestation/signature",
    `this is not a signature of the key ${publicKey.fingerprint.slice(0, 16)}... (${publicKey.algorithm}) over these bytes`,
  );

/**
 * Makes a verifier of a public key: ECDSA, or Ed25519 where the platform has it.
 *
 * @param key - from `readPublicKey`, or the PEM
 * @returns the verifier
 * @throws AttestationError `attestation/key` when the point is not on its curve, `attestation/unsupported` when the
 *   platform does not have the algorithm
 *
 * @example
 * ```ts
 * import { createVerifier, generateKeyPair, toUtf8 } from "@parapet/attestation";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p384-sha384");
 * const { verify } = await createVerifier(publicKey);
 * await verify(toUtf8("hello"), await signer.sign(toUtf8("hello")));
 * const refusal = await verify(toUtf8("other"), await signer.sign(toUtf8("hello"))).catch((error) => error);
 * console.log(refusal.code); // => attestation/signature
 * ```
 *
 * Source: FIPS 186-5; RFC 8032.
 */
export async function createVerifier(key: PublicKey | string): Promise<Verifier> {
  const publicKey = typeof key === "string" ? await readPublicKey(key) : key;
  const { algorithm, spki } = publicKey;
  if (algorithm === "ed25519") {
    const opened = await imported(algorithm, spki, { name: "Ed25519" });
    return {
      publicKey,
      async verify(data, signature) {
        const good = await subtle().verify({ name: "Ed25519" }, opened, web(signature, "signature"), web(data, "data"));
        if (!good) throw refused(publicKey);
      },
    };
  }
  if (!(algorithm in curves)) throw unsupported(algorithm);
  const { hash, size } = curves[algorithm as Curve];
  const opened = await imported(algorithm, spki, webAlgorithm(algorithm as Curve));
  return {
    publicKey,
    async verify(data, signature) {
      const raw = ecdsaFromDer(web(signature, "signature"), size);
      if (!(await subtle().verify({ name: "ECDSA", hash }, opened, raw, web(data, "data")))) throw refused(publicKey);
    },
  };
}

const unsupported = (algorithm: KeyAlgorithm, cause?: unknown) =>
  new AttestationError("attestation/unsupported", `this platform's WebCrypto does not have ${algorithm}`, { cause });

async function imported(algorithm: KeyAlgorithm, spki: Uint8Array<ArrayBuffer>, how: EcKeyImportParams | Algorithm) {
  try {
    return await subtle().importKey("spki", spki, how, false, ["verify"]);
  } catch (cause) {
    if ((cause as Error)?.name === "NotSupportedError") throw unsupported(algorithm, cause);
    throw new AttestationError("attestation/key", `public key expected a point on the curve of ${algorithm}`, {
      cause,
    });
  }
}

function web(bytes: Uint8Array, name: string): Uint8Array<ArrayBuffer> {
  checkBytes(name, bytes);
  return bytes as Uint8Array<ArrayBuffer>;
}

/**
 * Makes a signer of a private key.
 *
 * @param key - PEM ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY" or "EC PRIVATE KEY"), or a key of WebCrypto with its public
 *   half, which may be one that cannot be taken out
 * @param options - the passphrase of an encrypted key. It comes from the environment, a prompt or a file, never from the
 *   command line, which other users of the machine can read
 * @returns the signer
 * @throws AttestationError `attestation/key` when the passphrase is wrong or missing, and as `readPublicKey`
 *
 * @example
 * ```ts
 * import { createSigner, exportPrivateKey, generateKeyPair } from "@parapet/attestation";
 * const { privateKey, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const pem = await exportPrivateKey(privateKey, { passphrase: "correct horse" });
 * const signer = await createSigner(pem, { passphrase: "correct horse" });
 * console.log(signer.publicKey.fingerprint === publicKey.fingerprint); // => true
 * ```
 */
export async function createSigner(
  key: string | { readonly privateKey: CryptoKey; readonly publicKey: PublicKey },
  options: { readonly passphrase?: string } = {},
): Promise<Signer> {
  if (typeof key !== "string") return signerOf(key.privateKey, key.publicKey);
  const { algorithm, pkcs8 } = await readPrivateKey(key, options.passphrase);
  const how = webAlgorithm(algorithm);
  try {
    const open = await subtle().importKey("pkcs8", pkcs8, how, true, ["sign"]);
    // The public half is the private key without its secret number.
    const { d: _, key_ops: __, ...half } = await subtle().exportKey("jwk", open);
    const other = await subtle().importKey("jwk", half, how, true, ["verify"]);
    const publicKey = await readPublicKey(new Uint8Array(await subtle().exportKey("spki", other)));
    return signerOf(await subtle().importKey("pkcs8", pkcs8, how, false, ["sign"]), publicKey);
  } catch (cause) {
    if (cause instanceof AttestationError) throw cause;
    throw new AttestationError("attestation/key", `private key expected a number of the curve of ${algorithm}`);
  }
}

function signerOf(privateKey: CryptoKey, publicKey: PublicKey): Signer {
  const { algorithm } = publicKey;
  if (algorithm === "ed25519") {
    return {
      publicKey,
      sign: async (data) => new Uint8Array(await subtle().sign("Ed25519", privateKey, web(data, "data"))),
    };
  }
  if (!(algorithm in curves)) throw unsupported(algorithm);
  const { hash } = curves[algorithm as Curve];
  return {
    publicKey,
    async sign(data) {
      return ecdsaToDer(new Uint8Array(await subtle().sign({ name: "ECDSA", hash }, privateKey, web(data, "data"))));
    },
  };
}

/**
 * Makes a new pair of keys, from the platform's source of randomness.
 *
 * @param algorithm - a curve; P-256 where nothing speaks for another one
 * @returns signer, public key, and the private key, which can be taken out once by `exportPrivateKey`
 * @throws AttestationError `attestation/unsupported`
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * console.log((await generateKeyPair("ecdsa-p256-sha256")).publicKey.fingerprint.length); // => 64
 * ```
 */
export async function generateKeyPair(algorithm: Curve): Promise<KeyPair> {
  if (!(algorithm in curves))
    throw new TypeError(`"algorithm" expected ${Object.keys(curves).join(", ")}, got ${algorithm}`);
  let pair: CryptoKeyPair;
  try {
    pair = await subtle().generateKey(webAlgorithm(algorithm), true, ["sign", "verify"]);
  } catch (cause) {
    if (cause instanceof AttestationError) throw cause;
    throw unsupported(algorithm, cause);
  }
  const publicKey = await readPublicKey(new Uint8Array(await subtle().exportKey("spki", pair.publicKey)));
  return { signer: signerOf(pair.privateKey, publicKey), publicKey, privateKey: pair.privateKey };
}

/**
 * Writes a private key as PEM: PKCS#8, encrypted by AES-256 under a key that PBKDF2 makes of the passphrase in 600,000
 * rounds. OpenSSL reads it.
 *
 * @param key - an extractable private key of a curve
 * @param options - the passphrase; or `unencrypted: true`, for keys that something else protects
 * @returns PEM
 * @throws TypeError when neither is given; AttestationError `attestation/key` when the key cannot be taken out
 *
 * @example
 * ```ts
 * import { exportPrivateKey, generateKeyPair } from "@parapet/attestation";
 * const { privateKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const pem = await exportPrivateKey(privateKey, { passphrase: "correct horse" });
 * console.log(pem.split("\n")[0]); // => -----BEGIN ENCRYPTED PRIVATE KEY-----
 * ```
 *
 * Source: RFC 8018 (PBES2); RFC 5958.
 */
export async function exportPrivateKey(
  key: CryptoKey,
  options: { readonly passphrase: string } | { readonly unencrypted: true },
): Promise<string> {
  const passphrase = "passphrase" in options ? options.passphrase : undefined;
  if (passphrase === undefined ? !("unencrypted" in options && options.unencrypted) : passphrase === "") {
    throw new TypeError('"passphrase" expected some text, or "unencrypted" true, got neither');
  }
  let pkcs8: Uint8Array<ArrayBuffer>;
  try {
    pkcs8 = new Uint8Array(await subtle().exportKey("pkcs8", key));
  } catch {
    throw new AttestationError("attestation/key", "this private key cannot be taken out: generate it as extractable");
  }
  return writePrivateKey(pkcs8, passphrase);
}
