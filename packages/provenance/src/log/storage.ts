import { expected } from "@parapet/core";
import type { TreeHasher } from "../merkle/hasher.ts";

/** Something with a name, such as "checkpoint" or "tile/0/000". */
export interface StoredObject {
  readonly name: string;
  readonly data: Uint8Array;
}

/**
 * Where a log lies: objects by their names, as a folder or a static host has them. `memoryStorage`, `indexedDbStorage` and, in Node,
 * `folderStorage` are such places; others can be written.
 */
export interface LogStorage {
  /** The object, or undefined when there is none. */
  readonly read: (name: string) => Promise<Uint8Array | undefined>;
  /** Writes whole objects, and makes no promise about what a crash leaves of them until `sync`. The data may be used again after it. */
  readonly write: (objects: readonly StoredObject[]) => Promise<void>;
  /** Puts an object in the place of another: whoever reads gets the one or the other, whole. */
  readonly replace: (object: StoredObject) => Promise<void>;
  /** Resolves when the objects will be there after a crash; rejects when one is not there. */
  readonly sync: (names: readonly string[]) => Promise<void>;
  /** Removes objects, as far as they are there. */
  readonly remove: (names: readonly string[]) => Promise<void>;
  /** The names that begin with `prefix`, in any order. */
  readonly list: (prefix: string) => Promise<readonly string[]>;
  /** Does some work while nobody else, in any process, does some under this lock. */
  readonly lock: <Result>(work: () => Promise<Result>) => Promise<Result>;
  /** A SHA-256 that is faster than JavaScript's, where there is one. */
  readonly hasher?: TreeHasher;
}

/** Does one thing after another. */
export function createMutex(): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
}

/**
 * A place in memory: for tests, and for logs that live as long as a page.
 *
 * @param objects - what is there at first; they are changed
 * @returns the storage
 *
 * @example
 * ```ts
 * import { ed25519Signer, ed25519Verifier } from "@parapet/attestation/small";
 * import { memoryStorage, noteSigner, openLog } from "@parapet/provenance";
 * const signer = noteSigner("example.com/log", ed25519Signer(new Uint8Array(32)));
 * const objects = new Map<string, Uint8Array>();
 * const log = await openLog(memoryStorage(objects), { signer, makeVerifier: ed25519Verifier });
 * await log.append(Uint8Array.of(1, 2, 3));
 * await log.close();
 * console.log([...objects.keys()].sort().join(" ")); // => checkpoint tile/0/000.p/1 tile/entries/000.p/1
 * ```
 */
export function memoryStorage(objects: Map<string, Uint8Array> = new Map()): LogStorage {
  const put = ({ name, data }: StoredObject) => void objects.set(name, data.slice());
  return {
    read: async (name) => objects.get(name)?.slice(),
    write: async (some) => some.forEach(put),
    replace: async (object) => put(object),
    async sync(names) {
      const lost = names.find((name) => !objects.has(name));
      if (lost !== undefined) throw new Error(expected("names", "objects that are there", lost));
    },
    remove: async (names) => names.forEach((name) => void objects.delete(name)),
    list: async (prefix) => [...objects.keys()].filter((name) => name.startsWith(prefix)),
    lock: createMutex(),
  };
}
