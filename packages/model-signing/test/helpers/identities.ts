import { concatBytes, toUtf8, writeDer } from "@parapet/attestation";

// Certificates of identities for tests, written as ASN.1 by hand. Nobody signed them: who signed is judged elsewhere.

const SEQUENCE = 0x30;
const bytes = (...hex: readonly string[]) => Uint8Array.from(Buffer.from(hex.join(""), "hex"));
/** Identifiers in DER: ECDSA with SHA-384, the extensions, what Sigstore's own begin with. */
const ids = {
  algorithm: bytes("06082a8648ce3d040303"),
  keyUsage: bytes("0603551d0f"),
  extendedKeyUsage: bytes("0603551d25"),
  alternativeName: bytes("0603551d11"),
  codeSigning: bytes("06082b06010505070303"),
  serverAuthentication: bytes("06082b06010505070301"),
  issuerRaw: bytes("060a2b0601040183bf300101"),
  issuer: bytes("060a2b0601040183bf300108"),
  username: bytes("060a2b0601040183bf300107"),
} as const;

const sequence = (...parts: readonly Uint8Array[]) => writeDer(SEQUENCE, ...parts);
const extension = (id: Uint8Array, content: Uint8Array) => sequence(id, writeDer(0x04, content));

export const mail = (text: string | Uint8Array) => writeDer(0x81, typeof text === "string" ? toUtf8(text) : text);
export const address = (text: string) => writeDer(0x86, toUtf8(text));
export const username = (text: string) => writeDer(0xa0, ids.username, writeDer(0xa0, writeDer(0x0c, toUtf8(text))));

/** A certificate with these names and issuers. */
export function identityCertificate(options: {
  readonly spki: Uint8Array;
  readonly names: readonly Uint8Array[];
  readonly issuer?: string;
  readonly issuerRaw?: string;
  readonly for?: "codeSigning" | "serverAuthentication";
}): Uint8Array {
  const { spki, names, issuer, issuerRaw, for: use = "codeSigning" } = options;
  const extensions = [
    extension(ids.keyUsage, bytes("03020780")),
    extension(ids.extendedKeyUsage, sequence(ids[use])),
    ...(names.length === 0 ? [] : [extension(ids.alternativeName, sequence(...names))]),
    ...(issuerRaw === undefined ? [] : [extension(ids.issuerRaw, toUtf8(issuerRaw))]),
    ...(issuer === undefined ? [] : [extension(ids.issuer, writeDer(0x0c, toUtf8(issuer)))]),
  ];
  const algorithm = sequence(ids.algorithm);
  const body = sequence(
    writeDer(0xa0, writeDer(0x02, Uint8Array.of(2))),
    writeDer(0x02, Uint8Array.of(1)),
    algorithm,
    sequence(),
    sequence(writeDer(0x17, toUtf8("250101000000Z")), writeDer(0x17, toUtf8("350101000000Z"))),
    sequence(),
    spki,
    writeDer(0xa3, sequence(...extensions)),
  );
  return sequence(body, algorithm, writeDer(0x03, concatBytes(Uint8Array.of(0), new Uint8Array(8))));
}
