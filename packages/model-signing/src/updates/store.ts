/**
 * Where a client keeps what it trusts: the newest metadata that it proved, which holds off roll-backs, and the state of its
 * models. It must be as safe from others as the program itself. Names are ASCII letters, digits and `.`, `-`, `_`, `%`.
 */
export interface UpdateStore {
  readonly read: (name: string) => Promise<Uint8Array | undefined>;
  /** Keeps all of the bytes or, whatever happens, what was there before. */
  readonly write: (name: string, bytes: Uint8Array) => Promise<void>;
  /** Removes what is kept under a name, if anything is. */
  readonly remove: (name: string) => Promise<void>;
  /** Runs while no other one, such as another tab, does; a store of one process needs none. */
  readonly exclusive?: <T>(run: () => Promise<T>) => Promise<T>;
}

/**
 * A store that forgets when the program ends: for tests, and for clients that begin with a fresh root each time. It does not
 * hold off roll-backs from one run to the next.
 *
 * @returns an empty store
 *
 * @example
 * ```ts
 * import { memoryStore } from "@parapet/model-signing/updates";
 * const store = memoryStore();
 * await store.write("root.json", Uint8Array.of(1, 2));
 * console.log((await store.read("root.json"))?.length); // => 2
 * ```
 */
export function memoryStore(): UpdateStore {
  const kept = new Map<string, Uint8Array>();
  return {
    read: async (name) => kept.get(name)?.slice(),
    write: async (name, bytes) => void kept.set(name, bytes.slice()),
    remove: async (name) => void kept.delete(name),
  };
}
