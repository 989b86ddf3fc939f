import { checkBytes, concatBytes, fromBase64, toBase64, toUtf8 } from "./bytes.ts";
import { AttestationError, malformed } from "./errors.ts";
import type { Json } from "./json.ts";
import type { PublicKey } from "./keys.ts";
import type { Signer, Verifier } from "./signer.ts";

/** A payload and signatures over it and its type. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly signatures: readonly {
    readonly sig: Uint8Array<ArrayBuffer>;
    /** A hint that nobody has signed; nothing here decides by it. */
    readonly keyid: string | null;
  }[];
}

/** More signatures than this are not read. */
const MOST_SIGNATURES = 64;

/**
 * The bytes that are signed: type and payload, each behind its length, so that neither can be taken for the other.
 *
 * @param payloadType - such as "application/vnd.in-toto+json"
 * @param payload - any bytes
 * @returns `DSSEv1 LENGTH TYPE LENGTH PAYLOAD`
 *
 * @example
 * ```ts
 * import { fromUtf8, preAuthenticationEncoding, toUtf8 } from "@parapet/attestation";
 * const encoded = preAuthenticationEncoding("http://example.com/HelloWorld", toUtf8("hello world"));
 * console.log(fromUtf8(encoded)); // => DSSEv1 29 http://example.com/HelloWorld 11 hello world
 * ```
 *
 * Source: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md, version 1.0.
 */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  checkBytes("payload", payload);
  const type = toUtf8(payloadType);
  return concatBytes(toUtf8(`DSSEv1 ${type.length} `), type, toUtf8(` ${payload.length} `), payload);
}

/**
 * Signs a payload.
 *
 * @param payloadType - what the payload is
 * @param payload - the bytes
 * @param signers - one or more; their signatures stand in this order
 * @returns the envelope
 * @throws RangeError when nobody signs
 *
 * @example
 * ```ts
 * import { generateKeyPair, signEnvelope, toUtf8 } from "@parapet/attestation";
 * const { signer } = await generateKeyPair("ecdsa-p256-sha256");
 * const { signatures } = await signEnvelope("text/plain", toUtf8("hello"), [signer]);
 * console.log(signatures.length); // => 1
 * ```
 *
 * Source: as `preAuthenticationEncoding`.
 */
export async function signEnvelope(
  payloadType: string,
  payload: Uint8Array,
  signers: readonly Signer[],
): Promise<Envelope> {
  if (signers.length === 0) throw new RangeError('"signers" expected at least one, got none');
  const bytes = preAuthenticationEncoding(payloadType, payload);
  const signatures = [];
  for (const signer of signers) signatures.push({ sig: Uint8Array.from(await signer.sign(bytes)), keyid: null });
  return { payloadType, payload: Uint8Array.from(payload), signatures };
}

/**
 * An envelope as JSON.
 *
 * @param envelope - from `signEnvelope` or `readEnvelope`
 * @returns the value, for `JSON.stringify`
 *
 * @example
 * ```ts
 * import { envelopeToJson, toUtf8 } from "@parapet/attestation";
 * const json = envelopeToJson({ payloadType: "text/plain", payload: toUtf8("hello"), signatures: [] });
 * console.log((json as { payload: string }).payload); // => aGVsbG8=
 * ```
 */
export function envelopeToJson({ payload, payloadType, signatures }: Envelope): Json {
  return {
    payload: toBase64(payload),
    payloadType,
    signatures: signatures.map(({ sig, keyid }) => ({ sig: toBase64(sig), ...(keyid === null ? {} : { keyid }) })),
  };
}

/**
 * Reads an envelope: the fields of the protocol and no others, base64 in its one form.
 *
 * @param json - from `parseJson`
 * @returns the envelope. Nothing of it is proven yet
 * @throws AttestationError `attestation/malformed`, `attestation/not-canonical` or `attestation/too-large`
 *
 * @example
 * ```ts
 * import { fromUtf8, readEnvelope } from "@parapet/attestation";
 * const { payload } = readEnvelope({ payload: "aGVsbG8=", payloadType: "text/plain", signatures: [{ sig: "AA==" }] });
 * console.log(fromUtf8(payload)); // => hello
 * ```
 */
export function readEnvelope(json: Json): Envelope {
  const { payload, payloadType, signatures } = fields(json, "envelope", ["payload", "payloadType", "signatures"]);
  if (typeof payload !== "string") throw malformed('envelope expected "payload" to be base64');
  if (typeof payloadType !== "string" || payloadType === "")
    throw malformed('envelope expected "payloadType" to be a text');
  if (!Array.isArray(signatures) || signatures.length === 0)
    throw malformed('envelope expected "signatures", got none');
  if (signatures.length > MOST_SIGNATURES) {
    throw new AttestationError("attestation/too-large", `envelope expected at most ${MOST_SIGNATURES} signatures`);
  }
  return {
    payloadType,
    payload: fromBase64(payload),
    signatures: signatures.map((one: Json) => {
      const { sig, keyid = null } = fields(one, "signature", ["sig", "keyid"]);
      if (typeof sig !== "string") throw malformed('signature expected "sig" to be base64');
      if (keyid !== null && typeof keyid !== "string")
        throw malformed('signature expected "keyid" to be a text or null');
      return { sig: fromBase64(sig), keyid };
    }),
  };
}

/** The members of an object that has no others than these. */
function fields(json: Json, what: string, names: readonly string[]): Readonly<Record<string, Json | undefined>> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw malformed(`${what} expected an object`);
  const other = Object.keys(json).find((name) => !names.includes(name));
  if (other !== undefined) throw malformed(`${what} expected no field ${JSON.stringify(other)}`);
  return json as Readonly<Record<string, Json>>;
}

/** What an envelope proves. */
export interface ProvenEnvelope {
  readonly payloadType: string;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** The keys that signed, each once, in the order in which they were asked for. */
  readonly by: readonly PublicKey[];
}

/**
 * Proves that enough of the given keys have signed. A key counts once, however many signatures it made; signatures of
 * other keys are passed over.
 *
 * @param envelope - from `readEnvelope`
 * @param verifiers - the keys that are trusted for this
 * @param options - `threshold`: how many different keys must have signed, default 1
 * @returns the payload, now proven, and the keys that signed it
 * @throws AttestationError `attestation/signature` when no key signed, `attestation/threshold` when too few did
 *
 * @example
 * ```ts
 * import { createVerifier, fromUtf8, generateKeyPair, signEnvelope, toUtf8, verifyEnvelope } from "@parapet/attestation";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const envelope = await signEnvelope("text/plain", toUtf8("hello"), [signer]);
 * const { payload } = await verifyEnvelope(envelope, [await createVerifier(publicKey)]);
 * console.log(fromUtf8(payload)); // => hello
 * ```
 *
 * Source: as `preAuthenticationEncoding`.
 */
export async function verifyEnvelope(
  envelope: Envelope,
  verifiers: readonly Verifier[],
  options: { readonly threshold?: number } = {},
): Promise<ProvenEnvelope> {
  const { threshold = 1 } = options;
  if (!(Number.isSafeInteger(threshold) && threshold >= 1)) {
    throw new RangeError(`"threshold" expected a whole number >= 1, got ${threshold}`);
  }
  const { payload, payloadType, signatures } = envelope;
  const bytes = preAuthenticationEncoding(payloadType, payload);
  const by = new Map<string, PublicKey>();
  for (const { publicKey, verify } of verifiers) {
    const key = publicKey.fingerprint;
    for (const { sig } of by.has(key) ? [] : signatures.slice(0, MOST_SIGNATURES)) {
      try {
        await verify(bytes, sig);
      } catch (error) {
        if (isRefusal(error)) continue;
        throw error;
      }
      by.set(key, publicKey);
      break;
    }
  }
  if (by.size >= threshold) return { payloadType, payload, by: [...by.values()] };
  const trusted = new Set(verifiers.map(({ publicKey }) => publicKey.fingerprint)).size;
  if (by.size === 0) {
    throw new AttestationError(
      "attestation/signature",
      `envelope expected a signature of one of ${trusted} trusted key${trusted === 1 ? "" : "s"}, got none: it was changed, or somebody else signed it`,
    );
  }
  throw new AttestationError(
    "attestation/threshold",
    `envelope expected ${threshold} trusted keys to have signed, got ${by.size}`,
  );
}

/** A signature of another kind of key is no reason to stop; a platform that cannot verify is. */
function isRefusal(error: unknown): boolean {
  const code = (error as Partial<AttestationError>)?.code;
  return code === "attestation/signature" || code === "attestation/malformed" || code === "attestation/not-canonical";
}
