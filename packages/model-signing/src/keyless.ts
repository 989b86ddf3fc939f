import {
  derChildren,
  fromUtf8,
  type Json,
  type PublicKey,
  readDer,
  readDerIdentifier,
  readPublicKey,
  tags,
} from "@parapet/attestation";
import { checkSigner, readCertificate } from "./certificate.ts";
import { problem } from "./problem.ts";

/** Whose signature counts: exactly this identity, or each one that begins as `identityPattern`, which ends with `*`. */
export type KeylessIdentity = (
  | { readonly identity: string; readonly identityPattern?: undefined }
  | { readonly identityPattern: string; readonly identity?: undefined }
) & {
  /** Who has to have said so: the address of the identity provider, exactly. */
  readonly issuer: string;
};

/** What a verifier of Sigstore bundles has proven. */
export interface KeylessProof {
  /** Times at which a log or a timestamp authority has seen the signature; one or more. */
  readonly times: readonly Date[];
  /** Fingerprints of the certificates that lead from the signer's to a trusted one, that one last. */
  readonly authorities: readonly string[];
}

/**
 * What proves a Sigstore bundle in all but whose it is: that its certificate leads to a trusted authority, was logged, was
 * valid when it signed, and that a log holds the signature. Rejects otherwise. Whose it is, and what is signed, is judged here.
 */
export type KeylessVerifier = (bundle: Json) => Promise<KeylessProof>;

const ALTERNATIVE_NAME = "2.5.29.17";
/** How the authority of Sigstore writes down who vouched for a name: raw text once, a text of ASN.1 since. */
const ISSUER_RAW = "1.3.6.1.4.1.57264.1.1";
const ISSUER = "1.3.6.1.4.1.57264.1.8";
/** Of a name that is neither for mail nor an address. */
const USERNAME = "1.3.6.1.4.1.57264.1.7";
const UTF8_STRING = 0x0c;

const refused = (message: string) => problem("model-signing/certificate", message);

/** Who a certificate of Sigstore was made for: its one name, who vouched for it, and its key. */
export async function readIdentity(der: Uint8Array): Promise<{
  readonly identity: string;
  readonly issuer: string;
  readonly fingerprint: string;
  readonly key: PublicKey;
}> {
  const certificate = await readCertificate(der);
  checkSigner(certificate);
  const { extensions, fingerprint } = certificate;
  const name = extensions.get(ALTERNATIVE_NAME);
  if (name === undefined) throw refused("certificate of an identity expected an alternative name");
  const [first, ...others] = derChildren(readDer(name), tags.sequence);
  if (first === undefined || others.length > 0) throw refused("certificate of an identity expected one name");
  const [raw, written] = [extensions.get(ISSUER_RAW), extensions.get(ISSUER)];
  const issuers = [
    ...(raw === undefined ? [] : [fromUtf8(raw)]),
    ...(written === undefined ? [] : [textOf(readDer(written))]),
  ];
  const [issuer, again = issuer] = issuers;
  if (issuer === undefined || issuer === "" || again !== issuer)
    throw refused("certificate of an identity expected one issuer");
  return { identity: nameOf(first), issuer, fingerprint, key: await readPublicKey(certificate.spki) };
}

type Node = ReturnType<typeof readDer>;

function nameOf(node: Node): string {
  const { tag, content } = node;
  // Of mail, or an address: letters of ASCII and no others, so that none is taken for one of them.
  if (tag === 0x81 || tag === 0x86) {
    if (content.length > 0 && content.every((byte) => byte > 0x20 && byte < 0x7f)) return fromUtf8(content);
    throw refused("certificate of an identity expected a name of visible ASCII characters");
  }
  if (tag === 0xa0) {
    const [kind, value] = derChildren(node);
    const inner = value?.tag === 0xa0 ? derChildren(value)[0] : undefined;
    if (kind !== undefined && inner !== undefined && readDerIdentifier(kind) === USERNAME) return textOf(inner);
  }
  throw refused("certificate of an identity expected an address, or one for mail");
}

function textOf({ tag, content }: Node): string {
  if (tag !== UTF8_STRING || content.length === 0) throw refused("certificate of an identity expected a text");
  return fromUtf8(content);
}

/** Refuses what a caller or a policy may not ask for. */
export function checkIdentity(asked: KeylessIdentity): string | undefined {
  const { identity, identityPattern, issuer } = asked;
  const texts = [identity, identityPattern].filter((text) => text !== undefined);
  if (texts.length !== 1 || typeof texts[0] !== "string" || texts[0] === "")
    return 'expected an "identity" or an "identityPattern"';
  if (typeof issuer !== "string" || issuer === "") return 'expected an identity to have an "issuer"';
  if (identityPattern !== undefined && !/^[^*]+\*$/.test(identityPattern))
    return 'expected an "identityPattern" to be a beginning and one "*" at its end';
  return undefined;
}

/** Whether a name is one of those that are trusted: character by character, by the same issuer. */
export const isTrusted = (
  found: { readonly identity: string; readonly issuer: string },
  trusted: readonly KeylessIdentity[],
): boolean =>
  trusted.some(
    ({ identity, identityPattern, issuer }) =>
      issuer === found.issuer &&
      (identityPattern === undefined
        ? identity === found.identity
        : found.identity.startsWith(identityPattern.slice(0, -1))),
  );
