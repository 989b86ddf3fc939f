import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, toUtf8 } from "@parapet/attestation";
import { expected } from "@parapet/core";
import { type HashFunction, portableHash } from "../merkle/tree.ts";
import { type DatasetRecord, recordBytes } from "./record.ts";

/** Bytes of a salt, of a commitment and of a hash. */
export const WIDTH = 32;

const RECORD = toUtf8("urn:parapet:record:v1");
const SALT = toUtf8("urn:parapet:salt:v1");
const SECRET = toUtf8("urn:parapet:salt-secret:v1");

function checkSalt(salt: unknown): void {
  const isSalt = salt instanceof Uint8Array && salt.length === WIDTH;
  if (!isSalt) throw new TypeError(expected("salt", "32 bytes", (salt as Uint8Array)?.length ?? salt));
}

function checkSecret(secret: unknown): void {
  const isSecret = secret instanceof Uint8Array && secret.length >= WIDTH;
  if (!isSecret) throw new TypeError(expected("secret", "at least 32 bytes", (secret as Uint8Array)?.length ?? secret));
}

/** The commitment to the canonical bytes of a record. */
export const commitmentOf = (salt: Uint8Array, canonical: Uint8Array, hash: HashFunction): Uint8Array =>
  hash(concatBytes(RECORD, salt, canonical));

/** The salt of the canonical bytes of a record. */
export const saltOf = (secret: Uint8Array, canonical: Uint8Array): Uint8Array =>
  hmac.create(sha256, secret).update(SALT).update(canonical).digest();

/**
 * The commitment to a record: it binds to the record, and hides it from whoever does not have the salt. A plain hash would tell
 * anyone who can guess a record whether it was there.
 *
 * `SHA-256("urn:parapet:record:v1" || salt || recordBytes(record))`, the text in ASCII.
 *
 * @param salt - 32 bytes that belong to this record alone
 * @param record - as `recordBytes` takes it
 * @param hash - SHA-256; default: in JavaScript. Node's own is faster: `nodeHash256` of `./node`
 * @returns 32 bytes
 * @throws TypeError for a salt of another length, and as `recordBytes`
 *
 * @example
 * ```ts
 * import { toHex } from "@parapet/attestation";
 * import { recordCommitment } from "@parapet/provenance";
 * const salt = new Uint8Array(32).fill(7); // a real one is random
 * console.log(toHex(recordCommitment(salt, { a: 1 })).slice(0, 16)); // => 8322d6e444f6d3fb
 * ```
 *
 * Source: the format is this package's own; the hash is that of FIPS 180-4.
 */
export function recordCommitment(
  salt: Uint8Array,
  record: DatasetRecord,
  hash: HashFunction = portableHash,
): Uint8Array {
  checkSalt(salt);
  return commitmentOf(salt, recordBytes(record), hash);
}

/**
 * The salt that a secret gives a record, of datasets whose salts are derived: `HMAC-SHA-256(secret, "urn:parapet:salt:v1" ||
 * recordBytes(record))`. Who has the secret can make the commitment of any record, and so show that it is absent.
 *
 * @param secret - at least 32 bytes from a secure source
 * @param record - as `recordBytes` takes it
 * @returns 32 bytes
 * @throws TypeError for a shorter secret, and as `recordBytes`
 *
 * @example
 * ```ts
 * import { derivedSalt } from "@parapet/provenance";
 * const secret = new Uint8Array(32).fill(7); // a real one is random
 * console.log(derivedSalt(secret, { a: 1 }).length); // => 32
 * ```
 *
 * Source: RFC 2104.
 */
export function derivedSalt(secret: Uint8Array, record: DatasetRecord): Uint8Array {
  checkSecret(secret);
  return saltOf(secret, recordBytes(record));
}

/**
 * What a manifest says of the secret of derived salts, in `notes.saltSecret`: an auditor who is given the secret sees that it is
 * the one. `SHA-256("urn:parapet:salt-secret:v1" || secret)`.
 *
 * @param secret - at least 32 bytes
 * @returns 32 bytes
 * @throws TypeError for a shorter secret
 *
 * @example
 * ```ts
 * import { saltSecretDigest } from "@parapet/provenance";
 * console.log(saltSecretDigest(new Uint8Array(32).fill(7)).length); // => 32
 * ```
 */
export function saltSecretDigest(secret: Uint8Array): Uint8Array {
  checkSecret(secret);
  return portableHash(concatBytes(SECRET, secret));
}
