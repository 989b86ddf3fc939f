import { randomUUID } from "node:crypto";
import { readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import type { Signer } from "@parapet/attestation";
import type { FileSource } from "../file-source.ts";
import { checkIgnored } from "../names.ts";
import { type SignOptions, signModel } from "../sign.ts";
import { type ProvenModel, type Trust, type VerifyOptions, verifyBundle, verifyManifest } from "../verify.ts";
import { folderSource } from "./folder-source.ts";
import { withHashWorkers } from "./hash-workers.ts";
import { nodeHashers } from "./hashers.ts";

/** Options of `signFolder`. */
export interface SignFolderOptions extends SignOptions {
  readonly signer: Signer;
  /** Where the signature is written; in the model's folder it is left out of what is signed. Default: nowhere. */
  readonly output?: string;
}

/**
 * Signs a model in a folder, or in one file.
 *
 * @param path - where it lies
 * @param options - the signer, and as `signModel`; `output` is written in one piece or not at all
 * @returns the bundle
 * @throws as `signModel`, and the errors of the file system
 *
 * @example
 * ```ts
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { generateKeyPair } from "@parapet/attestation";
 * import { signFolder, verifyFolder } from "@parapet/model-signing/node";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const folder = mkdtempSync(join(tmpdir(), "model-"));
 * writeFileSync(join(folder, "model.onnx"), "weights");
 * const output = join(folder, "model.sig");
 * await signFolder(folder, { signer, output });
 * const { resources } = await verifyFolder(folder, output, { keys: [publicKey.pem] });
 * console.log(resources.length); // => 1
 * ```
 */
export async function signFolder(path: string, options: SignFolderOptions): Promise<string> {
  const { signer, output, ignorePaths = [], hashers, ...rest } = options;
  const inside = output === undefined ? undefined : pathInside(path, output);
  const sign = async (source: FileSource) =>
    signModel(source, signer, {
      ...rest,
      ignorePaths: inside === undefined ? ignorePaths : [...ignorePaths, inside],
      hashers: { ...nodeHashers, ...hashers },
    });
  const source = await folderSource(path);
  const { hash = "sha256", signal } = rest;
  // A hasher of the caller's is asked; Node's own work in threads.
  const bundle = await (hashers?.[hash] === undefined
    ? withHashWorkers(source, await realpath(path), hash, signal, sign)
    : sign(source));
  if (output !== undefined) {
    const part = join(dirname(resolve(output)), `.${randomUUID()}.part`);
    try {
      await writeFile(part, bundle, { flag: "wx" });
      await rename(part, output);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  }
  return bundle;
}

/** A file's path from the model's root, where it lies inside. */
export function pathInside(model: string, file: string): string | undefined {
  const path = relative(resolve(model), resolve(file));
  return path === "" || path.startsWith("..") || resolve(path) === path ? undefined : path.split(sep).join("/");
}

/**
 * Proves that a model in a folder, or in one file, is as a trusted key or certificate signed it.
 *
 * @param path - where it lies
 * @param bundle - where the signature lies; in the model's folder it needs no signature itself
 * @param trust - whom to trust
 * @param options - as `verifyModel`
 * @returns what was proven
 * @throws as `verifyModel`, and the errors of the file system
 *
 * @example
 * ```ts
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { generateKeyPair } from "@parapet/attestation";
 * import { signFolder, verifyFolder } from "@parapet/model-signing/node";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const folder = mkdtempSync(join(tmpdir(), "model-"));
 * writeFileSync(join(folder, "model.onnx"), "weights");
 * await signFolder(folder, { signer, output: join(folder, "model.sig") });
 * writeFileSync(join(folder, "tokenizer.json"), "{}");
 * const refusal = await verifyFolder(folder, join(folder, "model.sig"), { keys: [publicKey.pem] }).catch((error) => error);
 * console.log(refusal.code); // => model-signing/unsigned
 * ```
 */
export async function verifyFolder(
  path: string,
  bundle: string,
  trust: Trust,
  options: VerifyOptions = {},
): Promise<ProvenModel> {
  const { ignorePaths = [], hashers } = options;
  const inside = pathInside(path, bundle);
  // The signature first: a model that nobody trusted signed is not hashed.
  const proven = await verifyBundle(Uint8Array.from(await readFile(bundle)), trust);
  checkIgnored(ignorePaths, "caller");
  const verify = (source: FileSource) =>
    verifyManifest(source, proven, {
      ...options,
      ignorePaths: inside === undefined ? ignorePaths : [...ignorePaths, inside],
      hashers: { ...nodeHashers, ...hashers },
    });
  const source = await folderSource(path);
  const { hash } = proven;
  return hashers?.[hash] === undefined
    ? withHashWorkers(source, await realpath(path), hash, options.signal, verify)
    : verify(source);
}
