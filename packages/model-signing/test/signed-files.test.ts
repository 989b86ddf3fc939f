import { concatBytes, createSigner, generateKeyPair, type KeyPair } from "@parapet/attestation";
import { memorySource, signModel, verifyBundle, verifyingFetch, verifyingIOHandler } from "@parapet/model-signing";
import { beforeAll, describe, expect, it } from "vitest";
import { signedFiles } from "../src/loading/signed-files.ts";
import { nodeHashers } from "../src/node/hashers.ts";
import certificates from "./vectors/certificates/certificates.json" with { type: "json" };

let pair: KeyPair;
beforeAll(async () => {
  pair = await generateKeyPair("ecdsa-p256-sha256");
});
const content = Uint8Array.from({ length: (5 << 20) + 77 }, (_, i) => (i * 131 + (i >> 12)) % 251);
const held = 1 << 16;

/** In pieces of odd sizes. */
async function* pieces(bytes: Uint8Array, size = 40_961): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
function counted(count: () => unknown): AsyncGenerator<Uint8Array> {
  count();
  return pieces(content);
}
async function all(
  parts: AsyncIterable<Uint8Array>,
): Promise<{ bytes: Uint8Array; error: { code?: string } | undefined }> {
  const got: Uint8Array[] = [];
  try {
    for await (const part of parts) got.push(part.slice());
  } catch (error) {
    return { bytes: concatBytes(...got), error: error as { code?: string } };
  }
  return { bytes: concatBytes(...got), error: undefined };
}
const filesOf = async (options: object, limit = held) => {
  const bundle = await signModel(memorySource("m", { w: content }), pair.signer, { hashers: nodeHashers, ...options });
  return signedFiles(await verifyBundle(bundle, { keys: [pair.publicKey.pem] }), { hashers: nodeHashers, held: limit });
};

describe("bytes are given out when they are proven, and not before", () => {
  it.each([
    ["a file that is held", {}, 8 << 20, 1, content.length],
    ["a file of unknown length that is held", {}, 32 << 20, 1, undefined],
    ["a file of unknown length that is read twice", {}, 8 << 20, 2, undefined],
    ["a file that is read twice, its length known", {}, held, 2, content.length],
    ["a file whose length is not as it was said", {}, held, 2, 5],
    ["shards that are held", { method: "shards", shardSize: 50_000 }, held, 1, undefined],
    ["shards that are read twice", { method: "shards", shardSize: 3 << 20 }, held, 2, undefined],
    ["BLAKE2b, read twice", { hash: "blake2b" }, held, 2, undefined],
  ])("%s", async (_, options, limit, readings, size) => {
    const files = await filesOf(options, limit);
    let opened = 0;
    const good = await all(files.release("w", () => counted(() => opened++), size));
    expect([good.error, opened]).toEqual([undefined, readings]);
    expect(Buffer.compare(good.bytes, content)).toBe(0);

    const changed = content.slice();
    changed[4 << 20]! ^= 1;
    const bad = await all(files.release("w", () => pieces(changed), size));
    expect(bad.error?.code).toBe("model-signing/changed");
    // What came before it is as it was signed: shards are proven one by one, a whole file gives out nothing.
    expect(Buffer.compare(bad.bytes, content.subarray(0, bad.bytes.length))).toBe(0);
    expect(bad.bytes.length).toBe(readings === 1 && "method" in options ? Math.floor((4 << 20) / 50_000) * 50_000 : 0);

    for (const other of [content.subarray(0, -1), concatBytes(content, Uint8Array.of(0))]) {
      expect((await all(files.release("w", () => pieces(other)))).error?.code).toBe("model-signing/changed");
    }
  });

  it("a file that is another one when it is read again is seen in the block where it differs", async () => {
    const files = await filesOf({});
    const changed = content.slice();
    changed[(2 << 20) + 5]! ^= 1;
    let opened = 0;
    const { bytes, error } = await all(files.release("w", () => pieces(opened++ === 0 ? content : changed)));
    expect([error?.code, bytes.length]).toEqual(["model-signing/changed", 2 << 20]);
    let again = 0;
    const longer = concatBytes(content, Uint8Array.of(1));
    const { error: other } = await all(files.release("w", () => pieces(again++ === 0 ? content : longer)));
    expect(other?.code).toBe("model-signing/changed");
  });

  it("an unsigned file is not opened", async () => {
    let opened = 0;
    const { error } = await all((await filesOf({})).release("x", () => counted(() => opened++)));
    expect([error?.code, opened]).toEqual(["model-signing/unsigned", 0]);
  });
});

describe("verifyingFetch", () => {
  const base = "https://models.example/digits/";
  const bodies: Record<string, Uint8Array<ArrayBuffer>> = {
    "a.json": new TextEncoder().encode('{"a":1}'),
    "sub/b c.bin": Uint8Array.of(1, 2, 3),
  };
  const asked: Request[] = [];
  const server =
    (change: Record<string, Uint8Array<ArrayBuffer>> = {}) =>
    async (input: RequestInfo | URL, init?: RequestInit) => {
      asked.push(new Request(input, init));
      const body = { ...bodies, ...change }[
        decodeURIComponent(new URL(asked.at(-1)!.url).pathname).replace("/digits/", "")
      ];
      return body === undefined
        ? new Response(null, { status: 404 })
        : new Response(body, { headers: { "content-type": "x/y", etag: "1" } });
    };
  const open = async (fetch: typeof globalThis.fetch, trust = { keys: [pair.publicKey.pem] }) =>
    verifyingFetch(await signModel(memorySource("digits", bodies), pair.signer), trust, { base, fetch });
  const codeOf = (promise: Promise<unknown>) =>
    promise.then(
      () => "none",
      (error: { code?: string }) => error.code ?? String(error),
    );

  it("gives what was signed, by address, request and relative path", async () => {
    const fetch = await open(server());
    expect(await (await fetch(`${base}a.json`)).json()).toEqual({ a: 1 });
    expect(await (await fetch(new Request(`${base}a.json?v=2#x`))).json()).toEqual({ a: 1 });
    const response = await fetch("sub/b%20c.bin");
    expect([response.headers.get("content-type"), response.headers.get("etag")]).toEqual(["x/y", null]);
    expect([...new Uint8Array(await response.arrayBuffer())]).toEqual([1, 2, 3]);
    expect(fetch.manifest.name).toBe("digits");
  });

  it("refuses a change before there is a response, and what is not signed without asking", async () => {
    const fetch = await open(server({ "a.json": new TextEncoder().encode('{"a":2}') }));
    expect(await codeOf(fetch(`${base}a.json`))).toBe("model-signing/changed");
    asked.length = 0;
    expect(await codeOf(fetch(`${base}tokenizer.json`))).toBe("model-signing/unsigned");
    for (const other of [
      "https://evil.example/digits/a.json",
      "https://models.example/a.json",
      `${base}../a.json`,
      "http://models.example/digits/a.json",
    ]) {
      expect(await codeOf(fetch(other))).toBe("model-signing/name");
    }
    expect(await codeOf(fetch(`${base}sub%2fb%20c.bin%00`))).toBe("model-signing/unsigned");
    await expect(fetch(`${base}a.json`, { method: "POST" })).rejects.toThrow(TypeError);
    expect(asked.length).toBe(0);
  });

  it("asks for whole files, whatever range or condition was wanted", async () => {
    asked.length = 0;
    const fetch = await open(server());
    const response = await fetch(`${base}sub/b c.bin`, { headers: { range: "bytes=1-2", "if-none-match": "1" } });
    expect([response.status, (await response.arrayBuffer()).byteLength]).toEqual([200, 3]);
    expect([...asked[0]!.headers.keys()]).toEqual([]);
  });

  it("passes on that a signed file is not there, and an abort", async () => {
    const fetch = await open(async () => new Response("gone", { status: 410 }));
    expect((await fetch(`${base}a.json`)).status).toBe(410);
    const stopped = await open(async (_, init) => {
      init?.signal?.throwIfAborted();
      return new Response("");
    });
    await expect(stopped(`${base}a.json`, { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow(
      "enough",
    );
    expect(await codeOf(open(server(), { keys: [(await generateKeyPair("ecdsa-p256-sha256")).publicKey.pem] }))).toBe(
      "model-signing/signature",
    );
    await expect(
      verifyingFetch(
        await signModel(memorySource("m", bodies), pair.signer),
        { keys: [pair.publicKey.pem] },
        { base: "https://models.example/digits" },
      ),
    ).rejects.toThrow(RangeError);
  });
});

describe("verifyingIOHandler", () => {
  const base = "https://models.example/m/";
  const load = async (json: unknown, weights: Uint8Array<ArrayBuffer> = Uint8Array.of(1, 2, 3, 4)) => {
    const files: Record<string, Uint8Array<ArrayBuffer>> = {
      "model.json": new TextEncoder().encode(JSON.stringify(json)),
      "w.bin": weights,
    };
    const bundle = await signModel(memorySource("m", files), pair.signer);
    const fetch = async (input: RequestInfo | URL) =>
      new Response(files[new URL(String(input)).pathname.slice(3)] ?? null);
    return (await verifyingIOHandler(bundle, { keys: [pair.publicKey.pem] }, { base, fetch })).load();
  };
  const manifest = (paths: unknown) => ({
    modelTopology: { a: 1 },
    format: "layers-model",
    weightsManifest: [{ paths, weights: [{ name: "w" }] }],
  });

  it("is refused when the signer's certificate has expired", async () => {
    const { chain, roots } = certificates.cases.find(({ name }) => name === "expired")!;
    const signer = await createSigner(certificates.key);
    const bundle = await signModel(memorySource("m", Uint8Array.of(1)), signer, { certificates: chain });
    const open = (now?: Date) => verifyingIOHandler(bundle, { roots: [roots], ...(now && { now }) }, { base });
    await expect(open()).rejects.toMatchObject({ code: "model-signing/certificate" });
    await open(new Date("2025-03-01T00:00:00Z"));
  });

  it("gives the artifacts", async () => {
    const { weightData, weightSpecs, modelTopology, format } = await load(manifest(["w.bin"]));
    expect([weightData.byteLength, weightSpecs, modelTopology, format]).toEqual([
      4,
      [{ name: "w" }],
      { a: 1 },
      "layers-model",
    ]);
  });

  it.each([
    [manifest(["../w.bin"]), "name"],
    [manifest(["https://evil.example/w.bin"]), "name"],
    [manifest(["w.bin", "w.bin"]), "name"],
    [manifest(["other.bin"]), "unsigned"],
    [manifest([1]), "malformed"],
    [manifest("w.bin"), "malformed"],
    [{ weightsManifest: {} }, "malformed"],
    [[], "malformed"],
  ])("refuses %j: %s", async (json, code) => {
    await expect(load(json)).rejects.toMatchObject({ code: `model-signing/${code}` });
  });
});
