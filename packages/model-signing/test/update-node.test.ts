import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, normalize } from "node:path";
import { generateKeyPair, type KeyPair, toUtf8 } from "@parapet/attestation";
import { memorySource, signModel } from "@parapet/model-signing";
import {
  addDelegation,
  addTarget,
  createRepository,
  createUpdater,
  httpFetcher,
  installedModel,
  type ModelRelease,
  releaseRepository,
  releaseToJson,
} from "@parapet/model-signing/updates";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { updateModelFolder } from "../src/node/model-folder.ts";
import { openRepository, publishRelease } from "../src/node/publish.ts";
import { folderStore } from "../src/node/update-store.ts";

const fresh = (name: string) => mkdtempSync(join(tmpdir(), `parapet-${name}-`));
let pair: KeyPair;
let server: Server;
let base: string;
let published: string;
/** What the server does instead of answering with a file. */
let attack: ((path: string) => Buffer | "endless" | "slow" | undefined) | undefined;

// A plain web server over the folder: nothing in it knows about updates.
beforeAll(async () => {
  pair = await generateKeyPair("ecdsa-p256-sha256");
  server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url!, "http://x").pathname));
    const other = attack?.(path);
    if (other === "slow") return void response.write(" ");
    if (other === "endless") {
      const more = () => {
        while (response.write(Buffer.alloc(65_536)));
      };
      response.on("drain", more);
      more();
      return;
    }
    try {
      response.end(other ?? readFileSync(join(published, path)));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  published = fresh("published");
  attack = undefined;
});

const modelOf = (version: string) => ({
  "model.onnx": toUtf8(`weights of ${version}`.repeat(1000)),
  "tokenizer/vocabulary.json": toUtf8(`["${version}"]`),
});

async function publish(version: string, more: Partial<ModelRelease> = {}): Promise<void> {
  const files = modelOf(version);
  const bundle = toUtf8(await signModel(memorySource("digits", files), pair.signer));
  const custom = releaseToJson({
    name: "digits",
    version,
    status: "active",
    files: `digits/${version}/`,
    size: Object.values(files).reduce((sum, { length }) => sum + length, 0),
    ...more,
  });
  const before =
    readdirSync(published).length > 0
      ? await openRepository(published)
      : await createRepository({ keys: [pair.publicKey] });
  const release = await releaseRepository(await addTarget(before, "digits/model.sig", bundle, { custom }), {
    signers: [pair.signer],
  });
  const targets = new Map([["digits/model.sig", bundle]]);
  await publishRelease(published, release, targets);
  for (const [name, bytes] of Object.entries(files)) {
    const path = join(published, "targets/digits", version, name);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, bytes);
  }
}

function client() {
  const store = folderStore(fresh("state"));
  const folder = fresh("models");
  const root = Uint8Array.from(readFileSync(join(published, "metadata/1.root.json")));
  const fetcher = httpFetcher({ metadata: `${base}/metadata/`, targets: `${base}/targets/` });
  const update = () => {
    const updater = createUpdater({ root, fetcher, store, limits: { seconds: 0.5 } });
    const trust = { keys: [pair.publicKey.pem] };
    return updateModelFolder({ updater, store, path: "digits/model.sig", folder, trust, base: `${base}/targets/` });
  };
  const refused = () =>
    update().then(
      () => "ok",
      (error: { code?: string }) => error.code?.replace("model-signing/", "") ?? String(error),
    );
  return { store, folder, update, refused };
}

describe("a model over a real web server", () => {
  it("is downloaded, proven, switched to, and the previous one kept", async () => {
    await publish("1.0.0");
    const { store, folder, update } = client();
    const first = await update();
    expect(first).toMatchObject({ switched: true, current: { version: "1.0.0" } });
    expect(readFileSync(join(first.current.location!, "model.onnx"), "utf8")).toMatch(/^weights of 1.0.0/);
    expect(await update()).toMatchObject({ switched: false });
    await publish("1.1.0");
    await publish("1.2.0");
    const second = await update();
    expect(second.previous?.location).toBe(first.current.location);
    expect(readFileSync(join(second.current.location!, "tokenizer/vocabulary.json"), "utf8")).toBe('["1.2.0"]');
    await publish("1.3.0");
    const third = await update();
    expect(readdirSync(folder).length).toBe(2);
    expect(third.previous?.location).toBe(second.current.location);
    expect((await installedModel({ store, path: "digits/model.sig" })).current).toEqual(third.current);
  });

  it("with a file that is tampered, missing, too long or slow: nothing is left behind", async () => {
    await publish("1.0.0");
    const { folder, refused, update, store } = client();
    const { current } = await update();
    await publish("1.1.0");
    const on = (what: Buffer | "endless" | "slow") => (path: string) => (path.endsWith(".onnx") ? what : undefined);
    const good = Buffer.from(modelOf("1.1.0")["model.onnx"]);
    const bad = Buffer.from(good);
    bad[5]! ^= 1;
    attack = on(bad);
    expect(await refused()).toBe("changed");
    attack = on(good.subarray(1));
    expect(await refused()).toBe("changed");
    attack = on("endless");
    expect(await refused()).toBe("update-too-large");
    for (const [file, why] of [
      ["timestamp.json", "update-too-large"],
      [".model.sig", "update-too-large"],
    ] as const) {
      attack = (path) => (path.endsWith(file) ? "endless" : undefined);
      expect(await refused()).toBe(why);
    }
    attack = (path) => (path.endsWith("timestamp.json") ? "slow" : undefined);
    expect(await refused()).toBe("update-unavailable");
    expect(readdirSync(folder).length).toBe(1);
    expect((await installedModel({ store, path: "digits/model.sig" })).current).toEqual(current);
    attack = undefined;
    expect(await refused()).toBe("ok");
  });

  it("whose release says no place, or is signed by others", async () => {
    await publish("1.0.0", { files: "https://127.0.0.1:1/" });
    const { refused } = client();
    expect(await refused()).toBe("update-unavailable");
    const honest = pair;
    await publish("1.1.0");
    const other = await generateKeyPair("ecdsa-p256-sha256");
    const bundle = toUtf8(await signModel(memorySource("digits", modelOf("1.1.0")), other.signer));
    const custom = releaseToJson({ name: "digits", version: "1.1.1", status: "active", files: "digits/1.1.0/" });
    const draft = await addTarget(await openRepository(published), "digits/model.sig", bundle, { custom });
    const release = await releaseRepository(draft, { signers: [honest.signer] });
    await publishRelease(published, release, new Map([["digits/model.sig", bundle]]));
    expect(await refused()).toBe("signature");
  });
});

describe("publishRelease", () => {
  it("writes whole releases, never over another one", async () => {
    await publish("1.0.0");
    const [a, b] = [await openRepository(published), await openRepository(published)];
    const [one, two] = [new Uint8Array(1), new Uint8Array(2)];
    const first = await releaseRepository(await addTarget(a, "x", one), { signers: [pair.signer] });
    const second = await releaseRepository(await addTarget(b, "x", two), { signers: [pair.signer] });
    const written = await publishRelease(published, first, new Map([["x", one]]));
    expect(written.map((name) => name.replace(/[0-9a-f]{64}/, "HASH"))).toEqual([
      "targets/HASH.x",
      "metadata/2.targets.json",
      "metadata/2.snapshot.json",
      "metadata/timestamp.json",
    ]);
    expect(await publishRelease(published, first, new Map([["x", one]]))).toEqual([]);
    await expect(publishRelease(published, second, new Map([["x", two]]))).rejects.toMatchObject({
      code: "model-signing/update-mismatch",
      role: "metadata/2.targets.json",
    });
    await expect(publishRelease(published, first, new Map([["x", two]]))).rejects.toThrow(RangeError);
    await expect(publishRelease(published, first, new Map([["y", one]]))).rejects.toThrow(RangeError);
    expect(readdirSync(join(published, "metadata")).filter((name) => name.startsWith("."))).toEqual([]);
    expect(statSync(join(published, "metadata/timestamp.json")).mode & 0o777).toBe(0o644);
  });

  it("opens what it wrote, with roles and without consistent snapshots", async () => {
    const options = { signers: [pair.signer] };
    const role = { keys: [pair.publicKey], paths: ["faces/*"] };
    const empty = await createRepository({ keys: [pair.publicKey], consistentSnapshot: false });
    const draft = await addTarget(await addDelegation(empty, "faces", role), "faces/a", new Uint8Array(3), {
      role: "faces",
    });
    const release = await releaseRepository(draft, options);
    await publishRelease(published, release, new Map([["faces/a", new Uint8Array(3)]]));
    expect(readdirSync(join(published, "metadata")).sort()).toEqual([
      "1.root.json",
      "faces.json",
      "snapshot.json",
      "targets.json",
      "timestamp.json",
    ]);
    expect(readdirSync(join(published, "targets/faces"))).toEqual(["a"]);
    expect(await openRepository(published)).toEqual(release.repository);
    writeFileSync(join(published, "metadata/faces.json"), "{}");
    await expect(openRepository(published)).rejects.toMatchObject({ code: "model-signing/update-malformed" });
    await expect(openRepository(fresh("empty"))).rejects.toThrow();
  });
});

describe("folderStore", () => {
  it("keeps what it was given under any name, each in a file of its own", async () => {
    const folder = join(fresh("store"), "deep/er");
    const store = folderStore(folder);
    const names = [
      "root.json",
      "ROOT.json",
      "Root.json",
      "..%2Fx.json",
      "con.json",
      ".json",
      "..json",
      "%41.json",
      "a".repeat(300),
      `${"a".repeat(299)}b`,
      "A".repeat(90),
    ];
    for (const [i, name] of names.entries()) await store.write(name, Uint8Array.of(i));
    for (const [i, name] of names.entries()) expect(await store.read(name)).toEqual(Uint8Array.of(i));
    const files = readdirSync(folder);
    expect(files.length).toBe(names.length);
    expect(new Set(files.map((name) => name.toLowerCase())).size).toBe(names.length);
    expect(files.every((name) => name.length < 255 && !/^(con|\.)/.test(name))).toBe(true);
    await store.remove("root.json");
    await store.remove("root.json");
    expect(await store.read("root.json")).toBe(undefined);
    expect(await store.read("ROOT.json")).toEqual(Uint8Array.of(1));
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it("a write that was broken off is never seen, and swept away later", async () => {
    const folder = fresh("store");
    const part = join(folder, ".01234567-89ab-cdef-0123-456789abcdef.part");
    const recent = join(folder, ".11234567-89ab-cdef-0123-456789abcdef.part");
    for (const path of [part, recent]) writeFileSync(path, "half of a fi");
    utimesSync(part, 0, 0);
    const store = folderStore(folder);
    await store.write("x", Uint8Array.of(1));
    expect(readdirSync(folder).sort()).toEqual([".11234567-89ab-cdef-0123-456789abcdef.part", "x"]);
  });

  it("does not take an error for nothing", async () => {
    const folder = fresh("store");
    mkdirSync(join(folder, "root.json"));
    await expect(folderStore(folder).read("root.json")).rejects.toThrow();
  });
});
