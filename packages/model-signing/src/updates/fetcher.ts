import { concatBytes } from "@parapet/attestation";
import { piecesOf } from "../stream.ts";
import { isUpdateError, updateError } from "./errors.ts";

/** A file that is asked for. */
export interface FetchRequest {
  readonly kind: "metadata" | "targets";
  /** Its path below the place of its kind, quoted for a URL. */
  readonly path: string;
  readonly signal: AbortSignal;
}

/** Gives the bytes of a file as they come, or undefined where there is none. Whatever it throws means that it is out of reach. */
export type Fetcher = (request: FetchRequest) => Promise<AsyncIterable<Uint8Array> | undefined>;

/** Where a repository lies, for `httpFetcher`. */
export interface HttpFetcherOptions {
  /** Address of the folder with metadata, such as "https://example.com/updates/metadata/". */
  readonly metadata: string | URL;
  /** Address of the folder with targets. */
  readonly targets: string | URL;
  /** What fetches; default the platform's. */
  readonly fetch?: typeof globalThis.fetch;
}

/**
 * Fetches a repository from any web server. The server needs no trust: what it hands out is proven. 404 and 403, with which
 * some static hosts say the same, mean that a file is not there.
 *
 * @param options - two addresses
 * @returns a fetcher for `createUpdater`
 * @throws TypeError when an address is none
 *
 * @example
 * ```ts
 * import { httpFetcher } from "@parapet/model-signing/updates";
 * const fetch = async (url: string | URL | Request) => new Response(`file ${url}`);
 * const fetcher = httpFetcher({ metadata: "https://example.com/m/", targets: "https://example.com/t", fetch });
 * const stream = await fetcher({ kind: "targets", path: "a/b", signal: new AbortController().signal });
 * let text = "";
 * for await (const piece of stream!) text += new TextDecoder().decode(piece);
 * console.log(text); // => file https://example.com/t/a/b
 * ```
 */
export function httpFetcher(options: HttpFetcherOptions): Fetcher {
  const { fetch = globalThis.fetch } = options;
  const base = (address: string | URL) => new URL(address, globalThis.location?.href).href.replace(/\/*$/, "/");
  const bases = { metadata: base(options.metadata), targets: base(options.targets) };
  return async ({ kind, path, signal }) => {
    const response = await fetch(bases[kind] + path, { signal, cache: "no-store", credentials: "omit" });
    if (response.status === 404 || response.status === 403) {
      await response.body?.cancel();
      return undefined;
    }
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return piecesOf(response.body);
  };
}

/** One part of an address, every character quoted that could mean something there. */
export const quoted = (part: string): string =>
  encodeURIComponent(part).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);

/** Fetches a file whole, but never more than `limit` bytes nor longer than `seconds`; undefined where there is none. */
export async function fetchWhole(
  fetcher: Fetcher,
  request: Pick<FetchRequest, "kind" | "path">,
  bounds: {
    readonly where: string;
    readonly limit: number;
    readonly seconds: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Uint8Array | undefined> {
  const { where, limit, seconds, signal } = bounds;
  signal?.throwIfAborted();
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let abort: (() => void) | undefined;
  const broken = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        updateError("model-signing/update-unavailable", where, `the whole file in ${seconds} s`, "only a part of it"),
      );
      controller.abort();
    }, seconds * 1000);
    abort = () => {
      reject(signal?.reason);
      controller.abort(signal?.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
  });
  const whole = async () => {
    const stream = await fetcher({ ...request, signal: controller.signal });
    if (stream === undefined) return undefined;
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of stream) {
      if (controller.signal.aborted) break;
      length += piece.length;
      if (length > limit) throw updateError("model-signing/update-too-large", where, `at most ${limit} bytes`, "more");
      if (piece.length > 0) pieces.push(Uint8Array.from(piece));
    }
    return concatBytes(...pieces);
  };
  const reading = whole();
  reading.catch(() => {}); // when it was too late, nobody waits for it any more
  try {
    return await Promise.race([reading, broken]);
  } catch (cause) {
    if (isUpdateError(cause) || signal?.aborted) throw cause;
    const got = (cause as Error)?.message ?? "an error";
    throw updateError("model-signing/update-unavailable", where, "to be fetched", got.slice(0, 200), { cause });
  } finally {
    clearTimeout(timer);
    if (abort !== undefined) signal?.removeEventListener("abort", abort);
    controller.abort();
  }
}
