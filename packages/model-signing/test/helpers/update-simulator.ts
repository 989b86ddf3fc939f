import { type Json, olpcJson, sha256, toBase64, toHex, toUtf8 } from "@parapet/attestation";
import {
  createUpdater,
  type Fetcher,
  memoryStore,
  type UpdateLimits,
  type UpdaterOptions,
  type UpdateStore,
} from "@parapet/model-signing/updates";

// A repository whose every field a test can set wrong, and a client that starts anew for each call, as the framework's own
// conformance suite has them. Written from the specification; it shares no code with what it tests but canonical JSON.

// biome-ignore lint/suspicious/noExplicitAny: metadata in tests is whatever a test makes of it
export type Body = any;

export interface TestKey {
  keyid: string;
  json: Record<string, Json>;
  sign(bytes: Uint8Array<ArrayBuffer>): Promise<string>;
}

const { subtle } = globalThis.crypto;
const pem = (spki: Uint8Array) =>
  `-----BEGIN PUBLIC KEY-----\n${toBase64(spki)
    .match(/.{1,64}/g)!
    .join("\n")}\n-----END PUBLIC KEY-----\n`;
export const keyid = async (json: Json) => toHex(await sha256(olpcJson(json)));

const kinds = {
  "ecdsa-sha2-nistp256": { keytype: "ecdsa", make: { name: "ECDSA", namedCurve: "P-256" }, size: 32, hash: "SHA-256" },
  "ecdsa-sha2-nistp384": { keytype: "ecdsa", make: { name: "ECDSA", namedCurve: "P-384" }, size: 48, hash: "SHA-384" },
  ed25519: { keytype: "ed25519", make: { name: "Ed25519" }, size: 0, hash: "" },
  "rsassa-pss-sha256": {
    keytype: "rsa",
    make: { name: "RSA-PSS", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: "SHA-256" },
    size: 0,
    hash: "",
  },
} as const;
export type Scheme = keyof typeof kinds;

/** A DER integer of a number's bytes. */
function integer(bytes: Uint8Array): number[] {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const digits = [...bytes.subarray(from)];
  if (digits[0]! >= 128) digits.unshift(0);
  return [2, digits.length, ...digits];
}

export async function testKey(
  scheme: Scheme = "ecdsa-sha2-nistp256",
  more: Record<string, Json> = {},
): Promise<TestKey> {
  const { keytype, make, size, hash } = kinds[scheme];
  const pair = (await subtle.generateKey(make, true, ["sign", "verify"])) as CryptoKeyPair;
  const spki = new Uint8Array(await subtle.exportKey("spki", pair.publicKey));
  const json = {
    keytype,
    scheme,
    keyval: { public: size > 0 || keytype === "rsa" ? pem(spki) : toHex(spki.slice(-32)) },
    ...more,
  };
  return {
    keyid: await keyid(json),
    json,
    async sign(bytes) {
      const how =
        size > 0
          ? { name: "ECDSA", hash }
          : keytype === "rsa"
            ? { name: "RSA-PSS", saltLength: 32 }
            : { name: "Ed25519" };
      const raw = new Uint8Array(await subtle.sign(how, pair.privateKey, bytes));
      if (size === 0) return toHex(raw);
      const body = [...integer(raw.subarray(0, size)), ...integer(raw.subarray(size))];
      return toHex(Uint8Array.of(0x30, body.length, ...body));
    },
  };
}

export const day = 86_400_000;
/** The time at which all tests begin. */
export const start = Date.parse("2026-03-01T12:00:00Z");
export const inDays = (days: number) => `${new Date(start + days * day).toISOString().slice(0, 19)}Z`;

export class Simulator {
  /** What will be signed next, by role. */
  readonly bodies: Record<string, Body> = {};
  /** What was published, by role and version. */
  readonly published: Record<string, Uint8Array[]> = {};
  readonly signers: Record<string, TestKey[]> = {};
  readonly artifacts = new Map<string, { data: Uint8Array; hashes: string[] }>();
  readonly asked: [role: string, version: number | null][] = [];
  readonly artifactsAsked: [path: string, hash: string | null][] = [];
  /** Whether timestamp and snapshot give hashes and lengths. */
  hashes = false;
  readonly #pool: TestKey[];

  private constructor(pool: readonly TestKey[]) {
    this.#pool = [...pool];
  }

  /** A repository with a key for each role, all at version 1. */
  static async create(pool: readonly TestKey[]): Promise<Simulator> {
    const made = new Simulator(pool);
    const body = (type: string, more: object): Body => ({
      _type: type,
      spec_version: "1.0.31",
      version: 1,
      expires: inDays(30),
      ...more,
    });
    const role = () => ({ keyids: [], threshold: 1 });
    const roles = { root: role(), timestamp: role(), snapshot: role(), targets: role() };
    made.bodies.root = body("root", { consistent_snapshot: true, keys: {}, roles });
    made.bodies.timestamp = body("timestamp", { meta: { "snapshot.json": { version: 1 } } });
    made.bodies.snapshot = body("snapshot", { meta: { "targets.json": { version: 1 } } });
    made.bodies.targets = body("targets", { targets: {} });
    for (const name of Object.keys(roles)) made.addKey(name);
    await made.publish(["targets", "snapshot", "timestamp", "root"]);
    return made;
  }

  newKey(): TestKey {
    return this.#pool.pop()!;
  }

  /** Gives a role a key more, which signs from now on. */
  addKey(role: string, key = this.newKey(), delegator = "root"): TestKey {
    this.nameKey(role, key, delegator);
    this.signers[role] = [...(this.signers[role] ?? []), key];
    return key;
  }

  nameKey(role: string, key: TestKey, delegator = "root"): void {
    const holder = delegator === "root" ? this.bodies.root : this.bodies[delegator].delegations;
    holder.keys[key.keyid] = key.json;
    const said = delegator === "root" ? holder.roles[role] : holder.roles.find((one: Body) => one.name === role);
    said.keyids.push(key.keyid);
  }

  rotate(role: string): void {
    const said = this.bodies.root.roles[role];
    said.keyids = [];
    this.signers[role] = [];
    for (let i = 0; i < said.threshold; i++) this.addKey(role);
  }

  async sign(body: Body, keys: readonly TestKey[]): Promise<Uint8Array> {
    const payload = olpcJson(body);
    const signatures: Json[] = [];
    for (const key of keys) signatures.push({ keyid: key.keyid, sig: await key.sign(payload) });
    return toUtf8(JSON.stringify({ signatures, signed: body }));
  }

  /** Signs roles in this order, each one version higher than what was published. */
  async publish(roles: readonly string[]): Promise<void> {
    for (const role of roles) {
      const body = this.bodies[role];
      if (this.published[role] !== undefined) body.version++;
      this.published[role] ??= [];
      const bytes = await this.sign(body, this.signers[role]!);
      this.published[role].push(bytes);
      const meta = {
        version: body.version,
        ...(this.hashes ? { length: bytes.length, hashes: { sha256: toHex(await sha256(bytes)) } } : {}),
      };
      if (role === "snapshot") this.bodies.timestamp.meta["snapshot.json"] = meta;
      else if (role !== "root" && role !== "timestamp") this.bodies.snapshot.meta[`${role}.json`] = meta;
    }
  }

  last(role: string): Body {
    return JSON.parse(new TextDecoder().decode(this.published[role]!.at(-1)));
  }

  /** Changes what was published last, without signing it again. */
  tamper(role: string, change: (file: Body) => void): void {
    const file = this.last(role);
    change(file);
    this.published[role]![this.published[role]!.length - 1] = toUtf8(JSON.stringify(file));
  }

  async addArtifact(role: string, content: string, path: string, names: readonly string[] = ["sha256"]): Promise<void> {
    const data = toUtf8(content);
    const hashes: Record<string, string> = {};
    for (const name of names)
      hashes[name] = toHex(new Uint8Array(await subtle.digest(name.replace("sha", "SHA-"), data)));
    this.bodies[role].targets[path] = { length: data.length, hashes };
    this.artifacts.set(path, { data, hashes: Object.values(hashes) });
  }

  /** Lets a role speak; without keys of its own it gets one. */
  delegate(from: string, name: string, more: object = { paths: ["*"] }): void {
    this.bodies[from].delegations ??= { keys: {}, roles: [] };
    this.bodies[from].delegations.roles.push({ name, keyids: [], threshold: 1, terminating: false, ...more });
    this.bodies[name] ??= { _type: "targets", spec_version: "1.0.31", version: 1, expires: inDays(30), targets: {} };
    this.addKey(name, this.newKey(), from);
  }

  /** What a server answers. */
  file(kind: string, path: string): Uint8Array | undefined {
    const consistent = this.bodies.root.consistent_snapshot;
    if (kind === "targets") {
      const [, folder, prefix, name] = /^(.*\/)?(?:([0-9a-f]{64,})\.)?([^/]*)$/.exec(path)!;
      const wanted = decodeURIComponent(`${folder ?? ""}${name}`);
      this.artifactsAsked.push([wanted, prefix ?? null]);
      const artifact = this.artifacts.get(wanted);
      return artifact &&
        (prefix === undefined) !== consistent &&
        (prefix === undefined || artifact.hashes.includes(prefix))
        ? artifact.data
        : undefined;
    }
    const [, version, role] = /^(?:(\d+)\.)?(.*)\.json$/.exec(path)!;
    this.asked.push([role!, version === undefined ? null : Number(version)]);
    const all = this.published[decodeURIComponent(role!)];
    return version === undefined ? all?.at(-1) : all?.[Number(version) - 1];
  }

  readonly fetcher: Fetcher = async ({ kind, path }) => {
    const bytes = this.file(kind, path);
    return bytes && inPieces(bytes);
  };
}

async function* inPieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A client that starts anew for each call, with what it kept. */
export class Client {
  store: UpdateStore;
  readonly names = new Set<string>();
  root: Uint8Array;
  now = start;
  limits: Partial<UpdateLimits> = {};
  more: Partial<UpdaterOptions> = {};
  readonly downloads = new Map<string, string>();
  /** The last error. */
  error: unknown;
  readonly #simulator: Simulator;

  constructor(simulator: Simulator, store = memoryStore()) {
    this.#simulator = simulator;
    this.root = simulator.published.root![0]!;
    this.store = {
      ...store,
      write: async (name, bytes) => {
        this.names.add(name);
        await store.write(name, bytes);
      },
      remove: async (name) => {
        this.names.delete(name);
        await store.remove(name);
      },
    };
  }

  updater() {
    return createUpdater({
      root: this.root,
      fetcher: this.#simulator.fetcher,
      store: this.store,
      now: () => new Date(this.now),
      limits: this.limits,
      ...this.more,
    });
  }

  async #tried(run: () => Promise<unknown>): Promise<string> {
    try {
      await run();
      return "ok";
    } catch (error) {
      this.error = error;
      const { code } = error as { code?: string };
      if (code === undefined) throw error;
      return code.replace("model-signing/update-", "");
    }
  }

  /** "ok", or what the update was refused for. */
  refresh(): Promise<string> {
    return this.#tried(() => this.updater().refresh());
  }

  download(...paths: readonly string[]): Promise<string> {
    return this.#tried(async () => {
      const updater = this.updater();
      await updater.refresh();
      for (const path of paths) {
        const info = await updater.targetInfo(path);
        const before = this.downloads.get(path);
        const bytes = await updater.download(info, { have: before === undefined ? undefined : toUtf8(before) });
        this.downloads.set(path, new TextDecoder().decode(bytes));
      }
    });
  }

  async kept(role: string): Promise<Body> {
    const bytes = await this.store.read(`${role}.json`);
    return bytes && JSON.parse(new TextDecoder().decode(bytes));
  }

  async version(role: string): Promise<number | undefined> {
    return (await this.kept(role))?.signed.version;
  }

  /** Versions of all that is trusted, such as "root 1, timestamp 2". */
  async trusted(): Promise<string> {
    const names = [...this.names].filter((name) => name.endsWith(".json")).sort();
    const lines = names.map(async (name) => `${name.slice(0, -5)} ${await this.version(name.slice(0, -5))}`);
    return (await Promise.all(lines)).join(", ");
  }
}
