import {
  type DerNode,
  derChildren,
  ecdsaFromDer,
  equalBytes,
  fromUtf8,
  type PublicKey,
  readDer,
  readDerBits,
  readDerIdentifier,
  readDerInteger,
  readPublicKey,
  sha256,
  tags,
  toHex,
} from "@parapet/attestation";
import { problem } from "./problem.ts";

/** What of an X.509 certificate decides whether it may sign. */
export interface Certificate {
  readonly der: Uint8Array;
  /** SHA-256 of the certificate, in hexadecimal digits. */
  readonly fingerprint: string;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** The common name, for people; "" where there is none. */
  readonly commonName: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spki: Uint8Array<ArrayBuffer>;
  /** The signed part, the signature and its algorithm. */
  readonly signed: Uint8Array<ArrayBuffer>;
  readonly signature: Uint8Array<ArrayBuffer>;
  readonly algorithm: string;
  /** From the extensions; undefined where there is none of the kind. */
  readonly authority: { readonly isAuthority: boolean; readonly pathLength: number | undefined } | undefined;
  readonly keyUsage: number | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  /** A critical extension that is not known here. */
  readonly unknown: string | undefined;
  /** What all of its extensions hold, by their identifiers. */
  readonly extensions: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

const malformed = (message: string) => problem("model-signing/malformed", message);
const CODE_SIGNING = "1.3.6.1.5.5.7.3.3";
const BASIC_CONSTRAINTS = "2.5.29.19";
const KEY_USAGE = "2.5.29.15";
const EXTENDED_KEY_USAGE = "2.5.29.37";
const isRead = [BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE];
/** Certificates of a path, the trusted one among them. */
const LONGEST = 9;
/** Names and identifiers of keys: they say nothing about what a certificate may do. */
const HARMLESS = ["2.5.29.14", "2.5.29.17", "2.5.29.18", "2.5.29.35"];

/**
 * Reads an X.509 certificate of version 3.
 *
 * Source: RFC 5280, section 4.
 */
export async function readCertificate(der: Uint8Array): Promise<Certificate> {
  const [body, algorithm, bits, ...more] = derChildren(readDer(der), tags.sequence);
  if (body === undefined || algorithm === undefined || bits === undefined || more.length > 0) {
    throw malformed("certificate expected three parts");
  }
  const [version, serial, inner, issuer, validity, subject, key, ...rest] = derChildren(body, tags.sequence);
  if (version?.tag !== 0xa0 || version.content.join() !== "2,1,2") throw malformed("certificate expected version 3");
  if (serial?.tag !== tags.integer || key === undefined) throw malformed("certificate expected its fields");
  if (!equalBytes(inner!.bytes, algorithm.bytes)) throw malformed("certificate expected one algorithm, got two");
  const [from, to] = derChildren(validity!, tags.sequence);
  if (from === undefined || to === undefined) throw malformed("certificate expected a validity");
  const extensions = rest.find(({ tag }) => tag === 0xa3);
  return {
    der,
    fingerprint: toHex(await sha256(der)),
    issuer: issuer!.bytes,
    subject: subject!.bytes,
    commonName: commonName(subject!),
    notBefore: time(from),
    notAfter: time(to),
    spki: key.bytes,
    signed: body.bytes,
    signature: readDerBits(bits),
    algorithm: readDerIdentifier(derChildren(algorithm, tags.sequence)[0] ?? algorithm),
    ...readExtensions(
      extensions === undefined ? [] : derChildren(derChildren(extensions)[0] ?? extensions, tags.sequence),
    ),
  };
}

function readExtensions(extensions: readonly DerNode[]) {
  let authority: Certificate["authority"];
  let keyUsage: number | undefined;
  let extendedKeyUsage: readonly string[] | undefined;
  let unknown: string | undefined;
  const contents = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const extension of extensions) {
    const parts = derChildren(extension, tags.sequence);
    const name = parts[0] === undefined ? "" : readDerIdentifier(parts[0]);
    const critical = parts.length === 3 && parts[1]!.tag === tags.boolean && parts[1]!.content[0] === 0xff;
    const value = parts.at(-1);
    if (value?.tag !== tags.octetString || contents.has(name))
      throw malformed("certificate expected each extension once, with a value");
    contents.set(name, value.content);
    if (!isRead.includes(name)) {
      if (critical && !HARMLESS.includes(name)) unknown = name;
      continue;
    }
    const content = readDer(value.content);
    if (name === BASIC_CONSTRAINTS) {
      const members = derChildren(content, tags.sequence);
      const isAuthority = members[0]?.tag === tags.boolean && members[0].content[0] === 0xff;
      const limit = members.find(({ tag }) => tag === tags.integer);
      authority = {
        isAuthority,
        pathLength: limit && readDerInteger(limit).reduce((sum, byte) => 256 * sum + byte, 0),
      };
    } else if (name === KEY_USAGE) {
      if (content.tag !== tags.bitString || content.content.length < 2) throw malformed("key usage expected bits");
      keyUsage = content.content[1]!;
    } else if (name === EXTENDED_KEY_USAGE) {
      extendedKeyUsage = derChildren(content, tags.sequence).map(readDerIdentifier);
    }
  }
  return { authority, keyUsage, extendedKeyUsage, unknown, extensions: contents };
}

function commonName(name: DerNode): string {
  for (const set of derChildren(name, tags.sequence)) {
    for (const pair of derChildren(set, tags.set)) {
      const [kind, value] = derChildren(pair, tags.sequence);
      if (kind !== undefined && value !== undefined && readDerIdentifier(kind) === "2.5.4.3")
        return fromUtf8(value.content);
    }
  }
  return "";
}

/** UTCTime and GeneralizedTime, in seconds and UTC: RFC 5280, section 4.1.2.5. */
function time({ tag, content }: DerNode): Date {
  const text = fromUtf8(content);
  const pattern = tag === 0x17 ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
  const found = tag === 0x17 || tag === 0x18 ? pattern.exec(text) : null;
  if (found === null) throw malformed("certificate expected a time in UTC");
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const full = tag === 0x17 ? year + (year < 50 ? 2000 : 1900) : year;
  return new Date(Date.UTC(full, month - 1, day, hour, minute, second));
}

/** How WebCrypto proves what X.509 calls by these numbers. */
const RSA: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.11": "SHA-256",
  "1.2.840.113549.1.1.12": "SHA-384",
  "1.2.840.113549.1.1.13": "SHA-512",
};
const ECDSA: Readonly<Record<string, string>> = {
  "1.2.840.10045.4.3.2": "SHA-256",
  "1.2.840.10045.4.3.3": "SHA-384",
  "1.2.840.10045.4.3.4": "SHA-512",
};

/** Whether a certificate was signed by the key of another. */
async function isSignedBy(certificate: Certificate, authority: Certificate): Promise<boolean> {
  const { algorithm, signed, signature } = certificate;
  const { subtle } = globalThis.crypto;
  try {
    if (Object.hasOwn(RSA, algorithm)) {
      const how = { name: "RSASSA-PKCS1-v1_5", hash: RSA[algorithm]! };
      const key = await subtle.importKey("spki", authority.spki, how, true, ["verify"]);
      if ((key.algorithm as RsaHashedKeyAlgorithm).modulusLength < 2048) return false;
      return await subtle.verify(how, key, signature, signed);
    }
    if (Object.hasOwn(ECDSA, algorithm)) {
      const key = await readPublicKey(authority.spki);
      const [namedCurve, size] = ({ "ecdsa-p256-sha256": ["P-256", 32], "ecdsa-p384-sha384": ["P-384", 48] } as const)[
        key.algorithm as "ecdsa-p256-sha256"
      ] ?? ["P-521", 66];
      const opened = await subtle.importKey("spki", key.spki, { name: "ECDSA", namedCurve }, false, ["verify"]);
      return await subtle.verify(
        { name: "ECDSA", hash: ECDSA[algorithm]! },
        opened,
        ecdsaFromDer(signature, size),
        signed,
      );
    }
  } catch {
    return false;
  }
  return false;
}

/**
 * Proves that a chain leads from its first certificate to a trusted one, and that the first may sign code at that time.
 *
 * @param chain - the bundle's certificates, the signer's first
 * @param roots - certificates that are trusted
 * @param now - when it must be valid, all of it
 * @returns the signer's certificate and its key
 *
 * Source: RFC 5280, section 6; OpenSSF Model Signing 1.0, section 8.
 */
export async function verifyChain(
  chain: readonly Uint8Array[],
  roots: readonly Uint8Array[],
  now: Date,
): Promise<{ readonly certificate: Certificate; readonly key: PublicKey; readonly path: readonly Certificate[] }> {
  const given = await Promise.all(chain.map(readCertificate));
  const trusted = await Promise.all(roots.map(readCertificate));
  const [leaf, ...others] = given;
  const refuse = (why: string) => problem("model-signing/certificate", `certificate "${leaf!.commonName}" ${why}`);
  if (leaf === undefined) throw malformed("chain expected a certificate");
  checkSigner(leaf);
  const reasons: string[] = [];
  const path = await search(leaf, others, trusted, now, reasons);
  if (path === undefined)
    throw refuse(reasons[0] ?? "expected to lead to a trusted certificate, got a chain that does not");
  return { certificate: leaf, key: await readPublicKey(leaf.spki), path };
}

/** Refuses a certificate that is not for signing code. */
export function checkSigner({ commonName, keyUsage, extendedKeyUsage }: Certificate): void {
  const refuse = (why: string) => problem("model-signing/certificate", `certificate "${commonName}" ${why}`);
  if (keyUsage !== undefined && (keyUsage & 0x80) === 0) throw refuse("expected the key usage digital signature");
  if (extendedKeyUsage?.includes(CODE_SIGNING) !== true) throw refuse("expected the extended key usage code signing");
}

/**
 * Walks up from the signer's certificate to a trusted one, level by level. Each certificate is met once, at its shortest distance,
 * where it may do most: whatever somebody puts into a bundle, the signatures tried are at most the square of their number.
 */
async function search(
  leaf: Certificate,
  others: readonly Certificate[],
  trusted: readonly Certificate[],
  now: Date,
  reasons: string[],
): Promise<readonly Certificate[] | undefined> {
  const met = new Set([leaf.fingerprint]);
  let paths: (readonly Certificate[])[] = [[leaf]];
  for (let below = 0; below < LONGEST && paths.length > 0; below++) {
    const longer: (readonly Certificate[])[] = [];
    for (const path of paths) {
      const last = path.at(-1)!;
      const why = flawOf(last, below, now);
      if (why !== undefined) {
        reasons.push(why);
        continue;
      }
      if (trusted.some(({ fingerprint }) => fingerprint === last.fingerprint)) return path;
      for (const next of [...trusted, ...others]) {
        if (met.has(next.fingerprint) || !equalBytes(next.subject, last.issuer)) continue;
        if (!(await isSignedBy(last, next))) continue;
        met.add(next.fingerprint);
        longer.push([...path, next]);
      }
    }
    paths = longer;
  }
  return undefined;
}

/** What keeps a certificate from its place in a path; `below` are the certificates before it. */
function flawOf(certificate: Certificate, below: number, now: Date): string | undefined {
  const { notBefore, notAfter, unknown, authority, keyUsage, commonName } = certificate;
  const name = below === 0 ? "" : `leads to "${commonName}", which `;
  if (now < notBefore) return `${name}is not valid before ${notBefore.toISOString()}, now is ${now.toISOString()}`;
  if (now > notAfter) return `${name}expired at ${notAfter.toISOString()}, now is ${now.toISOString()}`;
  if (unknown !== undefined) return `${name}has a critical extension ${unknown} that is not known here`;
  if (below === 0) return undefined;
  if (authority?.isAuthority !== true) return `${name}is no certificate authority`;
  if (keyUsage !== undefined && (keyUsage & 0x04) === 0) return `${name}may not sign certificates`;
  if (authority.pathLength !== undefined && below - 1 > authority.pathLength)
    return `${name}allows no path as long as this`;
  return undefined;
}
