import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { signedFiles } from "../loading/signed-files.ts";
import { usuallyIgnored } from "../names.ts";
import { problem } from "../problem.ts";
import { entriesOf } from "../sign.ts";
import { type ProvenManifest, type Trust, type VerifyOptions, verifyBundle } from "../verify.ts";
import { folderSource } from "./folder-source.ts";
import { pathInside } from "./folders.ts";
import { nodeHashers } from "./hashers.ts";

/** A model whose signature is proven, and whose files are proven as they are read. */
export interface OpenModel {
  readonly manifest: ProvenManifest;
  /** Names of the signed files. */
  readonly files: readonly string[];
  /** The bytes of a file: those that were hashed, and no others. For `InferenceSession.create` of onnxruntime, for example. */
  readonly read: (file: string) => Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Copies all signed files to a fresh folder that only this user can enter, each byte proven on its way: for what loads from
   * paths. `remove` deletes the folder.
   */
  readonly copy: () => Promise<{ readonly path: string; readonly remove: () => Promise<void> }>;
}

/**
 * Opens a signed model in a folder, or in one file, for loading. Between proof and use nobody can change what is used: `read`
 * and `copy` give out the bytes that were hashed.
 *
 * @param path - where the model lies
 * @param bundle - where the signature lies
 * @param trust - whom to trust
 * @param options - as `verifyFolder`
 * @returns the model; its signature, and that no unsigned file lies there, are proven now, each file when it is read
 * @throws as `verifyFolder`; `read` and `copy` reject with `model-signing/changed` when a file is not as it was signed
 *
 * @example
 * ```ts
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { generateKeyPair } from "@parapet/attestation";
 * import { openVerified, signFolder } from "@parapet/model-signing/node";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const folder = mkdtempSync(join(tmpdir(), "model-"));
 * writeFileSync(join(folder, "model.onnx"), "weights");
 * await signFolder(folder, { signer, output: join(folder, "model.sig") });
 * const model = await openVerified(folder, join(folder, "model.sig"), { keys: [publicKey.pem] });
 * console.log((await model.read("model.onnx")).length); // => 7
 * ```
 */
export async function openVerified(
  path: string,
  bundle: string,
  trust: Trust,
  options: Pick<VerifyOptions, "ignorePaths" | "ignoreUnsignedFiles" | "hashers"> = {},
): Promise<OpenModel> {
  const { ignorePaths = [], ignoreUnsignedFiles = false } = options;
  const hashers = { ...nodeHashers, ...options.hashers };
  const manifest = await verifyBundle(Uint8Array.from(await readFile(bundle)), trust);
  const source = await folderSource(path);
  const inside = pathInside(path, bundle);
  const ignored = new Set<string>([
    ...usuallyIgnored,
    ...manifest.ignorePaths,
    ...ignorePaths,
    ...(inside === undefined ? [] : [inside]),
  ]);
  const entries = await entriesOf(source, ignored, manifest.allowSymlinks);
  const files = signedFiles(manifest, { hashers });
  /** The reference calls a model that is one file ".". */
  const signedAs = (file: string) =>
    source.kind === "file" && files.names[0] === "." && file === source.name ? "." : file;
  const there = new Set(entries.map(({ name }) => signedAs(name)));
  const missing = files.names.find((name) => !there.has(name));
  if (missing !== undefined)
    throw problem(
      "model-signing/missing",
      `${JSON.stringify(missing)} expected to be there, as it was signed; got nothing`,
    );
  const unsigned = entries.find(
    ({ name, size }) => !files.names.includes(signedAs(name)) && !(manifest.method === "shards" && size === 0),
  );
  if (unsigned !== undefined && !ignoreUnsignedFiles) {
    throw problem(
      "model-signing/unsigned",
      `${JSON.stringify(unsigned.name)} expected to be signed, got a file that nobody signed: remove it, or sign the model again`,
    );
  }
  const names = files.names.map((name) => (name === "." ? source.name : name));
  const sizes = new Map(entries.map(({ name, size }) => [name, size]));
  const release = (file: string) => files.release(signedAs(file), () => source.open(file), sizes.get(file));
  return {
    manifest,
    files: names,
    async read(file) {
      // Filled as it is proven: the file is in memory once.
      const bytes = new Uint8Array(sizes.get(file) ?? 0);
      let length = 0;
      for await (const part of release(file)) {
        if (length + part.length > bytes.length) throw grown(file);
        bytes.set(part, length);
        length += part.length;
      }
      return bytes.subarray(0, length);
    },
    async copy() {
      const folder = await mkdtemp(join(tmpdir(), "parapet-model-"));
      const remove = () => rm(folder, { recursive: true, force: true });
      try {
        for (const file of names) {
          const to = resolve(folder, ...file.split("/"));
          await mkdir(dirname(to), { recursive: true, mode: 0o700 });
          await pipeline(release(file), createWriteStream(to, { flags: "wx", mode: 0o600 }));
        }
      } catch (error) {
        await remove();
        throw error;
      }
      return { path: source.kind === "file" ? join(folder, source.name) : folder, remove };
    },
  };
}

const grown = (file: string) =>
  problem(
    "model-signing/changed",
    `${JSON.stringify(file)} expected to stay as long as it was when the model was opened, got more bytes`,
  );
