import {
  concatBytes,
  createVerifier,
  type PublicKey,
  publicKeyFrom,
  readPublicKey,
  type Signer,
  toBase64,
  toHex,
  toUtf8,
  type Verifier,
} from "@parapet/attestation";
import { checkNumber, expected } from "@parapet/core";
import { portableHash } from "../merkle/tree.ts";
import { problem, shown } from "../problem.ts";
import { base64Of, malformed, plainText } from "./text.ts";

/** What a key of notes is used for: to sign them, or, with a time, to cosign checkpoints as a witness. */
export type NoteKeyType = "ed25519" | "ecdsa-p256-sha256" | "cosignature/v1";

/** A key that notes are signed with, as far as everybody may know it. */
export interface NoteKey {
  /** Such as "example.com/log"; with `id` it tells the key from others. */
  readonly name: string;
  /** 32 bits: not enough to trust, enough to find the key. */
  readonly id: number;
  readonly type: NoteKeyType;
  /** The key in one line: `name+id+base64`. */
  readonly text: string;
}

/** What proves signatures of one key on notes. */
export interface NoteVerifier extends NoteKey {
  /** Resolves with the time, in seconds, at which a witness signed; rejects when the signature is not good. */
  readonly verify: (text: string, signature: Uint8Array) => Promise<{ readonly time?: number }>;
}

/** What signs notes. */
export interface NoteSigner extends NoteKey {
  readonly publicKey: PublicKey;
  readonly sign: (text: string) => Promise<Uint8Array>;
}

const types: Readonly<Record<NoteKeyType, number>> = { ed25519: 1, "ecdsa-p256-sha256": 2, "cosignature/v1": 4 };

/** An Ed25519 key's SubjectPublicKeyInfo is these 12 bytes and the key. */
const ED25519_PREFIX = 12;

function checkName(name: string): string {
  if (typeof name !== "string") throw new TypeError(expected("name", "text", name));
  if (name === "" || /[\p{White_Space}+]/u.test(name)) {
    throw malformed(`key name expected text without blanks and "+", got ${shown(name)}`);
  }
  return plainText(name, "key name");
}

/** The key's bytes behind its type: 32 bytes for Ed25519, otherwise its SubjectPublicKeyInfo. */
function keyOf(name: string, type: NoteKeyType, publicKey: PublicKey): NoteKey {
  checkName(name);
  const wanted = type === "ecdsa-p256-sha256" ? type : "ed25519";
  if (!Object.hasOwn(types, type)) throw new TypeError(expected("type", Object.keys(types).join(", "), type));
  if (publicKey.algorithm !== wanted) throw new TypeError(expected("publicKey", wanted, publicKey.algorithm));
  const bytes = wanted === "ed25519" ? publicKey.spki.subarray(ED25519_PREFIX) : publicKey.spki;
  const material = concatBytes(Uint8Array.of(types[type]), bytes);
  const id = idOf(name, material);
  return { name, id, type, text: `${name}+${id.toString(16).padStart(8, "0")}+${toBase64(material)}` };
}

/** ECDSA keys are named by the hash of the key alone: so the first logs did it. */
function idOf(name: string, material: Uint8Array): number {
  const named =
    material[0] === types["ecdsa-p256-sha256"] ? material.subarray(1) : concatBytes(toUtf8(`${name}\n`), material);
  return Number.parseInt(toHex(portableHash(named).subarray(0, 4)), 16);
}

/** What a witness signs: its time, and the checkpoint's text. */
const cosigned = (time: number, text: string) => toUtf8(`cosignature/v1\ntime ${time}\n${text}`);

/**
 * Makes a signer of notes: Ed25519, ECDSA on P-256, or a witness of checkpoints.
 *
 * @param name - the key's name, without blanks and "+"; for a log its origin
 * @param signer - of an Ed25519 or P-256 key
 * @param options - `type`: "cosignature/v1" for a witness, otherwise the key's algorithm; `now`: gives the time in milliseconds
 *   that a witness signs, by default the clock
 * @returns the signer; `text` is the line by which others verify
 * @throws TypeError when the type does not go with the key; `provenance/malformed` when the name is none;
 *   `provenance/unsupported` for other algorithms
 *
 * @example
 * ```ts
 * import { ed25519Signer } from "@parapet/attestation/small";
 * import { noteSigner } from "@parapet/provenance";
 * const { text } = noteSigner("example.com/log", ed25519Signer(new Uint8Array(32)));
 * console.log(text); // => example.com/log+1dde4531+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop
 * ```
 *
 * Source: https://c2sp.org/signed-note, "Signature types"; https://c2sp.org/tlog-cosignature, "Ed25519 signed message".
 */
export function noteSigner(
  name: string,
  signer: Signer,
  options: { readonly type?: NoteKeyType; readonly now?: () => number } = {},
): NoteSigner {
  const { publicKey } = signer;
  const { type = plainType(publicKey), now = Date.now } = options;
  const key = keyOf(name, type, publicKey);
  if (type !== "cosignature/v1") return { ...key, publicKey, sign: (text) => signer.sign(toUtf8(text)) };
  return {
    ...key,
    publicKey,
    async sign(text) {
      const time = Math.floor(checkNumber("now()", now(), { min: 0 }) / 1000);
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, BigInt(time));
      return concatBytes(bytes, await signer.sign(cosigned(time, text)));
    },
  };
}

function plainType({ algorithm }: PublicKey): NoteKeyType {
  if (algorithm === "ed25519" || algorithm === "ecdsa-p256-sha256") return algorithm;
  throw problem("provenance/unsupported", `notes expected a key of ed25519 or ecdsa-p256-sha256, got ${algorithm}`);
}

/**
 * Makes a verifier of notes from a key's line.
 *
 * @param text - `name+id+base64`, as logs and witnesses publish it
 * @param makeVerifier - proves signatures of a key; by default the platform's WebCrypto does. `ed25519Verifier` of
 *   `@parapet/attestation/small` works everywhere
 * @returns the verifier
 * @throws `provenance/malformed`, or `provenance/unsupported` for a type that is not known here
 *
 * @example
 * ```ts
 * import { noteVerifier } from "@parapet/provenance";
 * const key = await noteVerifier("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
 * console.log(key.name, key.type); // => example.com/foo ed25519
 * ```
 *
 * Source: https://c2sp.org/signed-note, "Verifier keys".
 */
export async function noteVerifier(
  text: string,
  makeVerifier: (key: PublicKey) => Verifier | Promise<Verifier> = createVerifier,
): Promise<NoteVerifier> {
  const [, name, digits, base64] = /^([^+]+)\+([0-9a-f]{8})\+(.*)$/su.exec(plainText(text, "verifier key")) ?? [];
  if (name === undefined || digits === undefined || base64 === undefined || base64.length > 200) {
    throw malformed(`verifier key expected name+8 digits+base64, got ${shown(text)}`);
  }
  checkName(name);
  const material = base64Of(base64, "verifier key");
  const type = (Object.keys(types) as NoteKeyType[]).find((one) => types[one] === material[0]);
  if (type === undefined) {
    throw problem("provenance/unsupported", `verifier key expected the type 1, 2 or 4, got ${material[0] ?? "none"}`);
  }
  if (idOf(name, material) !== Number.parseInt(digits, 16)) {
    throw malformed(`verifier key expected the id of its name and key, got another one: ${digits}`);
  }
  let verifier: Verifier;
  try {
    const bytes = material.subarray(1);
    verifier = await makeVerifier(
      await (type === "ecdsa-p256-sha256" ? readPublicKey(bytes) : publicKeyFrom("ed25519", bytes)),
    );
  } catch (cause) {
    if ((cause as { code?: string }).code === "attestation/unsupported") throw cause;
    throw malformed("verifier key expected a key of its type", cause);
  }
  if (type === "ecdsa-p256-sha256" && verifier.publicKey.algorithm !== type) {
    throw problem("provenance/unsupported", `verifier key expected P-256, got ${verifier.publicKey.algorithm}`);
  }
  return {
    ...keyOf(name, type, verifier.publicKey),
    verify: (note, signature) => verify(type, verifier, note, signature),
  };
}

async function verify(type: NoteKeyType, { verify }: Verifier, text: string, signature: Uint8Array) {
  if (type !== "cosignature/v1") {
    await verify(toUtf8(text), signature);
    return {};
  }
  if (signature.length !== 72) throw malformed(`cosignature expected 72 bytes, got ${signature.length}`);
  const { buffer, byteOffset } = signature;
  const time = Number(new DataView(buffer, byteOffset, 8).getBigUint64(0));
  if (!Number.isSafeInteger(time)) throw malformed("cosignature expected a time below 2^53 seconds");
  await verify(cosigned(time, text), signature.subarray(8));
  return { time };
}
