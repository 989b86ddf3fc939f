import {
  compareUtf8,
  createStatement,
  encodeStatement,
  fromHex,
  type Json,
  parseStatement,
  type Statement,
} from "@parapet/attestation";
import { type HashName, hashLength, rootDigest } from "./hashing.ts";
import { checkIgnored, checkNames } from "./names.ts";
import { problem } from "./problem.ts";

/** A signed file, or a signed part of one. */
export interface Resource {
  /** The name of the file. */
  readonly name: string;
  /** Of a part: the bytes from `start` to before `end`. */
  readonly shard?: { readonly start: number; readonly end: number };
  readonly digest: Uint8Array;
}

/** Where a bundle leaves the letter of the specification in a way that a released client does. */
export type Form =
  | "order-by-path-parts"
  | "order-of-shards-by-number"
  | "single-file-as-dot"
  | "algorithm-with-shard-size"
  | "blake2-for-blake2b"
  | "without-ignore-paths"
  | "digests-v0.1"
  | "pae-v0.2.0"
  | "public-key-as-raw-bytes"
  | "without-tlog-entries"
  | "extension-ed25519"
  | "extension-ed25519ph"
  | "extension-ml-dsa-65";

/** What a signature says about a model. */
export interface Manifest {
  /** What the signer called the model. */
  readonly name: string;
  readonly rootDigest: string;
  readonly method: "files" | "shards";
  readonly hash: HashName;
  readonly shardSize: number | undefined;
  readonly allowSymlinks: boolean;
  readonly ignorePaths: readonly string[];
  readonly resources: readonly Resource[];
  readonly forms: readonly Form[];
}

const CURRENT = "https://model_signing/signature/v1.0";
const DEPRECATED = "https://model_signing/Digests/v0.1";
const malformed = (message: string) => problem("model-signing/malformed", message);

/** A resource's name in the manifest. */
const label = ({ name, shard }: Resource): string =>
  shard === undefined ? name : `${name}:${shard.start}:${shard.end}`;

/** Orders resources: as the specification asks, by the bytes of their names; or as the reference in Python does. */
export function ordered(resources: readonly Resource[], compat: "python" | undefined): Resource[] {
  if (compat === undefined) return [...resources].sort((a, b) => compareUtf8(label(a), label(b)));
  return [...resources].sort((a, b) => byParts(a.name, b.name) || (a.shard?.start ?? 0) - (b.shard?.start ?? 0));
}

function byParts(a: string, b: string): number {
  const [x, y] = [a.split("/"), b.split("/")];
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const order = compareUtf8(x[i]!, y[i]!);
    if (order !== 0) return order;
  }
  return x.length - y.length;
}

/** Writes what is signed, with its fields and names in one order, so that the same model gives the same bytes. */
export async function writeManifest(
  manifest: Omit<Manifest, "rootDigest" | "forms">,
  single: boolean,
  compat: "python" | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const { name, method, hash, shardSize, allowSymlinks, ignorePaths } = manifest;
  const resources = ordered(manifest.resources, compat);
  const sha256 = await rootDigest(resources.map(({ digest }) => digest));
  const algorithm = method === "shards" && compat === "python" ? `${hash}-sharded-${shardSize}` : hash;
  const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const predicate: Json = {
    serialization: {
      method,
      hash_type: hash,
      ...(method === "shards" ? { shard_size: shardSize! } : {}),
      allow_symlinks: allowSymlinks,
      ignore_paths: [...ignorePaths].sort(compareUtf8),
    },
    resources: resources.map((resource) => ({
      name: single && compat === "python" ? label({ ...resource, name: "." }) : label(resource),
      algorithm,
      digest: hex(resource.digest),
    })),
  };
  return encodeStatement(createStatement([{ name, digest: { sha256 } }], CURRENT, predicate));
}

/** Reads what was signed, in the form of the specification or in those of released clients, and says which were met. */
export async function readManifest(payload: Uint8Array): Promise<Manifest> {
  const statement = parseStatement(payload);
  if (statement.predicateType === DEPRECATED) return readDeprecated(statement);
  if (!/^https:\/\/model_signing\/signature\/v1\.[0-9]{1,4}$/.test(statement.predicateType)) {
    throw problem(
      "model-signing/unsupported",
      `statement expected ${CURRENT}, got ${statement.predicateType.slice(0, 200)}`,
    );
  }
  const [subject, ...others] = statement.subject;
  if (others.length > 0) throw malformed(`statement expected one subject, got ${1 + others.length}`);
  const root = subject!.digest.sha256;
  if (root === undefined || root.length !== 64) throw malformed('subject expected a digest "sha256"');

  const forms = new Set<Form>();
  const { serialization, resources } = closed(statement.predicate, "predicate", ["serialization", "resources"]);
  const about = closed(serialization ?? null, "serialization", [
    "method",
    "hash_type",
    "shard_size",
    "allow_symlinks",
    "ignore_paths",
  ]);
  const { method, shard_size: size, allow_symlinks: allowSymlinks = false, ignore_paths: ignorePaths } = about;
  if (method !== "files" && method !== "shards")
    throw malformed('serialization expected the method "files" or "shards"');
  const hash = about.hash_type === "blake2" ? "blake2b" : about.hash_type;
  if (about.hash_type === "blake2") forms.add("blake2-for-blake2b");
  if (typeof hash !== "string" || !Object.hasOwn(hashLength, hash)) {
    throw problem(
      "model-signing/unsupported",
      `serialization expected sha256, blake2b or blake3, got ${JSON.stringify(hash)}`,
    );
  }
  if (typeof allowSymlinks !== "boolean")
    throw malformed('serialization expected "allow_symlinks" to be true or false');
  if (method === "shards" ? !(Number.isSafeInteger(size) && (size as number) >= 1) : size !== undefined) {
    throw malformed('serialization expected a whole "shard_size" >= 1 with shards, and none with files');
  }
  if (ignorePaths === undefined) forms.add("without-ignore-paths");
  else if (!Array.isArray(ignorePaths)) throw malformed('serialization expected "ignore_paths" to be a list');
  else checkIgnored(ignorePaths as readonly string[], "bundle");
  if (!Array.isArray(resources) || resources.length === 0) throw malformed("predicate expected resources, got none");

  const read = resources.map((json: Json) => readResource(json, method, hash as HashName, size as number, forms));
  checkNames([...new Set(read.map(({ name }) => name))].filter((name) => name !== "."));
  if (new Set(read.map(label)).size !== read.length) throw malformed("predicate expected each resource once");
  if (method === "shards") checkShards(read, size as number);
  if (read.some(({ name }) => name === ".")) {
    if (read.some(({ name }) => name !== ".")) throw malformed('predicate expected "." alone');
    forms.add("single-file-as-dot");
  }
  const same = (order: readonly Resource[]) => order.every((resource, i) => label(resource) === label(read[i]!));
  if (!same(ordered(read, undefined))) {
    if (!same(ordered(read, "python"))) throw malformed("predicate expected resources sorted by their names");
    forms.add(method === "shards" ? "order-of-shards-by-number" : "order-by-path-parts");
  }
  const got = await rootDigest(read.map(({ digest }) => digest));
  if (got !== root) throw malformed(`subject expected the digest of its resources ${got}, got ${root}`);
  return {
    name: subject!.name ?? "",
    rootDigest: root,
    method,
    hash: hash as HashName,
    shardSize: size as number | undefined,
    allowSymlinks,
    ignorePaths: (ignorePaths ?? []) as readonly string[],
    resources: read,
    forms: [...forms],
  };
}

function readResource(
  json: Json,
  method: "files" | "shards",
  hash: HashName,
  size: number,
  forms: Set<Form>,
): Resource {
  const { name, algorithm, digest } = object(json, "resource");
  if (typeof name !== "string" || typeof algorithm !== "string" || typeof digest !== "string") {
    throw malformed("resource expected a name, an algorithm and a digest");
  }
  const sharded = method === "shards" && algorithm === `${hash}-sharded-${size}`;
  if (sharded) forms.add("algorithm-with-shard-size");
  else if (algorithm !== hash && !(hash === "blake2b" && algorithm === "blake2")) {
    throw malformed(`resource expected the algorithm ${hash}, got ${algorithm.slice(0, 100)}`);
  }
  const bytes = fromHex(digest);
  if (bytes.length !== hashLength[hash])
    throw malformed(`resource expected a digest of ${hashLength[hash]} bytes, got ${bytes.length}`);
  if (method === "files") return { name, digest: bytes };
  // The file's own name may hold colons: the last two parts are the range.
  const [, file, start, end] = /^(.+):(0|[1-9][0-9]{0,15}):([1-9][0-9]{0,15})$/s.exec(name) ?? [];
  if (file === undefined) throw malformed("resource expected NAME:START:END");
  return { name: file, shard: { start: Number(start), end: Number(end) }, digest: bytes };
}

/** The parts of each file lie side by side from its beginning, all of the same size but the last. */
function checkShards(resources: readonly Resource[], size: number): void {
  const parts = new Map<string, { start: number; end: number }[]>();
  for (const { name, shard } of resources) {
    const list = parts.get(name);
    if (list === undefined) parts.set(name, [shard!]);
    else list.push(shard!);
  }
  for (const [name, list] of parts) {
    list.sort((a, b) => a.start - b.start);
    const good = list.every(
      ({ start, end }, i) =>
        start === i * size && end > start && (i === list.length - 1 ? end <= start + size : end === start + size),
    );
    if (!good) throw malformed(`the parts of ${JSON.stringify(name)} expected to lie side by side, ${size} bytes each`);
  }
}

/** The first format: digests of files as subjects. Verified for old bundles, never written. */
async function readDeprecated({ subject }: Statement): Promise<Manifest> {
  const resources = subject.map(({ name, digest }): Resource => {
    if (name === undefined || digest.sha256?.length !== 64)
      throw malformed("subject expected a name and a digest sha256");
    return { name, digest: fromHex(digest.sha256) };
  });
  checkNames(resources.map(({ name }) => name));
  return {
    name: "",
    rootDigest: await rootDigest(resources.map(({ digest }) => digest)),
    method: "files",
    hash: "sha256",
    shardSize: undefined,
    allowSymlinks: false,
    ignorePaths: [],
    resources,
    forms: ["digests-v0.1", "without-ignore-paths"],
  };
}

/** The members of an object. */
export function object(json: Json, what: string): Readonly<Record<string, Json | undefined>> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw malformed(`${what} expected an object`);
  return json as Readonly<Record<string, Json>>;
}

/** The members of an object that has no others than these. */
export function closed(json: Json, what: string, names: readonly string[]): Readonly<Record<string, Json | undefined>> {
  const members = object(json, what);
  const other = Object.keys(members).find((name) => !names.includes(name));
  if (other !== undefined) throw malformed(`${what} expected no field ${JSON.stringify(other).slice(0, 100)}`);
  return members;
}
