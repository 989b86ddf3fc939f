import {
  type AttestationError,
  createVerifier,
  fromHex,
  type Json,
  olpcJson,
  type PublicKey,
  parsePem,
  publicKeyFrom,
  readPublicKey,
  sha256,
  toHex,
  type Verifier,
} from "@parapet/attestation";
import { updateError } from "./errors.ts";
import { asDigits, asObject, asText, field, type JsonObject, malformed } from "./fields.ts";

/** A public key as metadata names it. */
export interface UpdateKey {
  /** SHA-256 of the key's canonical form. */
  readonly keyid: string;
  readonly keytype: string;
  readonly scheme: string;
  /** PEM, or for Ed25519 64 hexadecimal digits. */
  readonly public: string;
}

/** A key that is ready to prove signatures. */
export interface OpenKey {
  /** The same for every description of the same key, so that one key never counts as two. */
  readonly identity: string;
  readonly verify: (data: Uint8Array, signature: Uint8Array) => Promise<void>;
}

/** Makes a verifier of a key: the default is WebCrypto's; `ed25519Verifier` serves pages without Ed25519. */
export type VerifierOf = (key: PublicKey) => Verifier | Promise<Verifier>;

const schemes: Readonly<Record<string, PublicKey["algorithm"]>> = {
  ed25519: "ed25519",
  "ecdsa-sha2-nistp256": "ecdsa-p256-sha256",
  "ecdsa-sha2-nistp384": "ecdsa-p384-sha384",
};
/** Old repositories name the scheme of an elliptic curve as the type of the key. */
const keytypes: Readonly<Record<string, readonly string[]>> = {
  ed25519: ["ed25519"],
  "ecdsa-sha2-nistp256": ["ecdsa", "ecdsa-sha2-nistp256"],
  "ecdsa-sha2-nistp384": ["ecdsa", "ecdsa-sha2-nistp384"],
  "rsassa-pss-sha256": ["rsa"],
};

/** The identifier that TUF gives a key: it covers every field, known or not. */
export async function keyidOf(key: Json): Promise<string> {
  return toHex(await sha256(olpcJson(key)));
}

/** Reads a table of keys. Each identifier must be that of its key; a key of an unknown kind may stand there, and proves nothing. */
export async function readKeys(value: Json | undefined, where: string): Promise<ReadonlyMap<string, UpdateKey>> {
  const keys = new Map<string, UpdateKey>();
  for (const [keyid, json] of Object.entries(asObject(value, where))) {
    const place = `${where} ${keyid.slice(0, 8)}`;
    asDigits(keyid, place, 64, 64);
    const key = asObject(json, place);
    const right = await keyidOf(key);
    if (right !== keyid) throw malformed(place, `the identifier ${right} of its key`, keyid);
    const keyval = asObject(field(key, "keyval"), `${place} keyval`);
    keys.set(keyid, {
      keyid,
      keytype: asText(field(key, "keytype"), `${place} keytype`),
      scheme: asText(field(key, "scheme"), `${place} scheme`),
      public: asText(field(keyval, "public"), `${place} public`),
    });
  }
  return keys;
}

/** A public key in the form that metadata has it. */
export function keyToJson(key: PublicKey): JsonObject {
  const scheme = Object.keys(schemes).find((name) => schemes[name] === key.algorithm);
  if (scheme === undefined) {
    throw new TypeError(
      `"key" expected Ed25519 or ECDSA on P-256 or P-384, as updates are signed; got ${key.algorithm}`,
    );
  }
  const text = scheme === "ed25519" ? toHex(key.spki.subarray(-32)) : key.pem;
  return { keytype: scheme === "ed25519" ? scheme : "ecdsa", scheme, keyval: { public: text } };
}

/**
 * Opens a key. Throws `model-signing/update-unsupported` for kinds that are not known, or that the platform does not have, and
 * `model-signing/update-malformed` for keys that are damaged: both mean that its signatures do not count.
 */
export async function openKey(key: UpdateKey, verifierOf: VerifierOf = createVerifier): Promise<OpenKey> {
  const where = `key ${key.keyid.slice(0, 16)}...`;
  if (!(Object.hasOwn(keytypes, key.scheme) && keytypes[key.scheme]!.includes(key.keytype))) {
    const known = Object.keys(keytypes).join(", ");
    throw updateError("model-signing/update-unsupported", where, `one of ${known}`, `${key.keytype} ${key.scheme}`);
  }
  try {
    if (key.scheme === "rsassa-pss-sha256") return await openRsa(key.public, where);
    const algorithm = schemes[key.scheme]!;
    const publicKey =
      algorithm === "ed25519"
        ? await publicKeyFrom("ed25519", fromHex(asDigits(key.public, where, 64, 64)))
        : await readPublicKey(key.public);
    if (publicKey.algorithm !== algorithm) throw malformed(where, `a key of ${key.scheme}`, publicKey.algorithm);
    const { verify } = await verifierOf(publicKey);
    return { identity: publicKey.fingerprint, verify };
  } catch (cause) {
    const { code, message } = cause as AttestationError;
    if (!String(code).startsWith("attestation/")) throw cause;
    const missing = code === "attestation/unsupported";
    const why = missing ? "model-signing/update-unsupported" : "model-signing/update-malformed";
    throw updateError(why, where, `a key of ${key.scheme}`, message, { cause });
  }
}

/** RSA with PSS, SHA-256 and a salt of 32 bytes: keys of 2048 bits at least, and few enough that a proof is quick. */
async function openRsa(pem: string, where: string): Promise<OpenKey> {
  const [block, ...others] = parsePem(pem);
  if (block!.label !== "PUBLIC KEY" || others.length > 0)
    throw malformed(where, 'one block "PUBLIC KEY"', block!.label);
  const { subtle } = globalThis.crypto;
  let opened: CryptoKey;
  try {
    opened = await subtle.importKey("spki", block!.bytes, { name: "RSA-PSS", hash: "SHA-256" }, false, ["verify"]);
  } catch {
    throw malformed(where, "a key of RSA", "another one");
  }
  const { modulusLength } = opened.algorithm as RsaHashedKeyAlgorithm;
  if (modulusLength < 2048 || modulusLength > 8192) throw malformed(where, "2048 to 8192 bits", modulusLength);
  return {
    identity: toHex(await sha256(block!.bytes)),
    async verify(data, signature) {
      const [bytes, text] = [signature, data] as Uint8Array<ArrayBuffer>[];
      if (await subtle.verify({ name: "RSA-PSS", saltLength: 32 }, opened, bytes!, text!)) return;
      throw updateError("model-signing/update-signature", where, "a signature of it", "another one");
    },
  };
}
