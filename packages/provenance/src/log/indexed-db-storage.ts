import { expected } from "@parapet/core";
import { problem } from "../problem.ts";
import { createMutex, type LogStorage } from "./storage.ts";

const OBJECTS = "objects";

/**
 * A place in the browser that stays, and that all pages of one origin share. Each write is durable at once, as far as the browser makes it
 * so; the lock is that of the Web Locks API, which a page that goes away lets go.
 *
 * @param name - of the database
 * @returns the storage
 * @throws TypeError when there is no name; `provenance/unsupported` where there is no IndexedDB
 *
 * @example
 * ```ts
 * import { indexedDbStorage } from "@parapet/provenance";
 * const hasDatabase = "indexedDB" in globalThis;
 * const found = hasDatabase ? await indexedDbStorage("example").list("") : [];
 * console.log(found.length); // => 0
 * ```
 *
 * Source: W3C Indexed Database API 3.0; W3C Web Locks API.
 */
export function indexedDbStorage(name: string): LogStorage {
  if (typeof name !== "string" || name === "") throw new TypeError(expected("name", "some text", name));
  if (globalThis.indexedDB === undefined) {
    throw problem(
      "provenance/unsupported",
      "this platform has no IndexedDB: use memoryStorage, or folderStorage in Node",
    );
  }
  let opened: Promise<IDBDatabase> | undefined;
  const database = () => {
    opened ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(OBJECTS);
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        // Another page may want to remove the database.
        request.result.onversionchange = () => {
          request.result.close();
          opened = undefined;
        };
        resolve(request.result);
      };
    }).catch((error) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };

  async function transact<Result>(
    mode: IDBTransactionMode,
    work: (store: IDBObjectStore) => IDBRequest<Result> | undefined,
  ): Promise<Result> {
    const transaction = (await database()).transaction(OBJECTS, mode, { durability: "strict" });
    const request = work(transaction.objectStore(OBJECTS));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request?.result as Result);
      transaction.onabort = () => reject(transaction.error);
      transaction.onerror = () => reject(transaction.error);
    });
  }

  const put = (objects: Parameters<LogStorage["write"]>[0]) =>
    transact<unknown>("readwrite", (store) => {
      for (const object of objects) store.put(object.data.slice(), object.name);
      return undefined;
    }).then(() => undefined);
  const mutex = createMutex();
  return {
    read: async (object) => {
      const found = await transact<unknown>("readonly", (store) => store.get(object));
      return found instanceof Uint8Array ? found : undefined;
    },
    write: put,
    replace: (object) => put([object]),
    async sync(names) {
      for (const one of names) {
        const found = await transact<IDBValidKey | undefined>("readonly", (store) => store.getKey(one));
        if (found === undefined) throw new Error(expected("names", "objects that are there", one));
      }
    },
    remove: (names) =>
      transact<unknown>("readwrite", (store) => {
        for (const one of names) store.delete(one);
        return undefined;
      }).then(() => undefined),
    list: async (prefix) => {
      const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
      return (await transact<IDBValidKey[]>("readonly", (store) => store.getAllKeys(range))).map(String);
    },
    lock: (work) =>
      globalThis.navigator?.locks === undefined ? mutex(work) : navigator.locks.request(`parapet-log ${name}`, work),
  };
}
