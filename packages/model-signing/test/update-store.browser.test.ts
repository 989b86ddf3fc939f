import { generateKeyPair, toUtf8 } from "@parapet/attestation";
import { memorySource, signModel, verifyModel } from "@parapet/model-signing";
import {
  addTarget,
  createRepository,
  createUpdater,
  httpFetcher,
  indexedDbStore,
  installedModel,
  releaseRepository,
  releaseToJson,
  targetFileNames,
  updateModel,
} from "@parapet/model-signing/updates";
import { afterEach, describe, expect, it } from "vitest";

let count = 0;
const opened: string[] = [];
const named = () => {
  const name = `parapet-test-${count++}-${crypto.randomUUID()}`;
  opened.push(name);
  return name;
};
afterEach(() => {
  for (const name of opened.splice(0)) indexedDB.deleteDatabase(name);
});

describe("indexedDbStore", () => {
  it("keeps bytes, from one store of a database to the next", async () => {
    const name = named();
    const store = indexedDbStore(name);
    expect(await store.read("root.json")).toBe(undefined);
    const bytes = Uint8Array.of(1, 2, 3);
    await store.write("root.json", bytes.subarray(1));
    bytes[1] = 9; // what was given stays the caller's
    expect(await indexedDbStore(name).read("root.json")).toEqual(Uint8Array.of(2, 3));
    await store.remove("root.json");
    await store.remove("root.json");
    expect(await indexedDbStore(name).read("root.json")).toBe(undefined);
  });

  it("lets one run at a time", async () => {
    const name = named();
    const order: string[] = [];
    const run = (who: string) =>
      indexedDbStore(name).exclusive!(async () => {
        order.push(`${who} begins`);
        await new Promise((resolve) => setTimeout(resolve, 20));
        order.push(`${who} ends`);
        return who;
      });
    expect(await Promise.all([run("a"), run("b")])).toEqual(["a", "b"]);
    expect(order).toEqual(["a begins", "a ends", "b begins", "b ends"]);
  });
});

describe("a model in a page", () => {
  it("is updated through the page's own fetch, and rolled back by nobody", async () => {
    const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
    const model = memorySource("digits", { "model.json": toUtf8("{}") });
    const files = new Map<string, Uint8Array>();
    // Whole responses of the browser, made here: streams, statuses and all.
    const fetch = async (url: string | URL | Request) => {
      const bytes = files.get(new URL(String(url)).pathname);
      return bytes === undefined ? new Response("", { status: 404 }) : new Response(Uint8Array.from(bytes));
    };
    let repository = await createRepository({ keys: [publicKey] });
    const publish = async (version: string) => {
      const bundle = toUtf8(await signModel(model, signer));
      const custom = releaseToJson({ name: "digits", version, status: "active" });
      const release = await releaseRepository(await addTarget(repository, "digits.sig", bundle, { custom }), {
        signers: [signer],
      });
      repository = release.repository;
      for (const [name, bytes] of release.files) files.set(`/m/${name}`, bytes);
      for (const name of targetFileNames(repository, "digits.sig")) files.set(`/t/${name}`, bundle);
    };
    await publish("1.0.0");
    const root = files.get("/m/1.root.json")!;
    const name = named();
    const update = () => {
      const store = indexedDbStore(name); // as after the page was loaded anew
      const fetcher = httpFetcher({
        metadata: "https://updates.example/m/",
        targets: "https://updates.example/t/",
        fetch,
      });
      const verify = ({ bundle }: { bundle: Uint8Array }) => verifyModel(model, bundle, { keys: [publicKey.pem] });
      return updateModel({ updater: createUpdater({ root, fetcher, store }), store, path: "digits.sig", verify });
    };
    expect(await update()).toMatchObject({ switched: true, current: { version: "1.0.0" } });
    const old = new Map(files);
    await publish("1.1.0");
    expect(await update()).toMatchObject({ switched: true, previous: { version: "1.0.0" } });
    for (const [path, bytes] of old) files.set(path, bytes);
    await expect(update()).rejects.toMatchObject({ code: "model-signing/update-rollback", role: "timestamp" });
    const { current } = await installedModel({ store: indexedDbStore(name), path: "digits.sig" });
    expect(current.version).toBe("1.1.0");
  });
});
