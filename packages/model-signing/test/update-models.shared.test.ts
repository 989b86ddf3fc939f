import { generateKeyPair, type KeyPair, toUtf8 } from "@parapet/attestation";
import { type FileSource, memorySource, signModel, verifyModel } from "@parapet/model-signing";
import {
  addDelegation,
  addTarget,
  compareVersions,
  createRepository,
  createUpdater,
  installedModel,
  type ModelRelease,
  memoryStore,
  type Repository,
  readRelease,
  releaseRepository,
  releaseToJson,
  removeTarget,
  renewRole,
  rotateKeys,
  signRole,
  type UpdateModelOptions,
  type UpdateStore,
  updateModel,
} from "@parapet/model-signing/updates";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";

const start = Date.parse("2026-03-01T12:00:00Z");
const day = 86_400_000;
const path = "digits/model.sig";
let keys: KeyPair[];
let repository: Repository;
/** What lies on the server. */
let files: Map<string, Uint8Array>;
let models: Map<string, FileSource>;
let root: Uint8Array;
let store: UpdateStore;
let time: number;
/** Files of the model that the client would load. */
let wrong: FileSource | undefined;

beforeAll(async () => {
  keys = await Promise.all(Array.from({ length: 6 }, () => generateKeyPair("ecdsa-p256-sha256")));
});
const now = () => new Date(time);
const all = () => keys.map(({ signer }) => signer);

beforeEach(async () => {
  time = start;
  wrong = undefined;
  store = memoryStore();
  files = new Map();
  models = new Map();
  const machine = { keys: [keys[1]!.publicKey] };
  repository = await createRepository({
    keys: [keys[0]!.publicKey],
    roles: { snapshot: machine, timestamp: machine },
  });
  await release("1.0.0", 1);
  root = files.get("1.root.json")!;
});

async function publish(signers = all()): Promise<readonly string[]> {
  const released = await releaseRepository(repository, { signers, now });
  repository = released.repository;
  for (const [name, bytes] of released.files) files.set(name, bytes);
  return [...released.files.keys()];
}

/** Signs and releases a model whose one file is this byte. */
async function release(
  version: string,
  byte: number,
  more: Partial<ModelRelease> = {},
  name = "digits",
): Promise<void> {
  const model = memorySource(name, { "model.onnx": new Uint8Array(100).fill(byte) });
  const bundle = toUtf8(await signModel(model, keys[5]!.signer));
  models.set(version, model);
  const custom = releaseToJson({ name: "digits", version, status: "active", ...more });
  repository = await addTarget(repository, path, bundle, { custom });
  files.set("bundle", bundle);
  await publish();
}

const updater = () =>
  createUpdater({
    root,
    store,
    now,
    async fetcher({ kind, path: name }) {
      const bytes = files.get(kind === "targets" ? "bundle" : name);
      return (
        bytes &&
        (async function* () {
          yield bytes;
        })()
      );
    },
  });

const update = (more: Partial<UpdateModelOptions> = {}) =>
  updateModel({
    updater: updater(),
    store,
    path,
    now,
    async verify({ bundle, release: { version } }) {
      const trust = { keys: [keys[5]!.publicKey.pem] };
      const { name } = await verifyModel(wrong ?? models.get(version)!, bundle, trust);
      return { name, location: `place of ${version}` };
    },
    ...more,
  });
const refused = async (more: Partial<UpdateModelOptions> = {}) =>
  update(more).then(
    () => "ok",
    (error: { code?: string }) => error.code?.replace("model-signing/", ""),
  );
const installed = () =>
  installedModel({ store, path, now }).then(
    ({ current, previous }) => `${current.version} after ${previous?.version}`,
    (error: { code?: string }) => error.code?.replace("model-signing/", ""),
  );

describe("updateModel", () => {
  it("switches to a higher version, keeps the one before, and stays where nothing is new", async () => {
    expect(await installed()).toBe("update-not-installed");
    expect(await update()).toMatchObject({ switched: true, current: { version: "1.0.0", location: "place of 1.0.0" } });
    expect(await update({ verify: () => Promise.reject(new Error("not asked")) })).toMatchObject({ switched: false });
    await release("1.1.0", 2);
    const second = await update();
    expect(second).toMatchObject({ switched: true, current: { version: "1.1.0" }, previous: { version: "1.0.0" } });
    await release("1.2.0", 3);
    await update();
    expect(await installed()).toBe("1.2.0 after 1.1.0");
    // The signatures of both are kept, that of the first is gone.
    expect(await store.read(`${second.current.bundle}.bundle`)).toBeDefined();
    expect(await store.read(`${second.previous!.bundle}.bundle`)).toBe(undefined);
    expect((await installedModel({ store, path })).bundle).toEqual(files.get("bundle"));
  });

  it("a model whose files, signature or name are others is not switched to", async () => {
    await update();
    await release("1.1.0", 2);
    wrong = memorySource("digits", { "model.onnx": new Uint8Array(100).fill(3) });
    expect(await refused()).toBe("changed");
    wrong = undefined;
    const good = files.get("bundle")!;
    files.set("bundle", toUtf8(await signModel(models.get("1.1.0")!, keys[4]!.signer)));
    expect(await refused()).toMatch(/^update-(mismatch|too-large)$/);
    files.set("bundle", good);
    await release("1.2.0", 4, {}, "faces");
    expect(await refused()).toBe("update-mismatch");
    expect(await installed()).toBe("1.0.0 after undefined");
    // Well released, but signed by another key.
    repository = await addTarget(repository, path, toUtf8(await signModel(models.get("1.1.0")!, keys[4]!.signer)), {
      custom: releaseToJson({ name: "digits", version: "1.3.0", status: "active" }),
    });
    files.set("bundle", toUtf8(await signModel(models.get("1.1.0")!, keys[4]!.signer)));
    await publish();
    expect(await refused()).toMatch(/^(signature|update-mismatch|update-too-large)$/);
    expect(await installed()).toBe("1.0.0 after undefined");
  });

  it("a lower version is refused; going back is a higher release of the older files", async () => {
    await release("2.0.0", 2);
    await update();
    await release("1.9.0", 1);
    expect(await refused()).toBe("update-rollback");
    expect(await installed()).toBe("2.0.0 after undefined");
    await release("2.0.1", 1);
    expect(await update()).toMatchObject({ switched: true, current: { version: "2.0.1" } });
  });

  it("another signature under the same version is refused", async () => {
    await update();
    await release("1.0.0", 9);
    expect(await refused()).toBe("update-mismatch");
  });

  it("a server that goes back to older files is seen before any model is", async () => {
    const old = new Map(files);
    await release("1.1.0", 2);
    await update();
    files = old;
    expect(await refused()).toBe("update-rollback");
  });

  it("what is revoked, or below the minimum, is not used any more, offline too", async () => {
    await update();
    await release("1.1.0", 2);
    await update();
    await release("1.1.0", 2, { status: "revoked", reason: "poisoned data" });
    // Signatures of ECDSA differ each time: the release speaks about the version.
    const error = await update().catch((cause) => cause);
    expect(error).toMatchObject({ code: "model-signing/update-revoked", got: "poisoned data" });
    expect(await installed()).toBe("update-revoked");
    await release("1.2.0", 3, { minimumVersion: "1.1.5" });
    expect(await refused({ verify: () => Promise.reject(Object.assign(new Error(), { code: "files/missing" })) })).toBe(
      "files/missing",
    );
    expect(await installed()).toBe("update-revoked");
    await update();
    expect(await installed()).toBe("1.2.0 after undefined"); // 1.1.0 may not be gone back to
    // The newest release says what is allowed now: metadata itself cannot go back.
    await release("1.3.0", 4);
    await update();
    expect(await installed()).toBe("1.3.0 after 1.2.0");
  });

  it("from a version that a thief of keys released, the way leads down again", async () => {
    await update();
    await release("999999999.0.0", 2, { minimumVersion: "999999999.0.0" });
    await update();
    await release("1.1.0", 3);
    expect(await refused()).toBe("update-rollback");
    expect(await installed()).toBe("999999999.0.0 after 1.0.0");
    await release("1.1.1", 3, { revokes: { "999999999.0.0": "stolen key" } });
    const failing = { verify: () => Promise.reject(Object.assign(new Error(), { code: "files/missing" })) };
    expect(await refused(failing)).toBe("files/missing");
    expect(await installed()).toBe("update-revoked");
    expect(await update()).toMatchObject({ switched: true, current: { version: "1.1.1" } });
    expect(await installed()).toBe("1.1.1 after 1.0.0");
    // It stays revoked.
    await release("1.2.0", 3);
    await update();
    await release("999999999.0.0", 2);
    expect(await refused()).toBe("update-revoked");
  });

  it("a deprecated one still loads", async () => {
    await release("1.1.0", 2, { status: "deprecated", reason: "use 2" });
    await update();
    expect(await installed()).toBe("1.1.0 after undefined");
  });

  it("news can be demanded", async () => {
    await update();
    time += 10 * 1000;
    const about = { store, path, now };
    expect((await installedModel({ ...about, maxAge: 10 })).current.version).toBe("1.0.0");
    await expect(installedModel({ ...about, maxAge: 9 })).rejects.toMatchObject({
      code: "model-signing/update-expired",
    });
  });

  it("state that is damaged says so", async () => {
    await update();
    const name = `${encodeURIComponent(path)}.model`;
    for (const text of ["", "{}", '{"revoked":{},"checked":"x","current":{"name":"x"}}', "[]"]) {
      await store.write(name, toUtf8(text));
      expect(await installed()).toBe("update-malformed");
      expect(await refused()).toBe("update-malformed");
    }
    store = memoryStore();
    const { current } = await update();
    await store.write(`${current.bundle}.bundle`, new Uint8Array(3));
    expect(await installed()).toBe("update-not-installed");
  });

  it("no role can be called like the state of a model: what a role of a team says would be taken for it", async () => {
    const role = { keys: [keys[0]!.publicKey], paths: ["digits/*"] };
    for (const name of ["model.digits", "digits.model", "a.bundle"])
      repository = await addDelegation(repository, name, role);
    await publish();
    const written = new Set<string>();
    const { write } = store;
    store = {
      ...store,
      write(name, bytes) {
        written.add(name);
        return write(name, bytes);
      },
    };
    await updater()
      .targetInfo("digits/other")
      .catch(() => {});
    expect(written.size).toBe(7);
    expect([...written].every((name) => name.endsWith(".json"))).toBe(true);
    const metadata = new Set(written);
    await update();
    const states = [...written].filter((name) => !metadata.has(name));
    expect(states.map((name) => name.replace(/^.*\./, ""))).toEqual(["model", "bundle"]);
  });

  it("nothing is switched when it is aborted or the store fails", async () => {
    await update();
    await release("1.1.0", 2);
    const controller = new AbortController();
    const { signal } = controller;
    const verify = async () => {
      controller.abort(new Error("enough"));
      return { name: "digits" };
    };
    await expect(update({ signal, verify })).rejects.toThrow("enough");
    const write: UpdateStore["write"] = (name, bytes) =>
      name.endsWith(".bundle") ? Promise.reject(new Error("disk full")) : store.write(name, bytes);
    await expect(update({ store: { ...store, write } })).rejects.toThrow("disk full");
    expect(await installed()).toBe("1.0.0 after undefined");
  });
});

describe("releases", () => {
  const good = { name: "digits", version: "1.0.0", status: "active" };
  const about = (model: unknown) =>
    readRelease({ path, length: 1, hashes: {}, role: "targets", custom: { model } as never });

  it("are read strictly", () => {
    expect(about({ ...good, minimumVersion: "0.9.0", reason: "x", files: "a/b", size: 3 }).size).toBe(3);
    for (const model of [
      undefined,
      [],
      { ...good, name: "" },
      { ...good, version: "1.0" },
      { ...good, version: "1.0.0+build" },
      { ...good, version: "01.0.0" },
      { ...good, status: "fine" },
      { ...good, minimumVersion: "1.0.1" },
      { ...good, more: 1 },
      { ...good, size: -1 },
      { ...good, revokes: { "1.0.0": "itself" } },
      { ...good, revokes: { "1.0": "x" } },
      { ...good, revokes: { "0.9.0": 1 } },
      { name: "digits", status: "active" },
    ]) {
      expect(() => about(model)).toThrow(expect.objectContaining({ code: "model-signing/update-malformed" }));
    }
    expect(() => readRelease({ path, length: 1, hashes: {}, role: "targets" })).toThrow("custom");
    expect(() => releaseToJson({ ...good, status: "revoke" as never })).toThrow("revoked");
  });

  // The order of Semantic Versioning 2.0.0, section 11.
  it("have versions in their order", () => {
    const order =
      "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 2.0.0 2.1.0 2.1.1 2.10.0";
    const versions = order.split(" ");
    versions.forEach((a, i) => {
      versions.forEach((b, j) => {
        expect(Math.sign(compareVersions(a, b))).toBe(Math.sign(i - j));
      });
    });
    expect(() => compareVersions("1", "1.0.0")).toThrow(RangeError);
  });
});

describe("a repository that is written here", () => {
  it("signs what has changed, and nothing else", async () => {
    expect(await publish()).toEqual(["timestamp.json"]);
    time += 25 * day;
    expect(await publish()).toEqual(["2.snapshot.json", "timestamp.json"]);
    await release("1.1.0", 2);
    await update();
    repository = removeTarget(repository, path);
    expect(await publish()).toEqual(["3.targets.json", "4.snapshot.json", "timestamp.json"]);
    expect(await refused()).toBe("update-unknown-target");
    repository = renewRole(renewRole(repository, "targets"), "root");
    expect(await publish()).toEqual(["4.targets.json", "5.snapshot.json", "2.root.json", "timestamp.json"]);
    time += 70 * day;
    await publish();
    expect(await updater().refresh()).toMatchObject({ root: 2, targets: 4 });
    expect(() => renewRole(repository, "timestamp")).toThrow(RangeError);
  });

  it("a machine that has the keys of timestamp and snapshot can sign no targets", async () => {
    repository = await addTarget(repository, "x", new Uint8Array(1));
    await expect(publish([keys[1]!.signer])).rejects.toMatchObject({
      code: "model-signing/update-signature",
      role: "targets",
    });
  });

  it("thresholds are met by several people, one after the other", async () => {
    const people = [keys[0]!, keys[2]!, keys[3]!];
    repository = await createRepository({
      keys: people.map(({ publicKey }) => publicKey),
      threshold: 2,
      roles: { snapshot: { keys: [keys[1]!.publicKey] }, timestamp: { keys: [keys[1]!.publicKey] } },
    });
    files.clear();
    const machine = [keys[1]!.signer];
    for (const role of ["root", "targets"]) {
      repository = await signRole(repository, role, [people[0]!.signer], { now });
      await expect(publish(machine)).rejects.toMatchObject({ code: "model-signing/update-signature" });
      // It goes to the next one as JSON.
      repository = await signRole(JSON.parse(JSON.stringify(repository)), role, [people[1]!.signer], { now });
    }
    await expect(signRole(repository, "root", [keys[4]!.signer])).rejects.toThrow(RangeError);
    await expect(signRole(repository, "snapshot", machine)).rejects.toThrow("one that has changed");
    expect(await publish(machine)).toContain("1.root.json");
    root = files.get("1.root.json")!;
    expect(await updater().refresh()).toEqual({ root: 1, timestamp: 1, snapshot: 1, targets: 1 });
  });

  it("keys are rotated, those of root with the old ones", async () => {
    await update();
    for (const role of ["timestamp", "snapshot", "targets"] as const) {
      repository = await rotateKeys(repository, role, { keys: [keys[2]!.publicKey] });
      await expect(publish([keys[0]!.signer, keys[1]!.signer])).rejects.toMatchObject({
        code: "model-signing/update-signature",
      });
      await publish();
      expect(await refused()).toBe("ok");
    }
    repository = await rotateKeys(repository, "root", { keys: [keys[3]!.publicKey, keys[4]!.publicKey], threshold: 2 });
    await expect(publish([keys[2]!.signer, keys[3]!.signer, keys[4]!.signer])).rejects.toMatchObject({ role: "root" });
    await expect(publish([keys[0]!.signer, keys[2]!.signer, keys[3]!.signer])).rejects.toMatchObject({ role: "root" });
    await publish();
    expect(await refused()).toBe("ok");
    expect((await updater().refresh()).root).toBe(5);
    // The old key is nobody's now.
    const text = JSON.stringify(repository.root.signed);
    expect(text).not.toContain(JSON.stringify(keys[0]!.publicKey.pem).slice(1, -1));
  });

  it("teams speak for their paths", async () => {
    repository = await addDelegation(repository, "faces", { keys: [keys[4]!.publicKey], paths: ["faces/*"] });
    repository = await addDelegation(repository, "beta", {
      keys: [keys[3]!.publicKey],
      paths: ["faces/beta/*", "*"],
      from: "faces",
    });
    repository = await addTarget(repository, "faces/model.sig", new Uint8Array(4), { role: "faces" });
    repository = await addTarget(repository, "digits/x", new Uint8Array(4), { role: "faces" });
    await publish();
    const client = updater();
    expect(await client.targetInfo("faces/model.sig")).toMatchObject({ role: "faces", length: 4 });
    await expect(client.targetInfo("digits/x")).rejects.toMatchObject({ code: "model-signing/update-unknown-target" });
    expect((await client.targetInfo(path)).role).toBe("targets");
    // Its key is changed by those who let it speak; what it said is signed again.
    repository = await addDelegation(repository, "faces", { keys: [keys[2]!.publicKey], paths: ["faces/*"] });
    await expect(publish([keys[0]!, keys[1]!, keys[4]!].map(({ signer }) => signer))).rejects.toMatchObject({
      role: 'role "faces"',
    });
    await publish();
    await client.refresh();
    expect((await client.targetInfo("faces/model.sig")).length).toBe(4);
  });

  it("refuses what cannot be", async () => {
    for (const bad of ["", "/x", "../x", "a//b"]) {
      await expect(addTarget(repository, bad, new Uint8Array())).rejects.toThrow(RangeError);
    }
    expect(() => removeTarget(repository, "none")).toThrow(RangeError);
    await expect(createRepository({ keys: [] })).rejects.toThrow(RangeError);
    await expect(createRepository({ keys: [keys[0]!.publicKey], threshold: 2 })).rejects.toThrow(RangeError);
    await expect(createRepository({ keys: [keys[0]!.publicKey, keys[0]!.publicKey], threshold: 2 })).rejects.toThrow(
      RangeError,
    );
    const { publicKey } = await generateKeyPair("ecdsa-p521-sha512");
    await expect(createRepository({ keys: [publicKey] })).rejects.toThrow(TypeError);
    for (const name of ["root", "../x", "a b", ""]) {
      const role = { keys: [keys[0]!.publicKey], paths: ["*"] };
      await expect(addDelegation(repository, name, role)).rejects.toThrow(RangeError);
    }
    await expect(addTarget(repository, "x", new Uint8Array(), { role: "none" })).rejects.toThrow(RangeError);
    await expect(addTarget(repository, "x", new Uint8Array(), { custom: { a: 0.5 } })).rejects.toThrow("whole");
  });

  it("does not change what it was given", async () => {
    const before = JSON.stringify(repository);
    await addTarget(repository, "y", new Uint8Array(1));
    await rotateKeys(repository, "targets", { keys: [keys[2]!.publicKey] });
    await releaseRepository(repository, { signers: all(), now });
    expect(JSON.stringify(repository)).toBe(before);
  });
});
