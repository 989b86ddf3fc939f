import { toUtf8 } from "@parapet/attestation";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  Client,
  day,
  inDays,
  keyid,
  type Scheme,
  Simulator,
  start,
  type TestKey,
  testKey,
} from "./helpers/update-simulator.ts";

// Every scenario of the conformance suite of The Update Framework (theupdateframework/tuf-conformance 2.4.0), under its names,
// against a repository of our own; where the suite sees that a client failed, these see why.
let pool: TestKey[];
let repo: Simulator;
let client: Client;
const all = ["root", "targets", "snapshot", "timestamp"];
const lower = ["targets", "snapshot", "timestamp"];

beforeAll(async () => {
  pool = await Promise.all(Array.from({ length: 18 }, () => testKey()));
});
beforeEach(async () => {
  repo = await Simulator.create(pool);
  client = new Client(repo);
});

const first = [
  ["root", 2],
  ["timestamp", null],
  ["snapshot", 1],
  ["targets", 1],
];

describe("basic", () => {
  it("basic_refresh_requests", async () => {
    expect(await client.refresh()).toBe("ok");
    expect(repo.asked).toEqual(first);
  });

  it("basic_refresh_trusted_data", async () => {
    await client.refresh();
    for (const role of all) expect(await client.store.read(`${role}.json`)).toEqual(repo.published[role]![0]);
  });

  it("implicit_refresh", async () => {
    await expect(client.updater().targetInfo("nonexistent artifact")).rejects.toMatchObject({
      code: "model-signing/update-unknown-target",
    });
    expect(repo.asked).toEqual(first);
    expect(await client.trusted()).toBe("root 1, snapshot 1, targets 1, timestamp 1");
  });

  it("invalid_initial_root", async () => {
    const root = repo.last("root");
    delete root.signed.version;
    client.root = toUtf8(JSON.stringify(root));
    expect(await client.refresh()).toBe("malformed");
    expect(repo.asked).toEqual([]);
  });

  it("unsigned_initial_root", async () => {
    const root = repo.last("root");
    const other = await repo.newKey().sign(toUtf8("other"));
    root.signatures[0].sig = other;
    client.root = toUtf8(JSON.stringify(root));
    expect(await client.refresh()).toBe("signature");
    expect(repo.asked).toEqual([]);
  });

  it.each([
    ["root", "root 1"],
    ["timestamp", "root 2"],
    ["snapshot", "root 2, timestamp 2"],
    ["targets", "root 2, snapshot 2, timestamp 2"],
  ])("unsigned_metadata %s", async (role, trusted) => {
    repo.signers[role]!.pop();
    await repo.publish(all);
    expect(await client.refresh()).toBe("signature");
    expect(await client.trusted()).toBe(trusted);
  });

  it.each([
    ["root", "rollback", "root 1"],
    ["snapshot", "mismatch", "root 2, timestamp 2"],
    ["targets", "mismatch", "root 2, snapshot 2, timestamp 2"],
  ])("url_and_metadata_version_mismatch %s", async (role, why, trusted) => {
    // The file at version 2 says that it is version 3.
    repo.bodies[role].version++;
    await repo.publish(all);
    for (const file of ["snapshot", "targets"])
      if (file === role) repo.published[file]!.push(repo.published[file]![1]!);
    if (role !== "root") {
      const parent = role === "targets" ? "snapshot" : "timestamp";
      repo.bodies[parent].meta[`${role}.json`].version = 2;
      repo.published[parent]!.pop();
      repo.bodies[parent].version--;
      await repo.publish([parent]);
      if (role === "targets") {
        repo.published.timestamp!.pop();
        repo.bodies.timestamp.version--;
        await repo.publish(["timestamp"]);
      }
    }
    expect(await client.refresh()).toBe(why);
    expect(await client.trusted()).toBe(trusted);
  });

  it("timestamp_content_changes", async () => {
    await client.refresh();
    repo.bodies.timestamp.meta["snapshot.json"].version = 100;
    delete repo.published.timestamp;
    await repo.publish(["timestamp"]);
    expect(await client.refresh()).toBe("ok");
    expect(repo.asked.at(-1)).toEqual(["timestamp", null]);
    expect((await client.kept("timestamp")).signed.meta["snapshot.json"].version).toBe(1);
  });

  it("basic_metadata_hash_support", async () => {
    repo.hashes = true;
    await repo.publish(lower);
    expect(await client.refresh()).toBe("ok");
  });

  it("targets_hash_mismatch", async () => {
    repo.hashes = true;
    await repo.publish(lower);
    expect(await client.refresh()).toBe("ok");
    await repo.publish(["targets"]);
    repo.bodies.snapshot.meta["targets.json"].hashes.sha256 = "0".repeat(64);
    await repo.publish(["snapshot", "timestamp"]);
    expect(await client.refresh()).toBe("mismatch");
    expect(await client.trusted()).toBe("root 1, snapshot 3, targets 2, timestamp 3");
  });

  it("snapshot_hash_mismatch", async () => {
    repo.hashes = true;
    await repo.publish(["snapshot", "timestamp"]);
    expect(await client.refresh()).toBe("ok");
    await repo.publish(["snapshot"]);
    repo.bodies.timestamp.meta["snapshot.json"].hashes.sha256 = "0".repeat(64);
    await repo.publish(["timestamp"]);
    expect(await client.refresh()).toBe("mismatch");
    expect(await client.trusted()).toBe("root 1, snapshot 2, targets 1, timestamp 3");
  });

  it("metadata_bytes_match", async () => {
    const odd = toUtf8(`${new TextDecoder().decode(repo.published.timestamp![0])} `);
    repo.published.timestamp![0] = odd;
    expect(await client.refresh()).toBe("ok");
    expect(await client.store.read("timestamp.json")).toEqual(odd);
  });

  it("custom_fields", async () => {
    await client.refresh();
    repo.bodies.root["custom-field"] = "value";
    repo.bodies.root.roles.root["another-field"] = "value";
    repo.addKey("root", await testKey("ecdsa-sha2-nistp256", { "extra-field": { a: 1, b: 2 } }));
    await repo.publish(["root"]);
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("root")).toBe(2);
    // They are part of what is signed.
    await repo.publish(["root"]);
    repo.tamper("root", ({ signed }) => delete signed["custom-field"]);
    expect(await client.refresh()).toBe("signature");
  });

  it("deprecated_keyid_hash_algorithms", async () => {
    repo.bodies.root.roles.snapshot.keyids = [];
    repo.signers.snapshot = [];
    repo.addKey("snapshot", await testKey("ecdsa-sha2-nistp256", { keyid_hash_algorithms: "md5" }));
    await repo.publish(["root", "snapshot", "timestamp"]);
    expect(await client.refresh()).toBe("ok");
    expect(await client.trusted()).toBe("root 2, snapshot 2, targets 1, timestamp 2");
  });

  it("snapshot_404", async () => {
    await client.refresh();
    repo.bodies.timestamp.meta["snapshot.json"].version++;
    await repo.publish(["timestamp"]);
    expect(await client.refresh()).toBe("unavailable");
    expect(repo.asked.at(-1)).toEqual(["snapshot", 2]);
    expect(await client.trusted()).toBe("root 1, snapshot 1, targets 1, timestamp 2");
  });

  it("targets_404", async () => {
    await client.refresh();
    repo.bodies.snapshot.meta["targets.json"].version++;
    await repo.publish(["snapshot", "timestamp"]);
    expect(await client.refresh()).toBe("unavailable");
    expect(repo.asked.at(-1)).toEqual(["targets", 2]);
    expect(await client.trusted()).toBe("root 1, snapshot 2, targets 1, timestamp 2");
  });

  it("timestamp_404", async () => {
    await client.refresh();
    delete repo.published.timestamp;
    expect(await client.refresh()).toBe("unavailable");
    expect(repo.asked.at(-1)).toEqual(["timestamp", null]);
  });

  it("incorrect_metadata_type", async () => {
    repo.addKey("snapshot", repo.signers.timestamp![0]!);
    repo.bodies.snapshot.meta = { "snapshot.json": { version: 1 } };
    await repo.publish(["root", "snapshot"]);
    repo.published.timestamp!.push(repo.published.snapshot!.pop()!);
    expect(await client.refresh()).toBe("malformed");
    expect(await client.trusted()).toBe("root 2");
  });

  it("faketime", async () => {
    repo.bodies.root.expires = inDays(7);
    await repo.publish(["root"]);
    expect(await client.refresh()).toBe("ok");
    client.now = start + 8 * day;
    expect(await client.refresh()).toBe("expired");
  });
});

describe("expiration", () => {
  it("root_expired", async () => {
    await client.refresh();
    await repo.publish(["root"]);
    expect(await client.refresh()).toBe("ok");
    repo.bodies.root.expires = inDays(-1);
    await repo.publish(all);
    expect(await client.refresh()).toBe("expired");
    expect(await client.trusted()).toBe("root 3, snapshot 1, targets 1, timestamp 1");
  });

  it.each([
    ["timestamp", "root 1, snapshot 1, targets 1, timestamp 1"],
    ["snapshot", "root 1, snapshot 1, targets 1, timestamp 2"],
    ["targets", "root 1, snapshot 2, targets 1, timestamp 2"],
  ])("%s_expired", async (role, trusted) => {
    await client.refresh();
    repo.bodies[role].expires = inDays(-5);
    await repo.publish(lower.slice(lower.indexOf(role)));
    expect(await client.refresh()).toBe("expired");
    expect(await client.trusted()).toBe(trusted);
  });

  it("expired_local_root", async () => {
    repo.bodies.root.expires = inDays(7);
    await repo.publish(["root"]);
    expect(await client.refresh()).toBe("ok");
    repo.bodies.root.expires = inDays(21);
    await repo.publish(["root"]);
    client.now = start + 18 * day;
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("root")).toBe(3);
  });

  it("expired_local_timestamp", async () => {
    repo.bodies.timestamp.expires = inDays(7);
    await repo.publish(["timestamp"]);
    expect(await client.refresh()).toBe("ok");
    repo.bodies.timestamp.expires = inDays(21);
    await repo.publish(lower);
    client.now = start + 18 * day;
    expect(await client.refresh()).toBe("ok");
    expect(await client.trusted()).toBe("root 1, snapshot 2, targets 2, timestamp 3");
  });
});

describe("file_download", () => {
  it.each(["target_file.txt", "path/to/a/target_file.txt"])("client_downloads_expected_file %s", async (path) => {
    await repo.addArtifact("targets", "target file contents", path);
    await repo.publish(lower);
    expect(await client.refresh()).toBe("ok");
    expect(repo.artifactsAsked).toEqual([]);
    expect(await client.download(path)).toBe("ok");
    expect([...client.downloads.values()]).toEqual(["target file contents"]);
  });

  it("repository_substitutes_target_file", async () => {
    await repo.addArtifact("targets", "target file contents", "one.txt");
    await repo.addArtifact("targets", "content", "two.txt");
    await repo.publish(lower);
    expect(await client.download("one.txt")).toBe("ok");
    for (const name of ["one.txt", "two.txt"]) repo.artifacts.get(name)!.data = toUtf8("malicious data");
    expect(await client.download("one.txt")).toBe("ok"); // it has it
    expect(await client.download("two.txt")).toBe("too-large");
    repo.artifacts.get("two.txt")!.data = toUtf8("contenu");
    expect(await client.download("two.txt")).toBe("mismatch");
    repo.artifacts.get("two.txt")!.data = toUtf8("conten");
    expect(await client.download("two.txt")).toBe("mismatch");
    expect([...client.downloads]).toEqual([["one.txt", "target file contents"]]);
  });

  it("multiple_changes_to_target", async () => {
    for (let i = 0; i < 11; i++) {
      await repo.addArtifact("targets", `contents ${i}`, "file");
      await repo.addArtifact("targets", `new ${i}`, `new-${i}`);
      await repo.publish(lower);
      if (i % 5 !== 0) continue;
      expect(await client.download("file", `new-${i}`)).toBe("ok");
      expect(client.downloads.get("file")).toBe(`contents ${i}`);
      repo.artifacts.get("file")!.data = toUtf8(`malicious ${i}`);
      client.downloads.set("file", "gone");
      await repo.publish(lower);
      expect(await client.download("file")).toMatch(/too-large|mismatch/);
      expect(client.downloads.get("file")).toBe("gone");
    }
  });

  it.each([[["sha256"]], [["sha512"]], [["sha256", "sha512"]]])("download_with_hash_algorithms %s", async (names) => {
    await repo.addArtifact("targets", "target file contents", "file", names);
    await repo.publish(lower);
    expect(await client.download("file")).toBe("ok");
    expect(repo.artifacts.get("file")!.hashes).toContain(repo.artifactsAsked[0]![1]);
    // Each of them is checked.
    for (const name of names) {
      await repo.addArtifact("targets", "target file contents", "file", names);
      repo.bodies.targets.targets.file.hashes[name] = repo.bodies.targets.targets.file.hashes[name].replace(/./g, "0");
      repo.artifacts.get("file")!.hashes.push("0".repeat(64), "0".repeat(128));
      await repo.publish(lower);
      client.downloads.clear();
      expect(await client.download("file")).toBe("mismatch");
    }
  });

  it("download_with_unknown_hash_algorithm", async () => {
    await repo.addArtifact("targets", "target file contents", "file", ["sha512"]);
    const { hashes } = repo.bodies.targets.targets.file;
    repo.bodies.targets.targets.file.hashes = { "unknown-hash": hashes.sha512 };
    await repo.publish(lower);
    expect(await client.download("file")).toBe("unsupported");
    expect(client.downloads.size).toBe(0);
  });

  it("artifact_cache", async () => {
    await repo.addArtifact("targets", "target file contents", "file");
    await repo.publish(lower);
    expect(await client.download("file")).toBe("ok");
    expect(await client.download("file")).toBe("ok");
    expect(repo.artifactsAsked.length).toBe(1);
  });
});

describe("keys", () => {
  it("snapshot_does_not_meet_threshold", async () => {
    repo.bodies.root.roles.snapshot.threshold = 3;
    repo.addKey("snapshot");
    repo.addKey("snapshot");
    await repo.publish(all);
    expect(await client.refresh()).toBe("ok");
    repo.signers.snapshot!.pop();
    await repo.publish(lower);
    expect(await client.refresh()).toBe("signature");
    expect(client.error).toMatchObject({ role: "snapshot", got: "2" });
    expect(await client.version("snapshot")).toBe(2);
  });

  it("snapshot_has_too_few_keys", async () => {
    for (let i = 0; i < 4; i++) repo.addKey("snapshot");
    repo.bodies.root.roles.snapshot.threshold = 6;
    await repo.publish(["root", "snapshot", "timestamp"]);
    expect(await client.refresh()).toBe("signature");
    expect(await client.version("root")).toBe(2);
    expect(await client.version("snapshot")).toBe(undefined);
  });

  it("duplicate_keys", async () => {
    const key = repo.addKey("snapshot");
    for (let i = 0; i < 8; i++) repo.nameKey("snapshot", key);
    repo.bodies.root.roles.snapshot.threshold = 6;
    await repo.publish(["root", "snapshot", "timestamp"]);
    repo.tamper("snapshot", ({ signatures }) => {
      for (let i = 0; i < 8; i++) signatures.push(signatures[1]);
    });
    expect(await client.refresh()).toBe("malformed");
    expect(await client.version("snapshot")).toBe(undefined);
  });

  it("duplicate_sig_keyids", async () => {
    repo.tamper("snapshot", ({ signatures }) => signatures.push(signatures[0]));
    expect(await client.refresh()).toBe("malformed");
    expect(await client.version("snapshot")).toBe(undefined);
  });

  it.each<Scheme>(["rsassa-pss-sha256", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ed25519"])(
    "keytype_and_scheme %s",
    async (scheme) => {
      const key = repo.addKey("root", await testKey(scheme));
      repo.bodies.root.roles.root.threshold = 2;
      await repo.publish(["root"]);
      expect(await client.refresh()).toBe("ok");
      expect(await client.version("root")).toBe(2);
      await repo.publish(["root"]);
      const other = await (await testKey(scheme)).sign(toUtf8("other"));
      repo.tamper("root", ({ signatures }) => {
        for (const one of signatures) if (one.keyid === key.keyid) one.sig = other;
      });
      expect(await client.refresh()).toBe("signature");
      expect(await client.version("root")).toBe(2);
    },
  );

  it("invalid_sig_in_valid_metadata", async () => {
    const before = repo.last("timestamp").signatures[0].sig;
    repo.addKey("timestamp");
    await repo.publish(["root", "timestamp"]);
    repo.tamper("timestamp", ({ signatures }) => {
      signatures[0].sig = before;
    });
    expect(await client.refresh()).toBe("ok");
    await repo.publish(["timestamp"]);
    repo.tamper("timestamp", ({ signatures }) => {
      signatures[0].sig = "";
    });
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("timestamp")).toBe(3);
  });
});

describe("quoting_issues", () => {
  it.each(["?", "#", "/delegatedrole", "../delegatedrole"])("unusual_role_name %s", async (role) => {
    repo.delegate("targets", role);
    await repo.publish([role, ...lower]);
    expect(await client.download("nonexistent target")).toBe("unknown-target");
    expect(repo.asked).toContainEqual([encodeURIComponent(role), 1]);
    expect((await client.trusted()).split(", ").length).toBe(5);
  });
});

describe("rollback", () => {
  it("new_timestamp_version_rollback", async () => {
    await repo.publish(["timestamp"]);
    await client.refresh();
    repo.published.timestamp = [repo.published.timestamp![0]!];
    expect(await client.refresh()).toBe("rollback");
    expect(client.error).toMatchObject({ role: "timestamp", expected: "version 2 or later", got: "version 1" });
    expect(await client.version("timestamp")).toBe(2);
    expect(repo.asked.at(-1)).toEqual(["timestamp", null]);
  });

  it.each([false, true])("snapshot_rollback, hashes: %s", async (hashes) => {
    repo.hashes = hashes;
    await repo.publish(["snapshot", "timestamp"]);
    expect(await client.refresh()).toBe("ok");
    delete repo.published.snapshot;
    repo.bodies.snapshot.version = 1;
    await repo.publish(["snapshot", "timestamp"]);
    expect(await client.refresh()).toBe("rollback");
    expect(await client.trusted()).toBe("root 1, snapshot 2, targets 1, timestamp 2");
    expect(repo.asked.at(-1)).toEqual(["timestamp", null]);
  });

  it("targets_role_removal", async () => {
    repo.delegate("targets", "delegated", { paths: ["delegatedpath/*"] });
    await repo.publish(["delegated", ...lower]);
    expect(await client.refresh()).toBe("ok");
    delete repo.bodies.snapshot.meta["delegated.json"];
    await repo.publish(["snapshot", "timestamp"]);
    expect(await client.refresh()).toBe("rollback");
    expect(await client.version("snapshot")).toBe(2);
  });

  it("targets_fast_forward_recovery", async () => {
    repo.delegate("targets", "delegated", { paths: ["delegatedpath/*"] });
    await repo.publish(["delegated"]);
    for (let i = 0; i < 99; i++) await repo.publish(["targets"]);
    await repo.publish(["snapshot", "timestamp"]);
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("targets")).toBe(100);
    repo.rotate("snapshot");
    delete repo.published.targets;
    repo.bodies.targets.version = 1;
    delete repo.bodies.snapshot.meta["delegated.json"];
    await repo.publish(all);
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("targets")).toBe(1);
  });

  it("new_snapshot_fast_forward_recovery", async () => {
    for (let i = 0; i < 99; i++) await repo.publish(["snapshot"]);
    await repo.publish(["timestamp"]);
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("snapshot")).toBe(100);
    repo.rotate("snapshot");
    repo.rotate("timestamp");
    delete repo.published.snapshot;
    repo.bodies.snapshot.version = 1;
    await repo.publish(all);
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("snapshot")).toBe(1);
  });

  it("new_timestamp_fast_forward_recovery", async () => {
    for (let i = 0; i < 99; i++) await repo.publish(["timestamp"]);
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("timestamp")).toBe(100);
    repo.rotate("timestamp");
    delete repo.published.timestamp;
    repo.bodies.timestamp.version = 1;
    await repo.publish(["root", "timestamp"]);
    expect(await client.refresh()).toBe("ok");
    expect(await client.version("timestamp")).toBe(1);
  });

  it.each([false, true])("targets_rollback, hashes: %s", async (hashes) => {
    repo.hashes = hashes;
    await repo.publish(lower);
    expect(await client.refresh()).toBe("ok");
    delete repo.published.targets;
    repo.bodies.targets.version = 1;
    await repo.publish(lower);
    expect(await client.refresh()).toBe("rollback");
    expect(await client.trusted()).toBe("root 1, snapshot 2, targets 2, timestamp 3");
  });
});

type Edge = readonly [from: string, to: string, more?: { paths?: string[]; terminating?: boolean }];
const graphs: Record<string, readonly [edges: readonly Edge[], order: string]> = {
  "basic-delegation": [[["targets", "A"]], "A"],
  "single-level-delegations": [
    [
      ["targets", "A"],
      ["targets", "B"],
    ],
    "A B",
  ],
  "two-level-delegations": [
    [
      ["targets", "A"],
      ["targets", "B"],
      ["B", "C"],
    ],
    "A B C",
  ],
  "two-level-test-DFS-order-of-traversal": [
    [
      ["targets", "A"],
      ["targets", "B"],
      ["A", "C"],
      ["A", "D"],
    ],
    "A C D B",
  ],
  "three-level-delegation-test-DFS-order-of-traversal": [
    [
      ["targets", "A"],
      ["targets", "B"],
      ["A", "C"],
      ["C", "D"],
    ],
    "A C D B",
  ],
  "two-level-terminating-ignores-all-but-roles-descendants": [
    [
      ["targets", "A"],
      ["targets", "B"],
      ["A", "C", { terminating: true }],
      ["A", "D"],
    ],
    "A C",
  ],
  "three-level-terminating-ignores-all-but-roles-descendants": [
    [
      ["targets", "A"],
      ["targets", "B"],
      ["A", "C", { terminating: true }],
      ["C", "D"],
    ],
    "A C D",
  ],
  "two-level-ignores-all-branches-not-matching-paths": [
    [
      ["targets", "A", { paths: ["*.py"] }],
      ["targets", "B"],
      ["A", "C"],
    ],
    "B",
  ],
  "three-level-ignores-all-branches-not-matching-paths": [
    [
      ["targets", "A"],
      ["targets", "B"],
      ["A", "C", { paths: ["*.py"] }],
      ["C", "D"],
    ],
    "A B",
  ],
  "cyclic-graph": [
    [
      ["targets", "A"],
      ["targets", "B"],
      ["B", "C"],
      ["C", "D"],
      ["D", "B"],
    ],
    "A B C D",
  ],
  "two-roles-delegating-to-a-third": [
    [
      ["targets", "A"],
      ["targets", "B"],
      ["B", "C"],
      ["A", "C"],
    ],
    "A C B",
  ],
  "two-roles-delegating-to-a-third-different-paths": [
    [
      ["targets", "A"],
      ["targets", "B"],
      ["B", "C"],
      ["A", "C", { paths: ["*.py"] }],
    ],
    "A B C",
  ],
};

async function draw(edges: readonly Edge[], artifacts: readonly (readonly [string, string])[] = []) {
  for (const [from, to, more] of edges) repo.delegate(from, to, { paths: ["*"], ...more });
  for (const [role, path] of artifacts) await repo.addArtifact(role, `${path} by ${role}`, path);
  const roles = new Set<string>();
  for (const [from, to] of edges) roles.add(from).add(to);
  roles.delete("targets");
  await repo.publish([...roles, ...lower]);
}

describe("updater_delegation_graphs", () => {
  it.each(Object.entries(graphs))("graph_traversal %s", async (_, [edges, order]) => {
    await draw(edges);
    expect(await client.download("missingpath")).toBe("unknown-target");
    expect(
      repo.asked
        .slice(4)
        .map(([role]) => role)
        .join(" "),
    ).toBe(order);
  });

  it.each([
    ["targetfile", true, ""],
    ["README.md", true, "A"],
    ["releases/x/x_v1", true, "B C"],
    ["releases/y/y_v1.zip", true, "B D"],
    ["releases/z/z_v1.zip", false, "B"],
    ["releases/README.md", false, ""],
    ["foo-1.tgz", true, "A"],
    ["foo-alpha.tgz", false, ""],
    ["README.MD", false, ""],
  ])("targetfile_search %s", async (path, found, order) => {
    await draw(
      [
        ["targets", "A", { paths: ["*.doc", "*.md", "foo-?.tgz"] }],
        ["targets", "B", { paths: ["releases/*/*"] }],
        ["B", "C", { paths: ["releases/x/*"] }],
        ["B", "D", { paths: ["releases/y/*.zip"] }],
      ],
      [
        ["targets", "targetfile"],
        ["A", "README.md"],
        ["A", "releases/README.md"],
        ["A", "foo-1.tgz"],
        ["A", "foo-alpha.tgz"],
        ["C", "releases/x/x_v1"],
        ["D", "releases/y/y_v1.zip"],
        ["D", "releases/z/z_v1.zip"],
      ],
    );
    expect(await client.download(path)).toBe(found ? "ok" : "unknown-target");
    expect(
      repo.asked
        .slice(4)
        .map(([role]) => role)
        .join(" "),
    ).toBe(order);
    if (found) expect(client.downloads.get(path)).toMatch(path);
  });

  it("cached_role_is_verified_against_current_delegator", async () => {
    for (const team of ["a", "b"]) {
      repo.delegate("targets", `parent-${team}`, { paths: [`team-${team}/*`] });
      repo.delegate(`parent-${team}`, "release", { paths: [`team-${team}/*`] });
    }
    repo.signers.release!.pop(); // signed for the first parent only
    await repo.addArtifact("release", "trusted A", "team-a/root.json");
    await repo.addArtifact("release", "malicious B", "team-b/root.json");
    await repo.publish(["release", "parent-a", "parent-b", ...lower]);
    expect(await client.download("team-a/root.json", "team-b/root.json")).toBe("signature");
    expect([...client.downloads.values()]).toEqual(["trusted A"]);
  });

  it("delegation_not_in_snapshot", async () => {
    repo.delegate("targets", "delegated", { paths: ["delegatedpath/*"] });
    await repo.publish(["delegated", "targets"]);
    delete repo.bodies.snapshot.meta["delegated.json"];
    await repo.publish(["snapshot", "timestamp"]);
    expect(await client.refresh()).toBe("ok");
    repo.asked.length = 0;
    expect(await client.download("delegatedpath/foo")).toBe("mismatch");
    expect(await client.version("delegated")).toBe(undefined);
    expect(repo.asked).toEqual(first.slice(0, 2));
  });
});

type Version = readonly [keys: number[], threshold: number, signatures: number[]];
const five = [0, 1, 2, 3, 4];
const rotated = [0, 1, 3, 4, 5];
const rootRotations: Record<string, readonly [good: boolean, ...versions: Version[]]> = {
  "1-of-1-key-rotation": [true, [[1], 1, [1]], [[2], 1, [2, 1]], [[2], 1, [2]]],
  "1-of-1-key-rotation-unused-signatures": [true, [[1], 1, [3, 1, 4]], [[2], 1, [3, 2, 1, 4]], [[2], 1, [3, 2, 4]]],
  "3-of-5-sign-with-different-keycombos": [
    true,
    [five, 3, [0, 2, 4]],
    [five, 3, [0, 4, 1]],
    [five, 3, [0, 1, 3]],
    [five, 3, [0, 1, 3]],
  ],
  "3-of-5-one-key-rotated": [true, [five, 3, [0, 2, 4]], [rotated, 3, [0, 4, 1]]],
  "3-of-5-one-key-rotated-with-intermediate-step": [
    true,
    [five, 3, [0, 2, 4]],
    [rotated, 3, [0, 2, 4, 5]],
    [rotated, 3, [0, 4, 5]],
  ],
  "3-of-5-all-keys-rotated-with-intermediate-step": [
    true,
    [five, 3, [0, 2, 4]],
    [[5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7]],
    [[5, 6, 7, 8, 9], 3, [5, 6, 7]],
  ],
  "1-of-3-threshold-increase-to-2-of-3": [true, [[1, 2, 3], 1, [1]], [[1, 2, 3], 2, [1, 2]]],
  "2-of-3-threshold-decrease-to-1-of-3": [true, [[1, 2, 3], 2, [1, 2]], [[1, 2, 3], 1, [1, 2]], [[1, 2, 3], 1, [1]]],
  "1-of-2-threshold-increase-to-2-of-2": [true, [[1], 1, [1]], [[1, 2], 2, [1, 2]]],
  "1-of-1-key-rotation-fail-not-signed-with-old-key": [false, [[1], 1, [1]], [[2], 1, [2, 3, 4]]],
  "1-of-1-key-rotation-fail-not-signed-with-new-key": [false, [[1], 1, [1]], [[2], 1, [1, 3, 4]]],
  "3-of-5-one-key-rotate-fails-not-signed-with-3-new-keys": [false, [five, 3, [0, 2, 4]], [rotated, 3, [0, 2, 4]]],
  "3-of-5-one-key-rotate-fails-not-signed-with-3-old-keys": [false, [five, 3, [0, 2, 4]], [rotated, 3, [0, 4, 5]]],
  "1-of-3-threshold-bump-to-2-of-3-fails-new-threshold-not-reached": [false, [[1, 2, 3], 1, [1]], [[1, 2, 3], 2, [2]]],
  "2-of-3-threshold-decr-to-1-of-3-fails-old-threshold-not-eached": [
    false,
    [[1, 2, 3], 2, [1, 2]],
    [[1, 2, 3], 1, [1]],
  ],
};
const otherRotations: Record<string, readonly [good: boolean, version: Version]> = {
  "1-of-1-key-rotation": [true, [[2], 1, [2]]],
  "1-of-1-key-rotation-unused-signatures": [true, [[1], 1, [3, 1, 4]]],
  "1-of-1-key-rotation-fail-not-signed-with-new-key": [false, [[2], 1, [1, 3, 4]]],
  "3-of-5-one-key-signature-wrong-not-signed-with-3-expected-keys": [false, [rotated, 3, [0, 2, 4]]],
  "2-of-5-one-key-signature-mising-threshold-not-reached": [false, [rotated, 3, [0, 4]]],
  "3-of-5-sign-first-combo": [true, [five, 3, [0, 2, 4]]],
  "3-of-5-sign-second-combo": [true, [five, 3, [0, 4, 1]]],
  "3-of-5-sign-third-combo": [true, [five, 3, [0, 1, 3]]],
  "3-of-5-sign-fourth-combo": [true, [five, 3, [1, 2, 3]]],
  "3-of-5-sign-fifth-combo": [true, [five, 3, [2, 3, 4]]],
};

function setKeys(role: string, [keys, threshold, signatures]: Version): void {
  repo.bodies.root.roles[role] = { keyids: [], threshold };
  for (const i of keys) repo.nameKey(role, pool[i]!);
  repo.signers[role] = signatures.map((i) => pool[i]!);
}

describe("updater_key_rotations", () => {
  it.each(Object.entries(rootRotations))("root_rotation %s", async (_, [good, ...versions]) => {
    delete repo.published.root;
    for (const version of versions) {
      setKeys("root", version);
      await repo.publish(["root"]);
    }
    await repo.publish(lower);
    client.root = repo.published.root![0]!;
    expect(await client.refresh()).toBe(good ? "ok" : "signature");
    expect(await client.store.read("root.json")).toEqual(repo.published.root!.at(good ? -1 : -2));
  });

  it.each(Object.entries(otherRotations))("non_root_rotations %s", async (_, [good, version]) => {
    for (const role of ["timestamp", "snapshot", "targets"]) {
      setKeys(role, version);
      await repo.publish(all);
      const outcome = await client.refresh();
      expect(outcome).toBe(good ? "ok" : "signature");
      if (good) expect(await client.store.read(`${role}.json`)).toEqual(repo.published[role]!.at(-1));
    }
  });
});

it("keys are called as the specification says", async () => {
  expect(await keyid(pool[0]!.json)).toBe(pool[0]!.keyid);
});
