import { mkdir, readdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseJson } from "@parapet/attestation";
import { expected } from "@parapet/core";
import type { MetadataDraft, Repository } from "../updates/drafts.ts";
import { updateError } from "../updates/errors.ts";
import { quoted } from "../updates/fetcher.ts";
import { hashesOf } from "../updates/hashes.ts";
import { readRoot, readSnapshot, readTargets, readTimestamp } from "../updates/metadata.ts";
import type { Release } from "../updates/releasing.ts";
import { writeWhole } from "./update-store.ts";

/**
 * Publishes a release to a plain folder, which any static host can serve: `metadata/` and `targets/`, for `httpFetcher`. Each
 * file is written in one step, those that others point to first and the timestamp last, so that clients find a whole
 * release at every moment; nothing that was published is written over but the timestamp.
 *
 * @param folder - made where it is missing
 * @param release - from `releaseRepository`
 * @param targets - the bytes of new targets by path; each must be what the release says of it
 * @returns paths of the files that were written, below the folder
 * @throws RangeError for a target that the release does not name; `model-signing/update-mismatch` when another file lies
 *   where one is to be written, as when two publish at once: open the repository again
 *
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { generateKeyPair } from "@parapet/attestation";
 * import { publishRelease } from "@parapet/model-signing/node";
 * import { addTarget, createRepository, releaseRepository } from "@parapet/model-signing/updates";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const bundle = new Uint8Array(9);
 * const draft = await addTarget(await createRepository({ keys: [publicKey] }), "digits.sig", bundle);
 * const release = await releaseRepository(draft, { signers: [signer] });
 * const folder = mkdtempSync(join(tmpdir(), "updates-"));
 * const written = await publishRelease(folder, release, new Map([["digits.sig", bundle]]));
 * console.log(written.at(-1), written.length); // => metadata/timestamp.json 5
 * ```
 *
 * Source: The Update Framework specification 1.0, section 6.2.1.
 */
export async function publishRelease(
  folder: string,
  { repository, files }: Release,
  targets: ReadonlyMap<string, Uint8Array> = new Map(),
): Promise<readonly string[]> {
  const root = resolve(folder);
  const consistent = repository.root.signed.consistent_snapshot === true;
  const planned: { readonly name: string; readonly bytes: Uint8Array; readonly fixed: boolean }[] = [];
  for (const [path, bytes] of targets) {
    const { sha256 } = await hashesOf(bytes);
    if (!names(repository, path, sha256!)) throw new RangeError(expected("targets", "what the release names", path));
    const at = path.lastIndexOf("/") + 1;
    const name = consistent ? `${path.slice(0, at)}${sha256}.${path.slice(at)}` : path;
    planned.push({ name: `targets/${name}`, bytes, fixed: consistent });
  }
  for (const [name, bytes] of files) planned.push({ name: `metadata/${name}`, bytes, fixed: /^\d+\./.test(name) });

  const written: string[] = [];
  for (const { name, bytes, fixed } of planned) {
    const path = join(root, ...name.split("/"));
    const there = await readIfThere(path);
    if (there !== undefined && Buffer.compare(there, bytes) === 0) continue;
    if (there !== undefined && fixed) {
      throw updateError("model-signing/update-mismatch", name, "not to be published yet", "another file of this name");
    }
    await mkdir(dirname(path), { recursive: true });
    await writeWhole(dirname(path), name.slice(name.lastIndexOf("/") + 1), bytes, 0o644);
    written.push(name);
  }
  return written;
}

/** Whether a role names a target with these bytes. */
function names({ targets, delegated }: Repository, path: string, sha256: string): boolean {
  return [targets, ...Object.values(delegated)].some(({ signed }) => {
    const all = signed.targets as Readonly<Record<string, { readonly hashes: Readonly<Record<string, string>> }>>;
    return Object.hasOwn(all, path) && all[path]!.hashes.sha256 === sha256;
  });
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return Uint8Array.from(await readFile(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Opens a published repository to go on with it: the newest root, and the files that belong to the timestamp that lies there.
 *
 * @param folder - that `publishRelease` wrote
 * @returns the repository, with nothing changed
 * @throws `model-signing/update-malformed` or `-unavailable` when a file is damaged or missing
 *
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { generateKeyPair } from "@parapet/attestation";
 * import { openRepository, publishRelease } from "@parapet/model-signing/node";
 * import { createRepository, releaseRepository } from "@parapet/model-signing/updates";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const folder = mkdtempSync(join(tmpdir(), "updates-"));
 * await publishRelease(folder, await releaseRepository(await createRepository({ keys: [publicKey] }), { signers: [signer] }));
 * const again = await releaseRepository(await openRepository(folder), { signers: [signer] });
 * console.log([...again.files.keys()].join()); // => timestamp.json
 * ```
 */
export async function openRepository(folder: string): Promise<Repository> {
  const metadata = join(resolve(folder), "metadata");
  const versions = (await readdir(metadata)).map((name) => Number(/^(\d+)\.root\.json$/.exec(name)?.[1] ?? 0));
  const read = async (name: string): Promise<Uint8Array> => {
    const bytes = await readIfThere(join(metadata, name));
    if (bytes !== undefined) return bytes;
    throw updateError("model-signing/update-unavailable", name, "to be in the repository", "nothing");
  };
  const draft = (bytes: Uint8Array) => parseJson(bytes) as unknown as MetadataDraft;

  const rootBytes = await read(`${Math.max(...versions)}.root.json`);
  const { consistentSnapshot } = (await readRoot(rootBytes)).signed;
  const nameOf = (role: string, version: number) => `${consistentSnapshot ? `${version}.` : ""}${quoted(role)}.json`;
  const timestampBytes = await read("timestamp.json");
  const { snapshot } = (await readTimestamp(timestampBytes)).signed;
  const snapshotBytes = await read(nameOf("snapshot", snapshot.version));
  const { meta } = (await readSnapshot(snapshotBytes)).signed;
  const delegated: Record<string, MetadataDraft> = {};
  for (const [role, { version }] of meta) {
    const bytes = await read(nameOf(role, version));
    await readTargets(bytes, role);
    delegated[role] = draft(bytes);
  }
  const { targets, ...others } = delegated;
  const root = draft(rootBytes);
  return {
    root,
    lastRoot: root,
    targets: targets!,
    snapshot: draft(snapshotBytes),
    timestamp: draft(timestampBytes),
    delegated: others,
    changed: [],
  };
}
