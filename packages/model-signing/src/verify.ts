import {
  type AttestationError,
  concatBytes,
  createVerifier,
  ecdsaFromDer,
  equalBytes,
  fromUtf8,
  type PublicKey,
  parsePem,
  preAuthenticationEncoding,
  readPublicKey,
  toHex,
  toUtf8,
} from "@parapet/attestation";
import { type Bundle, readBundle } from "./bundle.ts";
import { verifyChain } from "./certificate.ts";
import type { FileSource } from "./file-source.ts";
import { type Form, type Manifest, type Resource, readManifest } from "./manifest.ts";
import { checkIgnored, usuallyIgnored } from "./names.ts";
import { problem } from "./problem.ts";
import { entriesOf, hashAll, type SignOptions } from "./sign.ts";

/** Whom to trust: keys, or certificates that others lead to. At least one of them. */
export interface Trust {
  /** PEM of public keys. */
  readonly keys?: readonly string[];
  /** PEM of certificates, one or more in each text. */
  readonly roots?: readonly string[];
  /** When certificates must be valid; default: now. */
  readonly now?: Date;
}

/** Options of `verifyModel`. */
export interface VerifyOptions extends Pick<SignOptions, "hashers" | "onProgress" | "signal"> {
  /** Paths that may lie in the model without being signed; those that the signer left out are known from the bundle. */
  readonly ignorePaths?: readonly string[];
  /** Pass over files that nobody signed, instead of refusing the model. They are listed in the result: do not load them. */
  readonly ignoreUnsignedFiles?: boolean;
}

/** What was proven about a signature, before any file was read. */
export interface ProvenManifest extends Manifest {
  /** The key that signed; with a certificate, its key and name. */
  readonly signedBy: {
    readonly key: PublicKey;
    readonly certificate?: {
      readonly commonName: string;
      readonly fingerprint: string;
      /** Fingerprints of the certificates that lead from this one to a trusted one, that one last. */
      readonly authorities: readonly string[];
    };
  };
}

/** What was proven about a model. */
export interface ProvenModel extends ProvenManifest {
  /** Files that lie in the model and are not signed. */
  readonly unsigned: readonly string[];
}

/**
 * Proves who signed a bundle, and what it says.
 *
 * @param bundle - the file's bytes or text
 * @param trust - whom to trust
 * @returns the manifest: names and digests of all files
 * @throws ParapetError `model-signing/signature`, `/certificate`, `/malformed` or `/unsupported`
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { memorySource, signModel, verifyBundle } from "@parapet/model-signing";
 * const { signer } = await generateKeyPair("ecdsa-p256-sha256");
 * const { publicKey: other } = await generateKeyPair("ecdsa-p256-sha256");
 * const bundle = await signModel(memorySource("digits", new Uint8Array(10)), signer);
 * const refusal = await verifyBundle(bundle, { keys: [other.pem] }).catch((error) => error);
 * console.log(refusal.code); // => model-signing/signature
 * ```
 *
 * Source: OpenSSF Model Signing Specification 1.0, sections 4 and 8.
 */
export async function verifyBundle(bundle: Uint8Array | string, trust: Trust): Promise<ProvenManifest> {
  if ((trust.keys?.length ?? 0) === 0 && (trust.roots?.length ?? 0) === 0) {
    throw new TypeError('"trust" expected "keys" or "roots", got neither: whose signature is to be proven?');
  }
  return typed(async () => {
    const read = readBundle(bundle);
    const { signedBy, forms } = await (read.material.method === "certificate"
      ? proveByCertificate(read, read.material.certificates, trust)
      : proveByKey(read, trust));
    const manifest = await readManifest(read.envelope.payload);
    return { ...manifest, signedBy, forms: [...read.forms, ...forms, ...manifest.forms] };
  });
}

/** What the readers of attestation refuse, is refused here by names of this package. */
async function typed<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    if ((cause as Partial<AttestationError>)?.code?.startsWith("attestation/") !== true) throw cause;
    const { code, message } = cause as AttestationError;
    if (code === "attestation/signature") throw problem("model-signing/signature", message, { cause });
    const known = code !== "attestation/unknown" && code !== "attestation/unsupported";
    throw problem(known ? "model-signing/malformed" : "model-signing/unsupported", message, { cause });
  }
}

type Proof = { readonly signedBy: ProvenManifest["signedBy"]; readonly forms: readonly Form[] };
const unproven = (message: string) => problem("model-signing/signature", message);

async function proveByKey({ material, envelope }: Bundle, { keys = [] }: Trust): Promise<Proof> {
  if (material.method === "sigstore") {
    throw problem(
      "model-signing/unsupported",
      "this bundle is signed by an identity of Sigstore, which is not proven here",
    );
  }
  if (keys.length === 0)
    throw unproven("bundle expected a certificate, as roots are trusted and no keys; got a signature of a key");
  const { hint } = material as { hint: string };
  const trusted = await Promise.all(keys.map(readPublicKey));
  const key =
    trusted.find(({ fingerprint, pem }) => fingerprint === hint || pem === hint) ?? (await sameKey(hint, trusted));
  if (key === undefined) {
    throw unproven(
      `bundle expected a signature of a trusted key (${trusted.map(({ fingerprint }) => `${fingerprint.slice(0, 16)}...`).join(", ")}), got one of the key ${hint.slice(0, 16)}...`,
    );
  }
  if (!key.algorithm.startsWith("ecdsa-"))
    throw problem("model-signing/unsupported", `model signatures expected an ECDSA key, got ${key.algorithm}`);
  const { verify } = await createVerifier(key);
  await verify(preAuthenticationEncoding(envelope.payloadType, envelope.payload), envelope.signatures[0]!.sig);
  return { signedBy: { key }, forms: [] };
}

/** The key whose PEM stands in an old bundle, with other line ends perhaps. */
async function sameKey(hint: string, trusted: readonly PublicKey[]): Promise<PublicKey | undefined> {
  if (!hint.startsWith("-----")) return undefined;
  const { fingerprint } = await readPublicKey(hint);
  return trusted.find((key) => key.fingerprint === fingerprint);
}

async function proveByCertificate({ envelope }: Bundle, chain: readonly Uint8Array[], trust: Trust): Promise<Proof> {
  const { roots = [], now = new Date() } = trust;
  if (roots.length === 0)
    throw unproven("bundle expected a signature of a key, as keys are trusted and no roots; got a certificate");
  const anchors = roots
    .flatMap((text) => parsePem(text))
    .map(({ label, bytes }) => {
      if (label !== "CERTIFICATE") throw new TypeError(`"roots" expected PEM blocks "CERTIFICATE", got "${label}"`);
      return bytes;
    });
  const { certificate, key, path } = await verifyChain(chain, anchors, now);
  const { commonName, fingerprint } = certificate;
  const authorities = path.slice(1).map((authority) => authority.fingerprint);
  const signedBy = { key, certificate: { commonName, fingerprint, authorities } };
  const { payload, payloadType, signatures } = envelope;
  const { verify } = await createVerifier(key);
  try {
    await verify(preAuthenticationEncoding(payloadType, payload), signatures[0]!.sig);
    return { signedBy, forms: [] };
  } catch (error) {
    if (await isOldSignature(key, payload, payloadType, signatures[0]!.sig)) return { signedBy, forms: ["pae-v0.2.0"] };
    throw error;
  }
}

/**
 * Release 0.2.0 of the reference signed a text in which the payload stands as Python prints bytes, by SHA-256 on every curve.
 * Both texts have their lengths in front, so none can be taken for the other.
 */
async function isOldSignature(
  key: PublicKey,
  payload: Uint8Array,
  type: string,
  signature: Uint8Array,
): Promise<boolean> {
  const curve = { "ecdsa-p256-sha256": "P-256", "ecdsa-p384-sha384": "P-384", "ecdsa-p521-sha512": "P-521" }[
    key.algorithm as string
  ];
  if (curve === undefined) return false;
  const size = { "P-256": 32, "P-384": 48, "P-521": 66 }[curve]!;
  const text = fromUtf8(payload);
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escapes: Readonly<Record<number, string>> = {
    9: "\\t",
    10: "\\n",
    13: "\\r",
    92: "\\\\",
    [quote.charCodeAt(0)]: `\\${quote}`,
  };
  const printed = Array.from(
    payload,
    (byte) =>
      escapes[byte] ??
      (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`),
  ).join("");
  const bytes = concatBytes(
    toUtf8(`DSSEV1 ${type.length} ${type} ${payload.length} b${quote}`),
    toUtf8(printed),
    toUtf8(quote),
  );
  const { subtle } = globalThis.crypto;
  const opened = await subtle.importKey("spki", key.spki, { name: "ECDSA", namedCurve: curve }, false, ["verify"]);
  return subtle.verify({ name: "ECDSA", hash: "SHA-256" }, opened, ecdsaFromDer(signature, size), bytes);
}

/**
 * Proves that a model is what a trusted key or certificate signed: every signed file is there and as it was, and no other
 * file lies beside them.
 *
 * @param source - the files
 * @param bundle - the signature, its bytes or text
 * @param trust - whom to trust
 * @param options - what may lie there unsigned; progress, abort
 * @returns what was proven
 * @throws ParapetError as `verifyBundle`, and `model-signing/changed`, `/missing`, `/unsigned`, `/name` or `/link` with the
 *   file, what was expected and what came; the signal's reason
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { memorySource, signModel, verifyModel } from "@parapet/model-signing";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const bundle = await signModel(memorySource("digits", { "model.onnx": Uint8Array.of(1, 2, 3) }), signer);
 * const changed = memorySource("digits", { "model.onnx": Uint8Array.of(1, 2, 4) });
 * const refusal = await verifyModel(changed, bundle, { keys: [publicKey.pem] }).catch((error) => error);
 * console.log(refusal.code, refusal.message.slice(0, 21)); // => model-signing/changed "model.onnx" expected
 * ```
 *
 * Source: OpenSSF Model Signing Specification 1.0, section 8.
 */
export async function verifyModel(
  source: FileSource,
  bundle: Uint8Array | string,
  trust: Trust,
  options: VerifyOptions = {},
): Promise<ProvenModel> {
  checkIgnored(options.ignorePaths ?? [], "caller");
  return verifyManifest(source, await verifyBundle(bundle, trust), options);
}

/** Holds the files of a model against a manifest that is proven. */
export async function verifyManifest(
  source: FileSource,
  proven: ProvenManifest,
  options: VerifyOptions,
): Promise<ProvenModel> {
  const { ignorePaths = [], ignoreUnsignedFiles = false } = options;
  checkIgnored(ignorePaths, "caller");
  const ignored = new Set<string>([...usuallyIgnored, ...proven.ignorePaths, ...ignorePaths]);
  const entries = await entriesOf(source, ignored, proven.allowSymlinks);
  const sizes = new Map(entries.map(({ name, size }) => [name, size]));
  const single = source.kind === "file" ? source.name : undefined;
  const resources = proven.resources.map((resource) =>
    resource.name === "." && single !== undefined ? { ...resource, name: single } : resource,
  );

  const signed = new Set(resources.map(({ name }) => name));
  // An empty file has no shards, so shards cannot tell whether it was there.
  const unsigned = entries.filter(({ name }) => !signed.has(name)).map(({ name }) => name);
  const refused = unsigned.find(
    (name) => !ignoreUnsignedFiles && !(proven.method === "shards" && sizes.get(name) === 0),
  );
  if (refused !== undefined) {
    throw problem(
      "model-signing/unsigned",
      `${JSON.stringify(refused)} expected to be signed, got a file that nobody signed: remove it, or sign the model again`,
    );
  }
  const ends = new Map<string, number>();
  for (const { name, shard } of resources) {
    if (!sizes.has(name))
      throw problem(
        "model-signing/missing",
        `${JSON.stringify(name)} expected to be there, as it was signed; got nothing`,
      );
    if (shard !== undefined) ends.set(name, Math.max(ends.get(name) ?? 0, shard.end));
  }
  for (const [name, end] of ends) {
    if (sizes.get(name) !== end)
      throw problem("model-signing/changed", `${JSON.stringify(name)} expected ${end} bytes, got ${sizes.get(name)}`);
  }
  await compare(resources, await hashAll(source, resources, entries, proven.hash, options));
  return { ...proven, unsigned };
}

async function compare(signed: readonly Resource[], found: readonly Resource[]): Promise<void> {
  signed.forEach(({ name, shard, digest }, i) => {
    const got = found[i]!.digest;
    if (equalBytes(digest, got)) return;
    const where = shard === undefined ? "" : `, bytes ${shard.start} to ${shard.end},`;
    throw problem(
      "model-signing/changed",
      `${JSON.stringify(name)}${where} expected ${toHex(digest).slice(0, 16)}..., as it was signed; got ${toHex(got).slice(0, 16)}...: it was changed after it was signed`,
    );
  });
}
