import { type AttestationError, equalBytes, toHex } from "@parapet/attestation";
import { readBundle } from "./bundle.ts";
import { checkExtensions } from "./extensions.ts";
import type { FileSource } from "./file-source.ts";
import { checkIdentity } from "./keyless.ts";
import { type Manifest, type Resource, readManifest } from "./manifest.ts";
import { checkIgnored, usuallyIgnored } from "./names.ts";
import { problem } from "./problem.ts";
import { proveSigner } from "./prove.ts";
import { entriesOf, hashAll, type SignOptions } from "./sign.ts";
import type { SignedBy, Trust } from "./trust.ts";

export type { Trust } from "./trust.ts";

/** Options of `verifyModel`. */
export interface VerifyOptions extends Pick<SignOptions, "hashers" | "onProgress" | "signal"> {
  /** Paths that may lie in the model without being signed; those that the signer left out are known from the bundle. */
  readonly ignorePaths?: readonly string[];
  /** Pass over files that nobody signed, instead of refusing the model. They are listed in the result: do not load them. */
  readonly ignoreUnsignedFiles?: boolean;
}

/** What was proven about a signature, before any file was read. */
export interface ProvenManifest extends Manifest {
  readonly signedBy: SignedBy;
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
  const { keys = [], roots = [], keyless, extensions = {} } = trust;
  if (keys.length === 0 && roots.length === 0 && (keyless?.identities ?? []).length === 0) {
    throw new TypeError('"trust" expected "keys", "roots" or "keyless", got none: whose signature is to be proven?');
  }
  const wrong = keyless?.identities.map(checkIdentity).find((why) => why !== undefined);
  if (wrong !== undefined) throw new TypeError(`"identities" ${wrong}`);
  checkExtensions(extensions);
  return typed(async () => {
    const read = readBundle(bundle);
    const { signedBy, forms } = await proveSigner(read, trust);
    const manifest = await readManifest(read.envelope.payload);
    return { ...manifest, signedBy, forms: [...read.forms, ...forms, ...manifest.forms] };
  });
}

/** By what a bundle is to be proven: a key, a chain of certificates, or an identity of Sigstore. */
export const methodOf = (bundle: Uint8Array | string): Promise<"key" | "certificate" | "sigstore"> =>
  typed(async () => readBundle(bundle).material.method);

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
