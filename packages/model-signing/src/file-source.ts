import type { HashName } from "./hashing.ts";

/** One file of a model, or something that lies where a file could be. */
export interface ModelEntry {
  /** From the model's root, with `/` between the parts. */
  readonly name: string;
  /** "outside" is a link that leads out of the model, "broken" one that leads nowhere or to a folder. */
  readonly kind: "file" | "link" | "outside" | "broken" | "other";
  /** Bytes; of a link, those of the file it leads to. */
  readonly size: number;
}

/** Where a model's files come from: a folder, memory, an archive, a server. */
export interface FileSource {
  /** The last part of the model's path: what the signature calls it. */
  readonly name: string;
  /** Whether the model is a folder, or one file, which then is its only entry. */
  readonly kind: "folder" | "file";
  readonly list: () => Promise<readonly ModelEntry[]>;
  /** The bytes of a file from `start` to before `end`, in pieces; default all of it. */
  readonly open: (name: string, start?: number, end?: number) => AsyncIterable<Uint8Array>;
  /** Where the source can hash files itself, several at a time: faster than by handing out their bytes. */
  readonly hashing?: {
    readonly lanes: number;
    readonly digest: (
      hash: HashName,
      name: string,
      range: { readonly start: number; readonly end: number } | undefined,
      onBytes: (count: number) => void,
    ) => Promise<Uint8Array>;
  };
}

/**
 * A model whose files are in memory.
 *
 * @param name - what the model is called
 * @param files - bytes by name; or the bytes of a model that is one file
 * @returns a source for `signModel` and `verifyModel`
 *
 * @example
 * ```ts
 * import { memorySource } from "@parapet/model-signing";
 * const entries = await memorySource("digits", { "model.json": new Uint8Array(3) }).list();
 * console.log(entries[0]!.name, entries[0]!.size); // => model.json 3
 * ```
 */
export function memorySource(name: string, files: Readonly<Record<string, Uint8Array>> | Uint8Array): FileSource {
  const single = files instanceof Uint8Array;
  const all = new Map(single ? [[name, files]] : Object.entries(files));
  return {
    name,
    kind: single ? "file" : "folder",
    list: async () => [...all].map(([file, { length }]) => ({ name: file, kind: "file", size: length })),
    async *open(file, start = 0, end) {
      const bytes = all.get(file);
      if (bytes === undefined) throw new RangeError(`"name" expected a file of the model, got ${JSON.stringify(file)}`);
      yield bytes.subarray(start, end);
    },
  };
}
