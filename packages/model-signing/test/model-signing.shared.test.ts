// biome-ignore-all lint/suspicious/noAssignInExpressions: each case is one change
import {
  createStatement,
  encodeStatement,
  fromBase64,
  generateKeyPair,
  type Json,
  type KeyPair,
  parseJson,
  signEnvelope,
  toBase64,
  toUtf8,
} from "@parapet/attestation";
import { ed25519Signer } from "@parapet/attestation/small";
import { type FileSource, memorySource, signModel, verifyBundle, verifyModel } from "@parapet/model-signing";
import { beforeAll, describe, expect, it } from "vitest";
import { writeBundle } from "../src/bundle.ts";

// In Node and in a browser: no file system, no Node.
let pair: KeyPair;
let other: KeyPair;
const files = () => ({
  "model.json": toUtf8('{"a":1}'),
  "group1-shard1of1.bin": Uint8Array.of(1, 2, 3),
  "sub/vocab.txt": toUtf8("a\nb"),
});
const model = (change: Record<string, Uint8Array> = {}) => memorySource("digits", { ...files(), ...change });
const trust = () => ({ keys: [pair.publicKey.pem] });
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "proven",
    (error: { code?: string }) => error.code ?? String(error),
  );

beforeAll(async () => {
  pair = await generateKeyPair("ecdsa-p256-sha256");
  other = await generateKeyPair("ecdsa-p256-sha256");
});

describe("a signed model", () => {
  it("is proven, with its files and who signed", async () => {
    const bundle = await signModel(model(), pair.signer);
    const proven = await verifyModel(model(), bundle, trust());
    expect(proven.name).toBe("digits");
    expect(proven.resources.map(({ name }) => name)).toEqual(["group1-shard1of1.bin", "model.json", "sub/vocab.txt"]);
    expect(proven.signedBy.key.fingerprint).toBe(pair.publicKey.fingerprint);
    expect([proven.forms, proven.unsigned]).toEqual([[], []]);
    expect(await verifyBundle(bundle, { keys: [other.publicKey.pem, pair.publicKey.pem] })).toMatchObject({
      method: "files",
      hash: "sha256",
    });
  });

  it.each(["ecdsa-p384-sha384", "ecdsa-p521-sha512"] as const)("by %s", async (algorithm) => {
    const { signer, publicKey } = await generateKeyPair(algorithm);
    await verifyModel(model(), await signModel(model(), signer), { keys: [publicKey.pem] });
  });

  it.each([
    ["files", undefined],
    ["shards", undefined],
    ["files", "python"],
    ["shards", "python"],
  ] as const)("by %s, compat %s, as a folder and as one file", async (method, compat) => {
    const options = { method, shardSize: 2, ...(compat === undefined ? {} : { compat }) };
    const many = model({ "sub-x": new Uint8Array(50) });
    const proven = await verifyModel(many, await signModel(many, pair.signer, options), trust());
    expect(proven.method).toBe(method);
    // "sub/vocab.txt" and "sub-x": by bytes "-" comes before "/", by parts "sub" before "sub-x".
    const expected =
      compat === undefined
        ? []
        : method === "files"
          ? ["order-by-path-parts"]
          : ["algorithm-with-shard-size", "order-of-shards-by-number"];
    expect(proven.forms).toEqual(expected);
    const one = memorySource("model.onnx", new Uint8Array(5));
    const single = await verifyModel(one, await signModel(one, pair.signer, options), trust());
    expect(single.forms.includes("single-file-as-dot")).toBe(compat === "python");
  });

  it("gives the same statement every time", async () => {
    const payload = async () =>
      (JSON.parse(await signModel(model(), pair.signer)) as { dsseEnvelope: { payload: string } }).dsseEnvelope.payload;
    expect(await payload()).toBe(await payload());
  });

  it("leaves out what a repository keeps at its root, and what the signer named", async () => {
    const many = model({
      ".git/config": new Uint8Array(1),
      "sub/.git/x": new Uint8Array(1),
      "notes/a.md": new Uint8Array(1),
      "notes.md": new Uint8Array(1),
    });
    const bundle = await signModel(many, pair.signer, { ignorePaths: ["notes"] });
    const proven = await verifyModel(many, bundle, trust());
    expect(proven.resources.map(({ name }) => name)).toEqual([
      "group1-shard1of1.bin",
      "model.json",
      "notes.md",
      "sub/.git/x",
      "sub/vocab.txt",
    ]);
    expect(proven.ignorePaths).toEqual([".git", ".gitattributes", ".github", ".gitignore", "notes"]);
  });

  it("tells how far it is, and stops", async () => {
    const seen: number[] = [];
    await signModel(model(), pair.signer, { onProgress: ({ done, total }) => seen.push(done / total) });
    expect(seen.at(-1)).toBe(1);
    const controller = new AbortController();
    controller.abort(new Error("enough"));
    await expect(signModel(model(), pair.signer, { signal: controller.signal })).rejects.toThrow("enough");
  });
});

describe("what is refused", () => {
  it("a change, a missing file, one that nobody signed, swapped names, and another signer: with the file and what to do", async () => {
    const bundle = await signModel(model(), pair.signer);
    const refusal = async (source: FileSource, whom = trust()) =>
      verifyModel(source, bundle, whom).then(
        () => "proven",
        (error: Error & { code: string }) => `${error.code} ${error.message}`,
      );
    expect(await refusal(model({ "model.json": toUtf8('{"a":2}') }))).toMatch(
      /^model-signing\/changed "model.json" expected [0-9a-f]{16}\.\.\., as it was signed; got/,
    );
    const { "model.json": _, ...without } = files();
    expect(await refusal(memorySource("digits", without))).toMatch(
      /^model-signing\/missing "model.json" expected to be there/,
    );
    expect(await refusal(model({ "tokenizer.json": new Uint8Array(1) }))).toMatch(
      /^model-signing\/unsigned "tokenizer.json" .* remove it, or sign/,
    );
    const swapped = { "model.json": files()["sub/vocab.txt"], "sub/vocab.txt": files()["model.json"] };
    expect(await refusal(model(swapped))).toMatch(/^model-signing\/changed/);
    expect(await refusal(model(), { keys: [other.publicKey.pem] })).toMatch(
      /^model-signing\/signature bundle expected a signature of a trusted key/,
    );
    expect(
      (await verifyModel(model({ x: new Uint8Array(1) }), bundle, trust(), { ignoreUnsignedFiles: true })).unsigned,
    ).toEqual(["x"]);
    expect(
      (await verifyModel(model({ x: new Uint8Array(1) }), bundle, trust(), { ignorePaths: ["x"] })).unsigned,
    ).toEqual([]);
    await expect(verifyModel(model(), bundle, {})).rejects.toThrow(TypeError);
    await expect(verifyModel(model(), bundle, trust(), { ignorePaths: ["../x"] })).rejects.toThrow(RangeError);
    const small = ed25519Signer(new Uint8Array(32));
    expect(await codeOf(signModel(model(), small))).toBe("model-signing/unsupported");
    expect(await codeOf(verifyModel(model(), bundle, { keys: [small.publicKey.pem] }))).toBe("model-signing/signature");
  });

  it("shards: a change names its bytes; another length is seen", async () => {
    const long = (bytes: number[]) => memorySource("digits", { w: Uint8Array.from(bytes) });
    const bundle = await signModel(long([1, 2, 3, 4, 5]), pair.signer, { method: "shards", shardSize: 2 });
    await expect(verifyModel(long([1, 2, 3, 9, 5]), bundle, trust())).rejects.toThrow('"w", bytes 2 to 4, expected');
    for (const bytes of [
      [1, 2, 3, 4],
      [1, 2, 3, 4, 5, 6],
    ]) {
      expect(await codeOf(verifyModel(long(bytes), bundle, trust()))).toBe("model-signing/changed");
    }
  });

  it.each([
    ["../x", "name"],
    ["/x", "name"],
    ["a//b", "name"],
    ["a/./b", "name"],
    ["a/../b", "name"],
    ["a\\b", "name"],
    ["C:x", "name"],
    ["a\u0000", "name"],
    ["a\u202eb", "name"],
    ["a\u200bb", "name"],
    ["MODEL.json", "name"],
    ["model.\u{ff4a}son", "name"],
    ["m\u043edel.bin", "name"],
  ])("a file called %j", async (name, code) => {
    expect(await codeOf(signModel(model({ [name]: new Uint8Array(1) }), pair.signer))).toBe(`model-signing/${code}`);
    const bundle = await signModel(model(), pair.signer);
    expect(await codeOf(verifyModel(model({ [name]: new Uint8Array(1) }), bundle, trust()))).toBe(
      `model-signing/${code}`,
    );
  });

  it("a model without files, links, and things that are no files", async () => {
    const listing = (entries: Awaited<ReturnType<FileSource["list"]>>): FileSource => ({
      ...model(),
      list: async () => entries,
    });
    expect(await codeOf(signModel(listing([]), pair.signer))).toBe("model-signing/empty");
    for (const kind of ["link", "outside", "broken", "other"] as const) {
      const source = listing([{ name: "model.json", kind, size: 7 }]);
      expect(await codeOf(signModel(source, pair.signer))).toBe("model-signing/link");
      expect(await codeOf(signModel(source, pair.signer, { allowSymlinks: true }))).toBe(
        kind === "link" ? "proven" : "model-signing/link",
      );
    }
  });

  it("hashes that are not there are named", async () => {
    await expect(signModel(model(), pair.signer, { hash: "blake3" })).rejects.toMatchObject({
      code: "model-signing/unsupported",
    });
  });
});

/** A bundle around a statement of our making, properly signed. */
async function signed(
  change: (statement: Record<string, Json>) => unknown,
  method: "files" | "shards" = "files",
): Promise<string> {
  const text = await signModel(model(), pair.signer, { method, shardSize: 2 });
  const { dsseEnvelope } = JSON.parse(text) as { dsseEnvelope: { payload: string } };
  const statement = parseJson(fromBase64(dsseEnvelope.payload)) as Record<string, Json>;
  const changed = change(statement) ?? statement;
  const envelope = await signEnvelope("application/vnd.in-toto+json", toUtf8(JSON.stringify(changed)), [pair.signer]);
  return writeBundle(envelope, { method: "key", hint: pair.publicKey.fingerprint });
}

describe("statements that are signed, and wrong", () => {
  type Predicate = { serialization: Record<string, Json>; resources: Record<string, Json>[] };
  const predicate = (statement: Record<string, Json>) => statement.predicate as unknown as Predicate;
  it.each<[string, (statement: Record<string, Json>) => unknown, string?]>([
    ["another _type", (s) => ({ ...s, _type: "https://in-toto.io/Statement/v0.1" })],
    ["another predicate type", (s) => ({ ...s, predicateType: "https://example.com" }), "unsupported"],
    ["a later major version", (s) => ({ ...s, predicateType: "https://model_signing/signature/v2.0" }), "unsupported"],
    ["no subject", (s) => ({ ...s, subject: [] })],
    ["two subjects", (s) => ({ ...s, subject: [...(s.subject as Json[]), ...(s.subject as Json[])] })],
    ["another root digest", (s) => ({ ...s, subject: [{ name: "digits", digest: { sha256: "00".repeat(32) } }] })],
    ["no predicate", ({ predicate: _, ...s }) => s],
    ["a field beside the predicate's", (s) => void ((s.predicate as Record<string, Json>).extra = 1)],
    ["a field beside the serialization's", (s) => void (predicate(s).serialization.extra = 1)],
    ["no serialization", (s) => void delete (predicate(s) as Partial<Predicate>).serialization],
    ["another method", (s) => void (predicate(s).serialization.method = "tree")],
    ["another hash", (s) => void (predicate(s).serialization.hash_type = "md5"), "unsupported"],
    [
      "a hash called as what objects inherit",
      (s) => void (predicate(s).serialization.hash_type = "toString"),
      "unsupported",
    ],
    ["shards without a size", (s) => void (predicate(s).serialization.method = "shards")],
    ["links that are neither allowed nor not", (s) => void (predicate(s).serialization.allow_symlinks = "yes")],
    ["an ignored path that leads out", (s) => void (predicate(s).serialization.ignore_paths = ["../x"])],
    ["no resources", (s) => void (predicate(s).resources = [])],
    ["a resource twice", (s) => void predicate(s).resources.push(predicate(s).resources[0]!), "name"],
    ["resources out of order", (s) => void predicate(s).resources.reverse()],
    ["a resource with another algorithm", (s) => void (predicate(s).resources[0]!.algorithm = "md5")],
    ["a digest that is too short", (s) => void (predicate(s).resources[0]!.digest = "ab")],
    [
      "a digest in capitals",
      (s) => void (predicate(s).resources[0]!.digest = (predicate(s).resources[0]!.digest as string).toUpperCase()),
    ],
    ["a name that leads out", (s) => void (predicate(s).resources[2]!.name = "sub/../../vocab.txt"), "name"],
    ["a dot among names", (s) => void (predicate(s).resources[0]!.name = ".")],
  ])("%s", async (_, change, code = "malformed") => {
    const bundle = await signed(change);
    expect(await codeOf(verifyModel(model(), bundle, trust()))).toMatch(
      new RegExp(`^model-signing/(${code}|malformed)$`),
    );
  });

  it.each<[string, (resources: Record<string, Json>[]) => unknown]>([
    ["overlap", (r) => (r[1]!.name = "group1-shard1of1.bin:1:3")],
    ["leave a hole", (r) => r.shift()],
    ["are empty", (r) => (r[0]!.name = "group1-shard1of1.bin:0:0")],
    ["have zeros in front", (r) => (r[0]!.name = "group1-shard1of1.bin:00:2")],
    ["are longer than a shard", (r) => (r[0]!.name = "group1-shard1of1.bin:0:3")],
  ])("shards that %s", async (_, change) => {
    const bundle = await signed((s) => void change(predicate(s).resources), "shards");
    expect(await codeOf(verifyModel(model(), bundle, trust()))).toBe("model-signing/malformed");
  });

  it("what is right stays right when it is signed anew, and fields of resources that are not known are passed over", async () => {
    await verifyModel(model(), await signed(() => undefined), trust());
    await verifyModel(model(), await signed((s) => void (predicate(s).resources[0]!.size = 3)), trust());
    await verifyModel(
      model(),
      await signed((s) => ({ ...s, predicateType: "https://model_signing/signature/v1.1" })),
      trust(),
    );
  });

  it("an envelope with another type, or two signatures", async () => {
    const payload = encodeStatement(createStatement([{ digest: { sha256: "00" } }], "https://example.com", null));
    const bundle = async (type: string, signers = [pair.signer]) =>
      writeBundle(await signEnvelope(type, payload, signers), { method: "key", hint: pair.publicKey.fingerprint });
    expect(await codeOf(verifyBundle(await bundle("application/json"), trust()))).toBe("model-signing/malformed");
    expect(
      await codeOf(verifyBundle(await bundle("application/vnd.in-toto+json", [pair.signer, pair.signer]), trust())),
    ).toBe("model-signing/malformed");
  });
});

describe("no bit is free", () => {
  it("every change of one bit of a bundle is refused", async () => {
    const one = memorySource("m", { w: Uint8Array.of(7) });
    const bundle = toUtf8(await signModel(one, pair.signer));
    await verifyModel(one, bundle, trust());
    const proven: number[] = [];
    for (let bit = 0; bit < 8 * bundle.length; bit++) {
      const changed = bundle.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const code = await codeOf(verifyModel(one, changed, trust()));
      if (!code.startsWith("model-signing/")) proven.push(bit);
    }
    expect(proven).toEqual([]);
  }, 60_000);

  it("every change of one bit of the model is refused", async () => {
    const bundle = await signModel(model(), pair.signer);
    for (const [name, bytes] of Object.entries(files())) {
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        const changed = bytes.slice();
        changed[bit >> 3]! ^= 1 << (bit & 7);
        expect(await codeOf(verifyModel(model({ [name]: changed }), bundle, trust()))).toBe("model-signing/changed");
      }
    }
  });

  it("blanks, other names of fields, and other base64 in a bundle", async () => {
    const bundle = await signModel(model(), pair.signer);
    await verifyBundle(` ${bundle}\n`, trust()); // JSON's own blanks say nothing
    const json = JSON.parse(bundle) as Record<string, Record<string, Json>>;
    const refused = async (change: (copy: typeof json) => unknown) => {
      const copy = structuredClone(json);
      change(copy);
      return codeOf(verifyBundle(JSON.stringify(copy), trust()));
    };
    expect(await refused((copy) => (copy.extra = {}))).toBe("model-signing/malformed");
    expect(await refused((copy) => (copy.verificationMaterial!.tlogEntries = [{}]))).toBe("model-signing/unsupported");
    expect(await refused((copy) => (copy.verificationMaterial!.certificate = { rawBytes: "" }))).toBe(
      "model-signing/malformed",
    );
    expect(await refused((copy) => (copy.dsseEnvelope!.payload = `${copy.dsseEnvelope!.payload as string}\n`))).toBe(
      "model-signing/malformed",
    );
    expect(
      await refused((copy) => (copy.mediaType = "application/vnd.dev.sigstore.bundle+json;version=0.3" as never)),
    ).toBe("model-signing/unsupported");
    expect(toBase64(new Uint8Array(1))).toBe("AA==");
  });
});
