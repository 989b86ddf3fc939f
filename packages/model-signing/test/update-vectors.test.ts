import { readFileSync } from "node:fs";
import { toUtf8 } from "@parapet/attestation";
import { createUpdater, memoryStore, readRelease } from "@parapet/model-signing/updates";
import { describe, expect, it } from "vitest";

// Repositories that the framework's reference in Python wrote (vectors/tuf/generate.py).
const { repositories } = JSON.parse(
  readFileSync(new URL("vectors/tuf/repositories.json", import.meta.url), "utf8"),
) as {
  repositories: Record<string, { metadata: Record<string, string>; targets: Record<string, string> }>;
};
const kinds = ["ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "rsassa-pss-sha256"];

const client = (kind: string, change = (_: string, text: string) => text) => {
  const { metadata, targets } = repositories[kind]!;
  return createUpdater({
    root: toUtf8(metadata["1.root.json"]!),
    store: memoryStore(),
    now: () => new Date("2026-03-01T00:00:00Z"),
    async fetcher({ kind: which, path }) {
      const text = which === "metadata" ? metadata[path] : targets[path];
      if (text === undefined) return undefined;
      const bytes = toUtf8(change(path, text));
      return (async function* () {
        yield bytes;
      })();
    },
  });
};

describe.each(kinds)("the reference's repository with keys of %s", (kind) => {
  it("is read: rotated root, roles by patterns, by hashes and by equal shares", async () => {
    const updater = client(kind);
    expect(await updater.refresh()).toEqual({ root: 2, timestamp: 1, snapshot: 1, targets: 1 });
    for (const [path, role, text] of [
      ["top/model.sig", "targets", "top"],
      ["team/v1/a.sig", "team", "team"],
      ["x", "hashed", "hashed"],
      // SHA-256 of "y" begins with a, so does its share.
      ["y", "share-a", "share-a"],
    ] as const) {
      const info = await updater.targetInfo(path);
      expect(info.role).toBe(role);
      expect(Object.keys(info.hashes)).toEqual(["sha256", "sha512"]);
      expect(readRelease(info).version).toBe("1.0.0");
      expect(new TextDecoder().decode(await updater.download(info))).toBe(text);
    }
    for (const path of ["other/b.sig", "team/v10/a.sig", "z"]) {
      await expect(updater.targetInfo(path)).rejects.toMatchObject({ code: "model-signing/update-unknown-target" });
    }
  });

  it("every file of it with a signed value changed is refused", async () => {
    const { metadata } = repositories[kind]!;
    for (const file of Object.keys(metadata).filter((name) => !/share|1\.root|rest|hashed/.test(name))) {
      const updater = client(kind, (path, text) => (path === file ? text.replace('"2046-', '"2047-') : text));
      const run = updater.refresh().then(() => updater.targetInfo("team/v1/a.sig"));
      await expect(run).rejects.toMatchObject({
        code: expect.stringMatching(/^model-signing\/update-(signature|mismatch)$/),
      });
    }
  });
});
