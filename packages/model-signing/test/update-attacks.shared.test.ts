import { createVerifier, toUtf8 } from "@parapet/attestation";
import { ed25519Verifier } from "@parapet/attestation/small";
import { createUpdater, type Fetcher, httpFetcher, memoryStore } from "@parapet/model-signing/updates";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { matchesPath, rolesFor } from "../src/updates/delegations.ts";
import { readRoot, readTargets } from "../src/updates/metadata.ts";
import {
  type Body,
  Client,
  day,
  inDays,
  keyid,
  Simulator,
  start,
  type TestKey,
  testKey,
} from "./helpers/update-simulator.ts";

// What the conformance suite does not ask.
let pool: TestKey[];
let repo: Simulator;
let client: Client;
const all = ["root", "targets", "snapshot", "timestamp"];
const lower = ["targets", "snapshot", "timestamp"];

beforeAll(async () => {
  pool = await Promise.all(Array.from({ length: 14 }, () => testKey()));
});
beforeEach(async () => {
  repo = await Simulator.create(pool);
  client = new Client(repo);
});

/** The simulator's files, with another answer for one. */
const instead =
  (path: string, answer: (request: Parameters<Fetcher>[0]) => ReturnType<Fetcher>): Fetcher =>
  (request) =>
    request.path === path ? answer(request) : repo.fetcher(request);

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) yield new Uint8Array(65_536);
}

describe("keys", () => {
  it("one key under two identifiers is one key", async () => {
    const key = repo.signers.timestamp![0]!;
    const json = { ...key.json, note: "the same key" };
    repo.addKey("timestamp", { ...key, json, keyid: await keyid(json) });
    repo.bodies.root.roles.timestamp.threshold = 2;
    await repo.publish(["root", "timestamp"]);
    expect(repo.last("timestamp").signatures.length).toBe(2);
    expect(await client.refresh()).toBe("signature");
    expect(client.error).toMatchObject({ role: "timestamp", got: "1" });
    repo.addKey("timestamp");
    await repo.publish(["root", "timestamp"]);
    expect(await client.refresh()).toBe("ok");
  });

  it("an identifier that is not its key's, a key that is not described", async () => {
    const [name] = Object.keys(repo.bodies.root.keys);
    const key = repo.bodies.root.keys[name!];
    repo.bodies.root.keys[name!] = { ...key, note: "changed" };
    await repo.publish(["root"]);
    expect(await client.refresh()).toBe("malformed");
    repo.bodies.root.keys[name!] = key;
    repo.bodies.root.roles.snapshot.keyids.push("0".repeat(64));
    repo.published.root!.pop();
    repo.bodies.root.version--;
    await repo.publish(["root"]);
    expect(await client.refresh()).toBe("malformed");
  });

  it("a stolen key of one role signs for no other", async () => {
    for (const [role, thief] of [
      ["root", "timestamp"],
      ["timestamp", "snapshot"],
      ["snapshot", "timestamp"],
      ["targets", "snapshot"],
    ] as const) {
      repo = await Simulator.create(pool);
      client = new Client(repo);
      repo.signers[role] = repo.signers[thief]!;
      await repo.publish(all);
      expect(await client.refresh()).toBe("signature");
    }
  });

  it("a key of an unknown kind, or damaged, may stand there; it counts for nothing", async () => {
    const odd = await testKey("ecdsa-sha2-nistp256", { x: 1 });
    for (const [change, why] of [
      [{ scheme: "dilithium-17" }, /dilithium-17/],
      [{ keyval: { public: "no key" } }, /PEM/],
      [{ scheme: "ecdsa-sha2-nistp384" }, /ecdsa-p256-sha256/],
      [{ keytype: "ed25519", scheme: "ed25519" }, /64 hexadecimal digits/],
      [{ keytype: "rsa", scheme: "rsassa-pss-sha256" }, /RSA/],
    ] as const) {
      repo = await Simulator.create(pool);
      client = new Client(repo);
      const json = { ...odd.json, ...change };
      repo.addKey("snapshot", { ...odd, json, keyid: await keyid(json) });
      await repo.publish(all);
      expect(await client.refresh()).toBe("ok");
      repo.bodies.root.roles.snapshot.threshold = 2;
      await repo.publish(all);
      expect(await client.refresh()).toBe("signature");
      expect((client.error as Error).message).toMatch(why);
    }
  });

  it("verifiers of another platform can be given", async () => {
    repo.rotate("targets");
    repo.bodies.root.roles.targets.keyids = [];
    repo.signers.targets = [];
    repo.addKey("targets", await testKey("ed25519"));
    await repo.publish(all);
    let asked = 0;
    client.more = {
      verifierOf(key) {
        if (key.algorithm !== "ed25519") return createVerifier(key);
        asked++;
        return ed25519Verifier(key);
      },
    };
    expect(await client.refresh()).toBe("ok");
    expect(asked).toBe(1);
  });
});

describe("endless data and slow servers", () => {
  it.each(["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"])("%s", async (path) => {
    const before = Date.now();
    client.more = { fetcher: instead(path, async () => endless()) };
    expect(await client.refresh()).toBe("too-large");
    client.more = { fetcher: instead(path, () => new Promise(() => {})), limits: { seconds: 0.05 } };
    expect(await client.refresh()).toBe("unavailable");
    client.more = {
      fetcher: instead(path, async ({ signal }) =>
        (async function* () {
          while (!signal.aborted) {
            yield Uint8Array.of(32);
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
        })(),
      ),
      limits: { seconds: 0.05 },
    };
    expect(await client.refresh()).toBe("unavailable");
    expect(Date.now() - before).toBeLessThan(5000);
  });

  it("a target, by the length that is signed and by the limit", async () => {
    await repo.addArtifact("targets", "content", "file");
    await repo.publish(lower);
    const fetcher: Fetcher = async (request) => (request.kind === "targets" ? endless() : repo.fetcher(request));
    client.more = { fetcher };
    expect(await client.download("file")).toBe("too-large");
    client.more = { limits: { download: 6 } };
    expect(await client.download("file")).toBe("too-large");
    client.more = { limits: { download: 7 } };
    expect(await client.download("file")).toBe("ok");
  });

  it("roots without end: as many as the limit, then it goes on", async () => {
    for (let i = 0; i < 5; i++) await repo.publish(["root"]);
    client.limits = { roots: 3 };
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("root")).toBe(4);
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("root")).toBe(6);
  });

  it("delegations without end", async () => {
    let from = "targets";
    for (let i = 0; i < 8; i++) {
      repo.signers[`r${i}`] = [];
      repo.bodies[from].delegations = {
        keys: { [pool[0]!.keyid]: pool[0]!.json },
        roles: [{ name: `r${i}`, keyids: [pool[0]!.keyid], threshold: 1, paths: ["*"] }],
      };
      repo.bodies[`r${i}`] = { _type: "targets", spec_version: "1.0", version: 1, expires: inDays(9), targets: {} };
      repo.signers[`r${i}`] = [pool[0]!];
      from = `r${i}`;
    }
    await repo.addArtifact("r7", "deep", "file");
    await repo.publish([...Array.from({ length: 8 }, (_, i) => `r${i}`), ...lower]);
    client.limits = { delegations: 8 };
    expect(await client.download("file")).toBe("ok");
    client.limits = { delegations: 7 };
    expect(await client.download("file")).toBe("unknown-target");
  });

  it("a caller's signal ends it, with the caller's reason", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    client.more = {
      fetcher: instead("timestamp.json", () => {
        controller.abort(reason);
        return new Promise(() => {});
      }),
    };
    await expect(client.updater().refresh({ signal: controller.signal })).rejects.toBe(reason);
    await expect(client.updater().refresh({ signal: controller.signal })).rejects.toBe(reason);
  });
});

describe("what is kept", () => {
  it("damaged files are as good as none, and mended", async () => {
    expect(await client.refresh()).toBe("ok");
    for (const name of ["root", "timestamp", "snapshot", "targets"]) {
      for (const bytes of [new Uint8Array(), toUtf8("{}"), repo.published.targets![0]!.slice(0, 100)]) {
        await client.store.write(`${name}.json`, bytes);
        expect(await client.refresh()).toBe("ok");
        expect(await client.version(name)).toBe(1);
      }
    }
  });

  it("a newer root that is shipped counts, and an older one does not", async () => {
    await repo.publish(["root"]);
    await repo.publish(["root"]);
    client.root = repo.published.root![1]!;
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("root")).toBe(3);
    client.root = repo.published.root![0]!;
    repo.asked.length = 0;
    expect(await client.refresh()).toBe("ok");
    expect(repo.asked[0]).toEqual(["root", 4]);
    await client.store.write("root.json", repo.published.root![0]!);
    client.root = repo.published.root![2]!;
    repo.asked.length = 0;
    expect(await client.refresh()).toBe("ok");
    expect(repo.asked[0]).toEqual(["root", 4]);
  });

  it("the same version again is no news, but it still ends", async () => {
    repo.bodies.timestamp.expires = inDays(2);
    await repo.publish(["timestamp"]);
    expect(await client.refresh()).toBe("ok");
    client.now = start + 3 * day;
    expect(await client.refresh()).toBe("expired");
    expect(client.error).toMatchObject({ role: "timestamp 2" });
  });

  it("exactly at its end metadata is over", async () => {
    repo.bodies.timestamp.expires = inDays(2);
    await repo.publish(["timestamp"]);
    client.now = start + 2 * day - 1;
    expect(await client.refresh()).toBe("ok");
    client.now = start + 2 * day;
    expect(await client.refresh()).toBe("expired");
  });

  it("a key that is added makes nothing forgotten; one that is taken away does, even when the update breaks off", async () => {
    for (let i = 0; i < 4; i++) await repo.publish(["timestamp"]);
    expect(await client.refresh()).toBe("ok");
    repo.addKey("timestamp");
    await repo.publish(["root"]);
    const old = repo.published.timestamp!.slice(0, 2);
    repo.published.timestamp = old;
    expect(await client.refresh()).toBe("rollback");
    // The first key goes: what it signed does not count any more, and the repository begins anew.
    const said = repo.bodies.root.roles.timestamp;
    said.keyids = said.keyids.slice(1);
    repo.signers.timestamp = repo.signers.timestamp!.slice(1);
    delete repo.published.timestamp;
    repo.bodies.timestamp.version = 1;
    await repo.publish(["root", "timestamp"]);
    client.more = { store: { ...client.store, remove: () => Promise.reject(new Error("no power")) } };
    await expect(client.refresh()).rejects.toThrow("no power");
    client.more = {};
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("timestamp")).toBe(1);
  });

  it.each(["timestamp", "snapshot"])(
    "%s: a key goes, one stays that signed the attacker's versions, too",
    async (role) => {
      repo.addKey(role);
      await repo.publish(["root"]);
      for (let i = 0; i < 20; i++) await repo.publish([role]);
      await repo.publish(["timestamp"]);
      expect(await client.refresh()).toBe("ok");
      expect(repo.last(role).signatures.length).toBe(2);
      const said = repo.bodies.root.roles[role];
      said.keyids = said.keyids.slice(1);
      repo.signers[role] = repo.signers[role]!.slice(1);
      delete repo.published[role];
      repo.bodies[role].version = 1;
      await repo.publish(["root", ...new Set([role, "timestamp"])]);
      expect(await client.refresh()).toBe("ok");
      expect(await client.version(role)).toBe(1);
    },
  );

  it("what fails, leaves a client that can go on", async () => {
    for (const path of ["timestamp.json", "1.snapshot.json", "1.targets.json"]) {
      client.more = { fetcher: instead(path, () => Promise.reject(new Error("no network"))) };
      expect(await client.refresh()).toBe("unavailable");
      expect((client.error as Error).message).toContain("no network");
    }
    client.more = {};
    expect(await client.refresh()).toBe("ok");
    // A root that cannot be reached is not a root that does not exist.
    client.more = { fetcher: instead("2.root.json", () => Promise.reject(new Error("no network"))) };
    expect(await client.refresh()).toBe("unavailable");
  });

  it("an update that failed is not passed over by the next question", async () => {
    await repo.addArtifact("targets", "content", "file");
    await repo.publish(lower);
    const updater = client.updater();
    await updater.refresh();
    repo.bodies.timestamp.expires = inDays(-1);
    await repo.publish(["timestamp"]);
    await expect(updater.refresh()).rejects.toMatchObject({ code: "model-signing/update-expired" });
    await expect(updater.targetInfo("file")).rejects.toMatchObject({ code: "model-signing/update-expired" });
  });
});

describe("mix and match", () => {
  it("files of another release, well signed", async () => {
    await repo.publish(lower);
    expect(await client.refresh()).toBe("ok");
    await repo.publish(lower);
    const [, second] = repo.published.snapshot!;
    repo.published.snapshot![2] = second!;
    expect(await client.refresh()).toBe("mismatch");
    expect(client.error).toMatchObject({ role: "snapshot", expected: "version 3", got: "version 2" });
  });

  it("metadata of one delegated role in the place of another one", async () => {
    repo.delegate("targets", "a", { paths: ["a/*"] });
    repo.delegate("targets", "b", { paths: ["b/*"] });
    await repo.addArtifact("a", "by a", "b/file");
    await repo.publish(["a", "b", ...lower]);
    repo.published.b = repo.published.a!;
    expect(await client.download("b/file")).toBe("signature");
  });

  it("repositories without consistent snapshots", async () => {
    repo.bodies.root.consistent_snapshot = false;
    repo.hashes = true;
    await repo.addArtifact("targets", "content", "a/file");
    await repo.publish(all);
    expect(await client.download("a/file")).toBe("ok");
    expect(repo.asked.slice(-3)).toEqual([
      ["timestamp", null],
      ["snapshot", null],
      ["targets", null],
    ]);
    expect(repo.artifactsAsked).toEqual([["a/file", null]]);
    repo.published.snapshot!.push(repo.published.snapshot![0]!);
    client = new Client(repo);
    expect(await client.refresh()).toBe("mismatch");
  });
});

describe("delegations", () => {
  it.each([
    ["targets/*.tgz", "targets/foo.tgz", true],
    ["targets/*.tgz", "targets/foo.txt", false],
    ["foo-version-?.tgz", "foo-version-2.tgz", true],
    ["foo-version-?.tgz", "foo-version-alpha.tgz", false],
    ["*.tgz", "foo.tgz", true],
    ["*.tgz", "targets/foo.tgz", false],
    ["foo.tgz", "foo.tgz", true],
    ["*", "a/b", false],
    ["*/*", "a/b", true],
    ["a*b*c", "aXbXbc", true],
    ["a*b*c", "aXbXbcX", false],
    ["?", "\u{1f600}", true],
    ["??", "\u{1f600}", false],
    ["[ab]", "a", false],
    ["[ab]", "[ab]", true],
    [".*", "a", false],
    ["", "", true],
  ])("%s means %s: %s", (pattern, path, meant) => {
    expect(matchesPath(pattern, path)).toBe(meant);
  });

  it("a hostile pattern takes no time", () => {
    const before = Date.now();
    expect(matchesPath("*a".repeat(1000), "a".repeat(3000))).toBe(true);
    expect(matchesPath(`${"*a".repeat(1000)}b`, "a".repeat(3000))).toBe(false);
    expect(Date.now() - before).toBeLessThan(2000);
  });

  it("by beginnings of hashes", async () => {
    // SHA-256 of "x" begins with 2d, of "y" with a1.
    repo.delegate("targets", "low", { path_hash_prefixes: ["0", "1", "2d"] });
    await repo.addArtifact("low", "x", "x");
    await repo.addArtifact("low", "y", "y");
    await repo.publish(["low", ...lower]);
    expect(await client.download("x")).toBe("ok");
    expect(await client.download("y")).toBe("unknown-target");
  });

  it("by equal shares (succinct roles)", async () => {
    const key = repo.newKey();
    repo.bodies.targets.delegations = {
      keys: { [key.keyid]: key.json },
      succinct_roles: { keyids: [key.keyid], threshold: 1, bit_length: 5, name_prefix: "bin" },
    };
    const names = Array.from({ length: 32 }, (_, i) => `bin-${i.toString(16).padStart(2, "0")}`);
    for (const name of names) {
      repo.bodies[name] = { _type: "targets", spec_version: "1.0", version: 1, expires: inDays(9), targets: {} };
      repo.signers[name] = [key];
    }
    await repo.addArtifact("bin-05", "x", "x"); // 0x2d >> 3
    await repo.addArtifact("bin-05", "y", "y"); // not its own: 0xa1 >> 3 is 0x14
    await repo.publish([...names, ...lower]);
    expect(await client.download("x")).toBe("ok");
    expect(repo.asked.at(-1)).toEqual(["bin-05", 1]);
    expect(await client.download("y")).toBe("unknown-target");
    expect(repo.asked.at(-1)).toEqual(["bin-14", 1]);
    const { signed } = await readTargets(repo.published.targets!.at(-1)!);
    expect(
      (await rolesFor({ ...signed.delegations!, succinct: { ...signed.delegations!.succinct!, bits: 32 } }, "x"))[0]!
        .name,
    ).toBe("bin-2d711642");
  });

  it("an expired one is refused, and ends the search", async () => {
    repo.delegate("targets", "a");
    repo.delegate("targets", "b");
    await repo.addArtifact("b", "content", "file");
    repo.bodies.a.expires = inDays(-1);
    await repo.publish(["a", "b", ...lower]);
    expect(await client.download("file")).toBe("expired");
  });

  it("cannot be called like a top-level role", async () => {
    for (const name of ["root", "timestamp", "snapshot", "targets", "mirrors", ""]) {
      repo = await Simulator.create(pool);
      client = new Client(repo);
      const { targets } = repo.bodies;
      targets.delegations = { keys: {}, roles: [{ name, keyids: [], threshold: 1, paths: ["*"] }] };
      await repo.publish(lower);
      expect(await client.refresh()).toBe("malformed");
    }
  });
});

describe("metadata is read strictly", () => {
  it.each<[string, (signed: Body) => void]>([
    ["version 0", (s) => (s.version = 0)],
    ["version 1.5", (s) => (s.version = 1.5)],
    ["version true", (s) => (s.version = true)],
    ["another specification", (s) => (s.spec_version = "2.0.0")],
    ["a time with parts of seconds", (s) => (s.expires = "2030-01-01T00:00:00.000Z")],
    ["a time that does not exist", (s) => (s.expires = "2030-02-30T00:00:00Z")],
    ["no type", (s) => delete s._type],
    ["another type", (s) => (s._type = "targets")],
    ["threshold 0", (s) => (s.roles.root.threshold = 0)],
    ["a strange role", (s) => (s.roles.other = s.roles.root)],
    ["no timestamp", (s) => delete s.roles.timestamp],
    ["consistent_snapshot 1", (s) => (s.consistent_snapshot = 1)],
    ["a number that is not whole", (s) => (s.x = 0.5)],
  ])("root: %s", async (_, change) => {
    const file = repo.last("root");
    change(file.signed);
    await expect(readRoot(toUtf8(JSON.stringify(file)))).rejects.toMatchObject({
      code: expect.stringMatching(/update-(malformed|unsupported)$/),
    });
  });

  it.each<[string, (signed: Body) => void]>([
    ["a target without hashes", (s) => delete s.targets.file.hashes],
    ["empty hashes", (s) => (s.targets.file.hashes = {})],
    ["capital letters", (s) => (s.targets.file.hashes.sha256 = s.targets.file.hashes.sha256.toUpperCase())],
    ["a short hash", (s) => (s.targets.file.hashes.sha256 = "ab")],
    ["a negative length", (s) => (s.targets.file.length = -1)],
    ["custom that is a list", (s) => (s.targets.file.custom = [])],
    ["both kinds of paths", (s) => (s.delegations.roles[0].path_hash_prefixes = ["0"])],
    ["no paths", (s) => delete s.delegations.roles[0].paths],
    ["a name twice", (s) => s.delegations.roles.push(s.delegations.roles[0])],
    ["roles and shares", (s) => (s.delegations.succinct_roles = { bit_length: 3 })],
    ["terminating as text", (s) => (s.delegations.roles[0].terminating = "no")],
  ])("targets: %s", async (_, change) => {
    await repo.addArtifact("targets", "content", "file");
    repo.delegate("targets", "a");
    await repo.publish(["targets"]);
    const file = repo.last("targets");
    expect((await readTargets(toUtf8(JSON.stringify(file)))).signed.targets.size).toBe(1);
    change(file.signed);
    await expect(readTargets(toUtf8(JSON.stringify(file)))).rejects.toMatchObject({
      code: "model-signing/update-malformed",
    });
  });

  it("a name twice, a byte order mark, bytes that are no text", async () => {
    const text = new TextDecoder().decode(repo.published.root![0]);
    for (const bytes of [
      toUtf8(text.replace('"version":1', '"version":1,"version":1')),
      toUtf8(`\ufeff${text}`),
      Uint8Array.of(0xff, 0xfe),
      toUtf8("[".repeat(100_000)),
    ]) {
      await expect(readRoot(bytes)).rejects.toMatchObject({ code: "model-signing/update-malformed" });
    }
  });

  it("no message grows with what came", async () => {
    const file = repo.last("root");
    file.signed.spec_version = "x".repeat(100_000);
    const error = await readRoot(toUtf8(JSON.stringify(file))).catch((cause) => cause);
    expect(error.message.length).toBeLessThan(500);
  });
});

describe("callers", () => {
  it("are told what they did wrong", async () => {
    const good = { root: client.root, fetcher: repo.fetcher, store: memoryStore() };
    expect(() => createUpdater({ ...good, root: "root" as never })).toThrow(TypeError);
    expect(() => createUpdater({ ...good, fetcher: {} as never })).toThrow(TypeError);
    expect(() => createUpdater({ ...good, store: {} as never })).toThrow(TypeError);
    expect(() => createUpdater({ ...good, limits: { roots: -1 } })).toThrow('"limits.roots" expected a whole number');
    expect(() => createUpdater({ ...good, limits: { seconds: 0 } })).toThrow(RangeError);
    for (const path of ["", "/x", "a//b", "../x", "a/./b", "a/..", "\ud800"]) {
      await expect(createUpdater(good).targetInfo(path)).rejects.toThrow(RangeError);
    }
  });

  it("httpFetcher: answers, and none", async () => {
    const answers: Record<string, Response> = {
      "https://x.org/m/1.root.json": new Response("root"),
      "https://x.org/m/none": new Response("", { status: 404 }),
      "https://x.org/m/hidden": new Response("", { status: 403 }),
      "https://x.org/t/broken": new Response("", { status: 500 }),
    };
    const fetch = async (url: string | URL | Request) => answers[String(url)]!;
    const fetcher = httpFetcher({ metadata: "https://x.org/m", targets: "https://x.org/t///", fetch });
    const { signal } = new AbortController();
    let text = "";
    for await (const piece of (await fetcher({ kind: "metadata", path: "1.root.json", signal }))!)
      text += new TextDecoder().decode(piece);
    expect(text).toBe("root");
    expect(await fetcher({ kind: "metadata", path: "none", signal })).toBe(undefined);
    expect(await fetcher({ kind: "metadata", path: "hidden", signal })).toBe(undefined);
    await expect(fetcher({ kind: "targets", path: "broken", signal })).rejects.toThrow("500");
  });

  it("calls wait for each other", async () => {
    let running = 0;
    let most = 0;
    const fetcher: Fetcher = async (request) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
      return repo.fetcher(request);
    };
    client.more = { fetcher };
    const updater = client.updater();
    await Promise.all([updater.refresh(), updater.refresh(), updater.targetInfo("x").catch(() => {})]);
    expect(most).toBe(1);
  });
});
