import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { updateError } from "../updates/errors.ts";
import { quoted } from "../updates/fetcher.ts";
import type { ModelState } from "../updates/installed-model.ts";
import type { ModelRelease } from "../updates/release.ts";
import type { UpdateStore } from "../updates/store.ts";
import { updateModel } from "../updates/update-model.ts";
import type { Updater } from "../updates/updater.ts";
import { type Trust, type VerifyOptions, verifyBundle, verifyModel } from "../verify.ts";
import { folderSource } from "./folder-source.ts";
import { nodeHashers } from "./hashers.ts";
import { flushFolder } from "./update-store.ts";

/** Options of `updateModelFolder`. */
export interface ModelFolderOptions {
  readonly updater: Updater;
  /** Where the state is kept: the updater's own store will do. */
  readonly store: UpdateStore;
  /** The target that is the model's signature. */
  readonly path: string;
  /** Where models are kept, each version in a folder of its own. */
  readonly folder: string;
  /** Whose model signatures count. */
  readonly trust: Trust;
  /** What releases give as a relative place of files is relative to this address; usually that of the targets. */
  readonly base?: string | URL;
  /** What fetches; default the platform's. */
  readonly fetch?: typeof globalThis.fetch;
  /** Most bytes of a model whose release does not give its size; default 16 GiB. */
  readonly maxBytes?: number;
  readonly verify?: VerifyOptions;
  readonly signal?: AbortSignal;
}

/**
 * Brings a model in a folder up to date: `updateModel` with files that are downloaded beside the current version, proven
 * there, and switched to in one step. The current and the previous version stay; older ones are removed.
 *
 * @param options - the client, the folder, whom to trust
 * @returns the state, whose `location` is the folder of the version, and whether it switched
 * @throws as `updateModel`, `verifyBundle` and `verifyModel`; `model-signing/update-too-large` beyond the size
 *
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { generateKeyPair, toUtf8 } from "@parapet/attestation";
 * import { memorySource, signModel } from "@parapet/model-signing";
 * import { folderStore, updateModelFolder } from "@parapet/model-signing/node";
 * import { addTarget, createRepository, createUpdater, releaseRepository, releaseToJson } from "@parapet/model-signing/updates";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * // The publisher signs a model, and releases its signature.
 * const bundle = toUtf8(await signModel(memorySource("digits", { "model.onnx": toUtf8("weights") }), signer));
 * const custom = releaseToJson({ name: "digits", version: "1.0.0", status: "active", files: "digits/1.0.0" });
 * const draft = await addTarget(await createRepository({ keys: [publicKey] }), "digits.sig", bundle, { custom });
 * const { files } = await releaseRepository(draft, { signers: [signer] });
 * // The client finds it on any server.
 * const fetcher = async ({ path }: { path: string }) => {
 *   const bytes = path.endsWith(".sig") ? bundle : files.get(path);
 *   return bytes && (async function* () { yield bytes; })();
 * };
 * const store = folderStore(mkdtempSync(join(tmpdir(), "state-")));
 * const { current } = await updateModelFolder({
 *   updater: createUpdater({ root: files.get("1.root.json")!, fetcher, store }),
 *   store,
 *   path: "digits.sig",
 *   folder: mkdtempSync(join(tmpdir(), "models-")),
 *   trust: { keys: [publicKey.pem] },
 *   base: "https://example.com/models/",
 *   fetch: async (url) => new Response(`${url}`.endsWith("/digits/1.0.0/model.onnx") ? "weights" : ""),
 * });
 * console.log(current.name, current.version); // => digits 1.0.0
 * ```
 */
export async function updateModelFolder(
  options: ModelFolderOptions,
): Promise<ModelState & { readonly switched: boolean }> {
  const { updater, store, path, trust, fetch = globalThis.fetch, maxBytes = 2 ** 34, verify = {}, signal } = options;
  const versions = resolve(options.folder);
  const state = await updateModel({
    updater,
    store,
    path,
    ...(signal === undefined ? {} : { signal }),
    async verify({ bundle, release }) {
      const { resources } = await verifyBundle(bundle, trust);
      const names = [...new Set(resources.map(({ name }) => name))];
      if (names.includes(".")) {
        const where = `model ${JSON.stringify(release.name)}`;
        throw updateError("model-signing/update-unsupported", where, "to be signed with names of its files", '"."');
      }
      const base = addressOf(release, options.base);
      const staged = join(versions, `.${randomUUID()}.part`);
      await mkdir(staged, { recursive: true });
      try {
        let left = release.size ?? maxBytes;
        for (const name of names) left -= await download(name, base, staged, left, { fetch, signal });
        const proven = await verifyModel(await folderSource(staged), bundle, trust, {
          ...verify,
          hashers: { ...nodeHashers, ...verify.hashers },
        });
        const location = join(versions, `${release.version}-${randomUUID().slice(0, 8)}`);
        await rename(staged, location);
        await flushFolder(versions);
        return { name: proven.name, location };
      } catch (error) {
        await rm(staged, { recursive: true, force: true });
        throw error;
      }
    },
  });
  if (state.switched) await prune(versions, state);
  return state;
}

/** Where the files of a release lie. */
function addressOf({ name, files }: ModelRelease, base: string | URL | undefined): string {
  if (files !== undefined && URL.canParse(files, base)) return new URL(files, base).href.replace(/\/*$/, "/");
  throw updateError(
    "model-signing/update-unavailable",
    `model ${JSON.stringify(name)}`,
    "an address of its files",
    "none",
  );
}

async function download(
  name: string,
  base: string,
  folder: string,
  limit: number,
  { fetch, signal }: { readonly fetch: typeof globalThis.fetch; readonly signal: AbortSignal | undefined },
): Promise<number> {
  const where = `file ${JSON.stringify(name).slice(0, 200)}`;
  const address = base + name.split("/").map(quoted).join("/");
  const init: RequestInit = { cache: "no-store", credentials: "omit", ...(signal === undefined ? {} : { signal }) };
  const response = await fetch(address, init).catch((cause: Error) => {
    throw updateError("model-signing/update-unavailable", where, "to be fetched", cause.message, { cause });
  });
  if (!response.ok) throw updateError("model-signing/update-unavailable", where, "to be there", `${response.status}`);
  // Names come from a proven manifest, whose reader lets none lead out of the model.
  const path = join(folder, ...name.split("/"));
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, "wx", 0o600);
  let length = 0;
  try {
    for await (const piece of response.body ?? []) {
      length += piece.length;
      if (length > limit) throw updateError("model-signing/update-too-large", where, `at most ${limit} bytes`, "more");
      await file.write(piece);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return length;
}

/** Removes versions that are neither current nor previous; what cannot be removed now is removed the next time. */
async function prune(versions: string, { current, previous }: ModelState): Promise<void> {
  const kept = [current.location, previous?.location];
  for (const name of await readdir(versions)) {
    const path = join(versions, name);
    const ours = /^\d+\.\d+\.\d+.*-[0-9a-f]{8}$/.test(name) || /^\.[0-9a-f-]{36}\.part$/.test(name);
    if (ours && !kept.includes(path)) await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}
