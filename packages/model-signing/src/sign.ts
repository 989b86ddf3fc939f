import { parsePem, type Signer, signEnvelope, statementMediaType } from "@parapet/attestation";
import { writeBundle } from "./bundle.ts";
import type { ExtensionName } from "./extensions.ts";
import type { FileSource, ModelEntry } from "./file-source.ts";
import { type Hasher, type HashName, hasherOf } from "./hashing.ts";
import { type Resource, writeManifest } from "./manifest.ts";
import { checkIgnored, checkNames, isIgnored, usuallyIgnored } from "./names.ts";
import { problem } from "./problem.ts";

/** Options of `signModel`. */
export interface SignOptions {
  /** "files" (default): a digest for each file. "shards": one for each part of `shardSize` bytes. */
  readonly method?: "files" | "shards";
  /** Bytes of a shard, default 1,000,000,000. */
  readonly shardSize?: number;
  /** Default "sha256", which every client knows. */
  readonly hash?: HashName;
  /** Paths from the model's root that are not signed; files or folders, no patterns. */
  readonly ignorePaths?: readonly string[];
  /** Sign links to files inside of the model as what they lead to. Default false: links are refused. */
  readonly allowSymlinks?: boolean;
  /** PEM with the signer's certificate first, then those that lead to a root. Default: the bundle names the key. */
  readonly certificates?: string;
  /** "python": the form that the reference in Python reads, for single files and shards. Default: the specification's. */
  readonly compat?: "python";
  /** An algorithm beside ECDSA: what is signed by it is proven only where its name is trusted. */
  readonly extension?: ExtensionName;
  /** Hashes that the platform does not have. */
  readonly hashers?: Partial<Record<HashName, Hasher>>;
  readonly onProgress?: (event: { readonly done: number; readonly total: number; readonly file: string }) => void;
  readonly signal?: AbortSignal;
}

/**
 * Signs a model: all of its files, by name and digest, in one OpenSSF model signature that any client can prove.
 *
 * @param source - the files; weights, configuration and tokenizer alike
 * @param signer - ECDSA on P-256, P-384 or P-521; another kind of key where `extension` names it
 * @param options - method, hash, what is left out
 * @returns the bundle, as text for a file beside the model. The same model gives the same statement, byte for byte
 * @throws ParapetError `model-signing/name`, `/link` or `/empty` when the model cannot be signed; the signal's reason
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { memorySource, signModel, verifyModel } from "@parapet/model-signing";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const model = memorySource("digits", { "model.onnx": new Uint8Array(1000), "labels.json": new Uint8Array(10) });
 * const bundle = await signModel(model, signer);
 * const { resources } = await verifyModel(model, bundle, { keys: [publicKey.pem] });
 * console.log(resources.map(({ name }) => name).join()); // => labels.json,model.onnx
 * ```
 *
 * Source: OpenSSF Model Signing Specification 1.0, https://github.com/ossf/model-signing-spec.
 */
export async function signModel(source: FileSource, signer: Signer, options: SignOptions = {}): Promise<string> {
  const {
    method = "files",
    shardSize = 1_000_000_000,
    hash = "sha256",
    ignorePaths = [],
    allowSymlinks = false,
  } = options;
  const { certificates, compat } = options;
  if (method !== "files" && method !== "shards")
    throw new TypeError(`"method" expected "files" or "shards", got ${method}`);
  if (!(Number.isSafeInteger(shardSize) && shardSize >= 1))
    throw new RangeError(`"shardSize" expected a whole number >= 1, got ${shardSize}`);
  const { algorithm } = signer.publicKey;
  if (!algorithm.startsWith("ecdsa-") && algorithm !== options.extension) {
    throw problem(
      "model-signing/unsupported",
      `model signatures expected an ECDSA key, got ${algorithm}: the option "extension" allows it by name, for those who trust it by name`,
    );
  }
  checkIgnored(ignorePaths, "caller");
  const ignored = new Set<string>([...usuallyIgnored, ...ignorePaths]);
  const entries = await entriesOf(source, ignored, allowSymlinks);
  const parts = entries.flatMap(({ name, size }) =>
    method === "files"
      ? [{ name }]
      : Array.from({ length: Math.ceil(size / shardSize) }, (_, i) => ({
          name,
          shard: { start: i * shardSize, end: Math.min(size, (i + 1) * shardSize) },
        })),
  );
  const resources = await hashAll(source, parts, entries, hash, options);
  if (resources.length === 0)
    throw problem("model-signing/empty", "a model expected at least one file that is not empty or ignored");
  const payload = await writeManifest(
    {
      name: source.name,
      method,
      hash,
      shardSize: method === "shards" ? shardSize : undefined,
      allowSymlinks,
      ignorePaths: [...ignored],
      resources,
    },
    source.kind === "file",
    compat,
  );
  const envelope = await signEnvelope(statementMediaType, payload, [signer]);
  if (certificates === undefined) return writeBundle(envelope, { method: "key", hint: signer.publicKey.fingerprint });
  const chain = parsePem(certificates).map(({ label, bytes }) => {
    if (label !== "CERTIFICATE")
      throw new TypeError(`"certificates" expected PEM blocks "CERTIFICATE", got "${label}"`);
    return bytes;
  });
  return writeBundle(envelope, { method: "certificate", certificates: chain });
}

/** The files of a model that count, with names that are safe, in the order of the source. */
export async function entriesOf(
  source: FileSource,
  ignored: ReadonlySet<string>,
  allowSymlinks: boolean,
): Promise<readonly ModelEntry[]> {
  const entries = (await source.list()).filter(({ name }) => !isIgnored(name, ignored));
  checkNames(entries.map(({ name }) => name));
  for (const { name, kind } of entries) {
    const file = JSON.stringify(name);
    if (kind === "other") throw problem("model-signing/link", `${file} expected a file, got something else`);
    if (kind === "outside")
      throw problem(
        "model-signing/link",
        `${file} expected to stay inside of the model, got a link that leads out of it`,
      );
    if (kind === "broken")
      throw problem("model-signing/link", `${file} expected a link to a file, got one to a folder or to nothing`);
    if (kind === "link" && !allowSymlinks) {
      throw problem(
        "model-signing/link",
        `${file} expected a file, got a link: replace it by what it leads to, or allow links`,
      );
    }
  }
  return entries;
}

/** The digests of files, or of parts of them, in the order in which they were asked for. */
export async function hashAll(
  source: FileSource,
  parts: readonly Omit<Resource, "digest">[],
  entries: readonly ModelEntry[],
  hash: HashName,
  { hashers, onProgress, signal }: Pick<SignOptions, "hashers" | "onProgress" | "signal">,
): Promise<Resource[]> {
  const { hashing } = source;
  const hasher = hashing === undefined ? hasherOf(hash, hashers) : undefined;
  const sizes = new Map(entries.map(({ name, size }) => [name, size]));
  const total = parts.reduce(
    (sum, { name, shard }) => sum + (shard ? shard.end - shard.start : (sizes.get(name) ?? 0)),
    0,
  );
  let done = 0;
  const count = (file: string) => (bytes: number) => {
    done += bytes;
    onProgress?.({ done, total, file });
  };
  const digestOf = async ({ name, shard }: Omit<Resource, "digest">): Promise<Uint8Array> => {
    const tell = count(name);
    if (hashing !== undefined) return hashing.digest(hash, name, shard, tell);
    const pieces = source.open(name, shard?.start, shard?.end);
    return hasher!(
      (async function* () {
        for await (const piece of pieces) {
          signal?.throwIfAborted();
          yield piece;
          tell(piece.length);
        }
      })(),
    );
  };
  const hashed: Resource[] = [];
  let next = 0;
  let failed = false;
  const lane = async () => {
    while (next < parts.length && !failed) {
      signal?.throwIfAborted();
      const i = next++;
      try {
        hashed[i] = { ...parts[i]!, digest: await digestOf(parts[i]!) };
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(hashing?.lanes ?? 1, parts.length) }, lane));
  return hashed;
}
