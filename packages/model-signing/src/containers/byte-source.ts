import { expected, ParapetError } from "@parapet/core";
import type { FileSource } from "../file-source.ts";
import { malformed } from "./errors.ts";

/** A file whose parts can be read in any order. */
export interface ByteSource {
  /** Bytes of the whole file. */
  readonly size: number;
  /** The bytes from `start` to before `end`. */
  readonly read: (start: number, end: number) => Promise<Uint8Array>;
}

/**
 * One file of a model, to be read in parts.
 *
 * @param source - the model's files
 * @param name - the file
 * @returns what the readers of this entry take, besides bytes
 * @throws RangeError when the model has no such file
 *
 * @example
 * ```ts
 * import { memorySource } from "@parapet/model-signing";
 * import { fileOf, sniffContainer } from "@parapet/model-signing/containers";
 * const model = memorySource("digits", { "labels.json": new TextEncoder().encode('["0"]') });
 * const { kind } = await sniffContainer(await fileOf(model, "labels.json"));
 * console.log(kind); // => json
 * ```
 */
export async function fileOf(source: FileSource, name: string): Promise<ByteSource> {
  const entry = (await source.list()).find((one) => one.name === name);
  if (entry === undefined) throw new RangeError(expected("name", "a file of the model", name));
  return {
    size: entry.size,
    async read(start, end) {
      const bytes = new Uint8Array(end - start);
      let at = 0;
      for await (const piece of source.open(name, start, end)) {
        bytes.set(piece.subarray(0, bytes.length - at), at);
        at += piece.length;
        if (at >= bytes.length) break;
      }
      return bytes.subarray(0, at);
    },
  };
}

/** A source whose every read gives as many bytes as were asked for, or throws. */
export function sourceOf(source: ByteSource | Uint8Array): ByteSource {
  if (source instanceof Uint8Array) {
    return { size: source.length, read: async (start, end) => source.subarray(start, end) };
  }
  const { size } = source;
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(expected("size", "a whole number >= 0", size));
  return {
    size,
    async read(start, end) {
      const bytes = await source.read(start, end);
      if (bytes.length !== end - start)
        throw malformed("file", `${end - start} bytes at ${start}`, `${bytes.length}: it changed while it was read`);
      return bytes;
    },
  };
}

/** What a reader of JSON refuses, is refused here by names of this entry. */
export function typed<T>(where: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    const { code, message } = cause as { code?: unknown; message: string };
    if (typeof code !== "string" || !code.startsWith("attestation/")) throw cause;
    const kind = code === "attestation/too-large" ? "too-large" : "malformed";
    throw new ParapetError(`model-signing/container-${kind}`, `${where}: ${message}`, { cause });
  }
}
