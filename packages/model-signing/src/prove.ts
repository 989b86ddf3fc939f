import { type PublicKey, parsePem, preAuthenticationEncoding, readPublicKey } from "@parapet/attestation";
import type { Bundle, Material } from "./bundle.ts";
import { verifyChain } from "./certificate.ts";
import { verifierOf } from "./extensions.ts";
import { isTrusted, readIdentity } from "./keyless.ts";
import type { Form } from "./manifest.ts";
import { isOldSignature } from "./old-signature.ts";
import { problem } from "./problem.ts";
import type { SignedBy, Trust } from "./trust.ts";

type Proof = { readonly signedBy: SignedBy; readonly forms: readonly Form[] };
type Of<Method> = Extract<Material, { readonly method: Method }>;
const unproven = (message: string) => problem("model-signing/signature", message);

/** Proves who signed a bundle, by what the bundle says and the caller trusts. */
export function proveSigner(bundle: Bundle, trust: Trust): Promise<Proof> {
  const { material } = bundle;
  if (material.method === "key") return proveByKey(bundle, material, trust);
  return material.method === "certificate"
    ? proveByCertificate(bundle, material, trust)
    : proveByIdentity(bundle, material, trust);
}

/** Proves the one signature of a bundle by a key: ECDSA, or an extension that is allowed. */
async function proveSignature({ envelope }: Bundle, key: PublicKey, { extensions }: Trust) {
  const { verifier, forms } = await verifierOf(key, extensions);
  const { payload, payloadType, signatures } = envelope;
  await verifier.verify(preAuthenticationEncoding(payloadType, payload), signatures[0]!.sig);
  return { key: verifier.publicKey, forms };
}

async function proveByKey(bundle: Bundle, { hint }: Of<"key">, trust: Trust): Promise<Proof> {
  const { keys = [] } = trust;
  if (keys.length === 0)
    throw unproven(
      "bundle expected a certificate, as roots or identities are trusted and no keys; got a signature of a key",
    );
  const trusted = await Promise.all(keys.map(readPublicKey));
  const found =
    trusted.find(({ fingerprint, pem }) => fingerprint === hint || pem === hint) ?? (await sameKey(hint, trusted));
  if (found === undefined) {
    throw unproven(
      `bundle expected a signature of a trusted key (${trusted.map(({ fingerprint }) => `${fingerprint.slice(0, 16)}...`).join(", ")}), got one of the key ${hint.slice(0, 16)}...`,
    );
  }
  const { key, forms } = await proveSignature(bundle, found, trust);
  return { signedBy: { key }, forms };
}

/** The key whose PEM stands in an old bundle, with other line ends perhaps. */
async function sameKey(hint: string, trusted: readonly PublicKey[]): Promise<PublicKey | undefined> {
  if (!hint.startsWith("-----")) return undefined;
  const { fingerprint } = await readPublicKey(hint);
  return trusted.find((key) => key.fingerprint === fingerprint);
}

async function proveByCertificate(bundle: Bundle, { certificates }: Of<"certificate">, trust: Trust): Promise<Proof> {
  const { roots = [], now = new Date() } = trust;
  if (roots.length === 0)
    throw unproven("bundle expected a signature of a key or an identity, as no roots are trusted; got a certificate");
  const anchors = roots
    .flatMap((text) => parsePem(text))
    .map(({ label, bytes }) => {
      if (label !== "CERTIFICATE") throw new TypeError(`"roots" expected PEM blocks "CERTIFICATE", got "${label}"`);
      return bytes;
    });
  const { certificate, key, path } = await verifyChain(certificates, anchors, now);
  const { commonName, fingerprint } = certificate;
  const authorities = path.slice(1).map((authority) => authority.fingerprint);
  const by = { commonName, fingerprint, authorities };
  try {
    const { key: proven, forms } = await proveSignature(bundle, key, trust);
    return { signedBy: { key: proven, certificate: by }, forms };
  } catch (error) {
    const { payload, payloadType, signatures } = bundle.envelope;
    if (await isOldSignature(key, payload, payloadType, signatures[0]!.sig))
      return { signedBy: { key, certificate: by }, forms: ["pae-v0.2.0"] };
    throw error;
  }
}

/** An identity of Sigstore: its name is held against those that are trusted before anything that costs time. */
async function proveByIdentity(bundle: Bundle, material: Of<"sigstore">, trust: Trust): Promise<Proof> {
  const { keyless } = trust;
  if (keyless === undefined) {
    throw problem(
      "model-signing/unsupported",
      "this bundle is signed by an identity of Sigstore, and none is trusted: keylessTrust of @parapet/model-signing/node/keyless proves such ones",
    );
  }
  const { identity, issuer, fingerprint, key } = await readIdentity(material.certificate);
  if (!isTrusted({ identity, issuer }, keyless.identities)) {
    const [got, by] = [identity, issuer].map((text) => JSON.stringify(text.slice(0, 200)));
    throw unproven(`bundle expected a signature of a trusted identity, got one that says to be of ${got} by ${by}`);
  }
  const { times, authorities } = await keyless.verifier(material.bundle);
  const { key: proven, forms } = await proveSignature(bundle, key, trust);
  const signedBefore = new Date(Math.min(...times.map((time) => time.getTime())));
  return { signedBy: { key: proven, identity: { identity, issuer, fingerprint, authorities, signedBefore } }, forms };
}
