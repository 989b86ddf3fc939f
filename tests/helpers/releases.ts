import { type KeyPair, toUtf8 } from "@parapet/attestation";
import {
  addTarget,
  createRepository,
  createUpdater,
  memoryStore,
  releaseRepository,
  releaseToJson,
  targetFileNames,
  type UpdateModelOptions,
  updateModel,
} from "@parapet/model-signing/updates";

/** Releases of a model, one after the other, by a server that can hand out any state of them, and a client that remembers. */
export async function releasesOf({ signer, publicKey }: KeyPair, name: string, bundles: readonly string[]) {
  const path = `${name}.sig`;
  const states: Map<string, Uint8Array>[] = [];
  let repository = await createRepository({ keys: [publicKey] });
  for (const [i, bundle] of bundles.entries()) {
    const bytes = toUtf8(bundle);
    const custom = releaseToJson({ name, version: `1.${i}.0`, status: "active" });
    repository = await addTarget(repository, path, bytes, { custom });
    const release = await releaseRepository(repository, { signers: [signer] });
    repository = release.repository;
    states.push(new Map([...(states.at(-1) ?? []), ...release.files, [targetFileNames(repository, path)[0]!, bytes]]));
  }
  let state = 0;
  const store = memoryStore();
  const updater = createUpdater({
    root: states[0]!.get("1.root.json")!,
    store,
    async fetcher({ path: file }) {
      const bytes = states[state]!.get(file);
      if (bytes === undefined) return undefined;
      return (async function* () {
        yield bytes;
      })();
    },
  });
  return {
    /** Has the server hand out the state after the release of this number. */
    serve(index: number) {
      state = index;
    },
    update: (verify: UpdateModelOptions["verify"]) => updateModel({ updater, store, path, verify }),
  };
}
