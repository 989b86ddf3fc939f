import type { UpdateStore } from "./store.ts";

const TABLE = "files";

/**
 * A store in the browser's IndexedDB, the same for all pages of an origin. Tabs wait for each other where the browser has
 * locks.
 *
 * @param name - of the database; default "parapet-updates"
 * @returns the store; opened when it is first used
 *
 * @example
 * ```ts
 * // browser only
 * import { indexedDbStore } from "@parapet/model-signing/updates";
 * const store = indexedDbStore("my-app-updates");
 * await store.write("root.json", new Uint8Array(10));
 * ```
 *
 * Source: Indexed Database API 3.0; Web Locks API.
 */
export function indexedDbStore(name = "parapet-updates"): UpdateStore {
  let database: Promise<IDBDatabase> | undefined;
  const open = () => {
    database ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = globalThis.indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
      request.onerror = () => reject(request.error);
      request.onsuccess = () => resolve(request.result);
    });
    database.catch(() => {
      database = undefined; // perhaps it works the next time
    });
    return database;
  };
  const within = async <T>(mode: IDBTransactionMode, act: (table: IDBObjectStore) => IDBRequest<T>): Promise<T> => {
    const transaction = (await open()).transaction(TABLE, mode, { durability: "strict" });
    return new Promise<T>((resolve, reject) => {
      const request = act(transaction.objectStore(TABLE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
      transaction.onerror = () => reject(transaction.error);
    });
  };
  const { locks } = globalThis.navigator;
  return {
    async read(key) {
      const bytes: unknown = await within("readonly", (table) => table.get(key));
      return bytes instanceof Uint8Array ? bytes : undefined;
    },
    write: async (key, bytes) => void (await within("readwrite", (table) => table.put(bytes.slice(), key))),
    remove: async (key) => void (await within("readwrite", (table) => table.delete(key))),
    ...(locks === undefined
      ? {}
      : { exclusive: async <T>(run: () => Promise<T>) => (await locks.request(`parapet-updates ${name}`, run)) as T }),
  };
}
