import {
  type Envelope,
  envelopeToJson,
  fromBase64,
  fromUtf8,
  type Json,
  parseJson,
  readEnvelope,
  statementMediaType,
  toBase64,
} from "@parapet/attestation";
import { closed, type Form, object } from "./manifest.ts";
import { problem } from "./problem.ts";

/** By what a signature is proven. */
export type Material =
  | { readonly method: "key"; readonly hint: string }
  | { readonly method: "certificate"; readonly certificates: readonly Uint8Array<ArrayBuffer>[] }
  | { readonly method: "sigstore"; readonly certificate: Uint8Array<ArrayBuffer>; readonly bundle: Json };

/** A bundle that was read. Nothing of it is proven yet. */
export interface Bundle {
  readonly material: Material;
  readonly envelope: Envelope;
  readonly forms: readonly Form[];
}

const MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const malformed = (message: string) => problem("model-signing/malformed", message);

/** Writes a bundle as text, its fields in one order. */
export function writeBundle(envelope: Envelope, material: Exclude<Material, { method: "sigstore" }>): string {
  const proof =
    material.method === "key"
      ? { publicKey: { hint: material.hint } }
      : { x509CertificateChain: { certificates: material.certificates.map((der) => ({ rawBytes: toBase64(der) })) } };
  return JSON.stringify({
    mediaType: MEDIA_TYPE,
    verificationMaterial: { ...proof, tlogEntries: [] },
    dsseEnvelope: envelopeToJson(envelope),
  });
}

/**
 * Reads a bundle: a Sigstore bundle v0.3 around one DSSE signature over an in-toto statement.
 *
 * @param source - the file
 * @returns how it is to be proven, and the envelope
 */
export function readBundle(source: Uint8Array | string): Bundle {
  const json = parseJson(source, { maxDepth: 16 });
  const { mediaType, verificationMaterial, dsseEnvelope } = closed(json, "bundle", [
    "mediaType",
    "verificationMaterial",
    "dsseEnvelope",
  ]);
  if (mediaType !== MEDIA_TYPE)
    throw problem("model-signing/unsupported", `bundle expected the media type ${MEDIA_TYPE}`);
  if (verificationMaterial === undefined || dsseEnvelope === undefined) {
    throw malformed('bundle expected "verificationMaterial" and "dsseEnvelope"');
  }
  const envelope = readEnvelope(dsseEnvelope);
  if (envelope.payloadType !== statementMediaType) throw malformed(`envelope expected the type ${statementMediaType}`);
  if (envelope.signatures.length !== 1)
    throw malformed(`envelope expected one signature, got ${envelope.signatures.length}`);
  const forms: Form[] = [];
  return { material: readMaterial(verificationMaterial, json, forms), envelope, forms };
}

function readMaterial(json: Json, bundle: Json, forms: Form[]): Material {
  const { publicKey, x509CertificateChain, certificate, tlogEntries, timestampVerificationData } = closed(
    json,
    "verificationMaterial",
    ["publicKey", "x509CertificateChain", "certificate", "tlogEntries", "timestampVerificationData"],
  );
  const kinds = [publicKey, x509CertificateChain, certificate].filter((kind) => kind !== undefined);
  if (kinds.length !== 1)
    throw malformed(`verificationMaterial expected one of a key, a chain or a certificate, got ${kinds.length}`);
  if (tlogEntries !== undefined && !Array.isArray(tlogEntries)) throw malformed('"tlogEntries" expected a list');
  if (certificate !== undefined) {
    const entries = tlogEntries?.length ?? 0;
    if (entries === 0 || entries > 16)
      throw malformed(`the bundle of an identity expected 1 to 16 entries of a log, got ${entries}`);
    return { method: "sigstore", certificate: readCertificateBytes(certificate), bundle };
  }
  if (tlogEntries === undefined) forms.push("without-tlog-entries");
  if ((tlogEntries?.length ?? 0) > 0 || timestampVerificationData !== undefined) {
    throw problem(
      "model-signing/unsupported",
      "bundle expected no log entries or timestamps beside a key or a chain: they are not proven here",
    );
  }
  if (publicKey !== undefined) return { method: "key", hint: readHint(publicKey, forms) };
  const { certificates } = closed(x509CertificateChain!, "x509CertificateChain", ["certificates"]);
  if (!Array.isArray(certificates) || certificates.length === 0 || certificates.length > 16) {
    throw malformed("x509CertificateChain expected 1 to 16 certificates");
  }
  return {
    method: "certificate",
    certificates: certificates.map(readCertificateBytes),
  };
}

function readCertificateBytes(json: Json): Uint8Array<ArrayBuffer> {
  const { rawBytes } = closed(json, "certificate", ["rawBytes"]);
  if (typeof rawBytes !== "string") throw malformed('certificate expected "rawBytes"');
  return fromBase64(rawBytes);
}

/** The key's fingerprint; older bundles carry its PEM, from which nothing is taken but the text. */
function readHint(json: Json, forms: Form[]): string {
  if (object(json, "publicKey").rawBytes === undefined) {
    const { hint } = closed(json, "publicKey", ["hint"]);
    if (typeof hint !== "string" || !/^[0-9a-f]{64}$/.test(hint))
      throw malformed('publicKey expected a "hint" of 64 hexadecimal digits');
    return hint;
  }
  forms.push("public-key-as-raw-bytes");
  const { rawBytes } = closed(json, "publicKey", ["rawBytes", "keyDetails"]);
  if (typeof rawBytes !== "string") throw malformed('publicKey expected "rawBytes"');
  return fromUtf8(fromBase64(rawBytes));
}
