import type { Hasher, HashName } from "../hashing.ts";
import { problem } from "../problem.ts";
import { piecesOf } from "../stream.ts";
import { type ProvenManifest, type Trust, verifyBundle } from "../verify.ts";
import { signedFiles } from "./signed-files.ts";

/** Options of `verifyingFetch`. */
export interface VerifyingFetchOptions {
  /** Where the model lies: only addresses below it are fetched, and `.` stands for a model that is one file. */
  readonly base: string | URL;
  /** What fetches; default the platform's. */
  readonly fetch?: typeof globalThis.fetch;
  readonly hashers?: Partial<Record<HashName, Hasher>>;
}

/** A fetch for one model. */
export type VerifyingFetch = typeof globalThis.fetch & {
  /** What was proven about the signature. */
  readonly manifest: ProvenManifest;
};

/**
 * A `fetch` that gives out nothing but proven bytes: for whatever loads a model through a fetch that can be handed over. Each
 * file, or shard, is proven before its first byte is given out; one above 32 MiB is fetched twice instead of being held. What is
 * not signed, or lies elsewhere, is refused without being asked for; ranges are answered with the whole file.
 *
 * @param bundle - the signature: bytes or text. Fetch it yourself; it needs no protection
 * @param trust - whom to trust
 * @param options - where the model lies
 * @returns a fetch; its answers reject or break off with `model-signing/changed` when a file is not as it was signed
 * @throws ParapetError as `verifyBundle`
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { memorySource, signModel, verifyingFetch } from "@parapet/model-signing";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const bundle = await signModel(memorySource("digits", { "labels.json": new TextEncoder().encode('["0"]') }), signer);
 * const base = "data:application/json,"; // in real life https://example.com/models/digits/
 * const server = async () => new Response('["0"]');
 * const fetch = await verifyingFetch(bundle, { keys: [publicKey.pem] }, { base: "https://example.com/digits/", fetch: server });
 * console.log((await (await fetch("https://example.com/digits/labels.json")).json())[0], base.length); // => 0 22
 * ```
 */
export async function verifyingFetch(
  bundle: Uint8Array | string,
  trust: Trust,
  options: VerifyingFetchOptions,
): Promise<VerifyingFetch> {
  const { hashers, fetch = globalThis.fetch } = options;
  const manifest = await verifyBundle(bundle, trust);
  const files = signedFiles(manifest, hashers === undefined ? {} : { hashers });
  const base = new URL(options.base, globalThis.location?.href);
  if (!base.pathname.endsWith("/"))
    throw new RangeError(`"base" expected an address that ends with "/", got ${base.href}`);

  const verified = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input instanceof Request ? input : new URL(input, base), init);
    if (request.method !== "GET") throw new TypeError(`a model is fetched by GET, got ${request.method}`);
    const name = nameOf(request.url, base);
    if (!files.names.includes(name)) {
      throw problem(
        "model-signing/unsigned",
        `${JSON.stringify(name)} expected to be signed, got a file that nobody signed: it was not fetched`,
      );
    }
    // Without ranges and conditions: a part of a file cannot be proven, and "not modified" says nothing.
    const { signal } = request;
    const ask = () =>
      fetch(request.url, { signal, credentials: request.credentials, mode: request.mode, redirect: "follow" });
    const first = await ask();
    if (!first.ok || first.body === null) return first;
    let answer: Response | undefined = first;
    const open = async () => {
      const response = answer ?? (await ask());
      answer = undefined;
      if (!response.ok || response.body === null)
        throw problem(
          "model-signing/missing",
          `${JSON.stringify(name)} expected to be there again, got status ${response.status}`,
        );
      return piecesOf(response.body);
    };
    const length = first.headers.get("content-length");
    const proven = files.release(name, open, length === null ? undefined : Number(length));
    // The first piece is proven before the response is given out: a small file that was changed is no response at all.
    const begin = await proven.next();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        if (begin.done === true) controller.close();
        else controller.enqueue(begin.value);
      },
      async pull(controller) {
        const { done, value } = await proven.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await proven.return(undefined);
      },
    });
    const headers = new Headers();
    const type = first.headers.get("content-type");
    if (type !== null) headers.set("content-type", type);
    return new Response(body as unknown as BodyInit, { status: 200, headers });
  };
  return Object.assign(verified as typeof globalThis.fetch, { manifest });
}

/** The name of a file from its address: below the base, and nowhere else. */
function nameOf(address: string, base: URL): string {
  const url = new URL(address);
  const refuse = () => problem("model-signing/name", `${url.href.slice(0, 200)} expected to lie below ${base.href}`);
  if (url.origin !== base.origin || url.protocol !== base.protocol || !url.pathname.startsWith(base.pathname))
    throw refuse();
  try {
    const name = decodeURIComponent(url.pathname.slice(base.pathname.length));
    return name === "" ? "." : name;
  } catch {
    throw refuse();
  }
}
