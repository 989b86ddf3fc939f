import { constants, existsSync, mkdirSync, readFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { readPublicKey } from "@parapet/attestation";
import { readBundle } from "../bundle.ts";
import { readManifest } from "../manifest.ts";
import { checkNames } from "../names.ts";
import { createRepository, type Repository } from "../updates/drafts.ts";
import { addTarget, renewRole } from "../updates/editing.ts";
import { httpFetcher } from "../updates/fetcher.ts";
import { compareVersions, type ModelRelease, readRelease, releaseToJson } from "../updates/release.ts";
import { releaseRepository } from "../updates/releasing.ts";
import { createUpdater } from "../updates/updater.ts";
import { needed, type Outcome, one, signerOf, Usage, type Values } from "./cli-input.ts";
import { verifyFolder } from "./folders.ts";
import { updateModelFolder } from "./model-folder.ts";
import { openRepository, publishRelease } from "./publish.ts";
import { folderStore } from "./update-store.ts";

/** The part of the site that clients have to get with the program. */
const firstRoot = (site: string) => join(resolve(site), "metadata", "1.root.json");

/**
 * Publishes a model to a folder that any web server can serve, or, without a model, signs what is there anew before it expires.
 * The first call makes the repository; its keys are then the first signer's.
 */
export async function publish(values: Values, paths: readonly string[]): Promise<Outcome> {
  const site = one(paths, "SITE");
  const signers = await Promise.all((values.key ?? []).map((path) => signerOf(path, values["passphrase-stdin"])));
  if (signers.length === 0) throw new Usage("--key expected the key of the repository, got none");
  const isNew = !existsSync(firstRoot(site));
  let repository = isNew
    ? await createRepository({ keys: signers.map(({ publicKey }) => publicKey) })
    : await openRepository(site);
  const targets = new Map<string, Uint8Array>();
  let release: ModelRelease | undefined;
  const { model, signature = [] } = values;
  if (model === undefined) {
    if (signature.length > 0) throw new Usage("--signature needs --model, the folder that it signs");
    for (const role of values.renew ?? []) repository = renewRole(repository, role);
  } else {
    const added = await addModel(repository, site, model, one(signature, "--signature"), values);
    ({ repository, release } = added);
    targets.set(added.path, added.bundle);
  }
  const written = await publishRelease(site, await releaseRepository(repository, { signers }), targets);
  const said = release === undefined ? "signed anew" : `published ${release.name} ${release.version}`;
  return {
    lines: [
      `${said}: ${written.length} file${written.length === 1 ? "" : "s"} written in ${site}`,
      ...(isNew ? [`give ${firstRoot(site)} to clients together with the program: their trust begins with it`] : []),
    ],
    value: { site, written, ...(release === undefined ? {} : { release }) },
  };
}

async function addModel(before: Repository, site: string, model: string, signature: string, values: Values) {
  const bundle = Uint8Array.from(readFileSync(signature));
  const { name } = await readManifest(readBundle(bundle).envelope.payload);
  const version = needed(values.version, "--version");
  const path = values.path ?? `${name}.sig`;
  const revokes = Object.fromEntries((values.revoke ?? []).map((one) => splitReason(one)));
  const release: ModelRelease = {
    name,
    version,
    status: "active",
    files: `../models/${encodeURIComponent(name)}/${version}`,
    ...(values["minimum-version"] === undefined ? {} : { minimumVersion: values["minimum-version"] }),
    ...(Object.keys(revokes).length === 0 ? {} : { revokes }),
  };
  const custom = releaseToJson(release);
  const there = (before.targets.signed.targets as Record<string, { custom?: never }>)[path];
  if (there !== undefined) {
    const old = readRelease({ path, length: 0, hashes: {}, role: "targets", ...there });
    if (compareVersions(version, old.version) <= 0) {
      throw new Usage(
        `--version expected above ${old.version}, which is published, got ${version}: going back is a higher version, too`,
      );
    }
  }
  // Nothing is published that clients would refuse.
  const trusted = needed(values["public-key"], "--public-key (whom clients are to trust)");
  const { resources } = await verifyFolder(model, signature, { keys: [readFileSync(trusted, "utf8")] });
  checkNames([name]);
  const folder = join(resolve(site), "models", name, version);
  if (existsSync(folder)) throw new Usage(`--version ${version} has files in ${folder}: choose another one`);
  for (const file of new Set(resources.map((resource) => resource.name))) {
    const to = join(folder, ...file.split("/"));
    mkdirSync(dirname(to), { recursive: true });
    await copyFile(file === "." ? model : join(model, ...file.split("/")), to, constants.COPYFILE_EXCL);
  }
  return { repository: await addTarget(before, path, bundle, { custom }), release, path, bundle };
}

function splitReason(text: string): readonly [version: string, reason: string] {
  const at = text.indexOf("=");
  if (at < 1) throw new Usage(`--revoke expected VERSION=REASON, got ${text}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Brings a model up to date from a site: what it says is proven before anything is switched. */
export async function update(values: Values, paths: readonly string[]): Promise<Outcome> {
  const site = one(paths, "URL").replace(/\/*$/, "/");
  const folder = needed(values.folder, "--folder");
  const root = Uint8Array.from(readFileSync(needed(values.root, "--root")));
  const { key = [], roots = [] } = values;
  if (key.length + roots.length === 0) throw new Usage("whose models to trust? --key or --roots");
  const read = (path: string) => readFileSync(path, "utf8");
  await Promise.all(key.map((path) => readPublicKey(read(path))));
  const targets = `${site}targets/`;
  const store = folderStore(join(resolve(folder), "state"));
  const { current, previous, switched } = await updateModelFolder({
    updater: createUpdater({ root, store, fetcher: httpFetcher({ metadata: `${site}metadata/`, targets }) }),
    store,
    path: needed(values.path, "--path"),
    folder,
    base: targets,
    trust: { keys: key.map(read), roots: roots.map(read) },
  });
  return {
    lines: [
      `${current.name} ${current.version} ${switched ? "is new" : "is the newest"}: ${current.location}`,
      ...(previous === undefined ? [] : [`previous: ${previous.version}`]),
    ],
    value: { switched, current, ...(previous === undefined ? {} : { previous }) },
  };
}
