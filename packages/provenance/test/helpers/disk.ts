import { type LogStorage, memoryStorage } from "@parapet/provenance";

/** What reached the disk, in order; `acknowledged` is how many entries were promised to be there. */
export type Operation =
  | { readonly kind: "write" | "replace"; readonly name: string; readonly data: Uint8Array }
  | { readonly kind: "remove" | "sync"; readonly name: string }
  | { readonly kind: "acknowledged"; readonly count: number };

export type Disk = Map<string, Uint8Array>;

/** A place in memory that notes every single operation. */
export function recordingStorage(operations: Operation[], disk: Disk = new Map()): LogStorage {
  const storage = memoryStorage(disk);
  return {
    ...storage,
    async write(objects) {
      for (const { name, data } of objects) {
        operations.push({ kind: "write", name, data: data.slice() });
        await storage.write([{ name, data }]);
      }
    },
    async replace(object) {
      operations.push({ kind: "replace", name: object.name, data: object.data.slice() });
      await storage.replace(object);
    },
    async sync(names) {
      await storage.sync(names);
      for (const name of names) operations.push({ kind: "sync", name });
    },
    async remove(names) {
      for (const name of names) {
        operations.push({ kind: "remove", name });
        await storage.remove([name]);
      }
    },
  };
}

/** The disk after a process was killed: all operations so far, and a part of the next. */
export function afterKill(
  operations: readonly Operation[],
  torn?: { readonly name: string; readonly data: Uint8Array },
): Disk {
  const disk: Disk = new Map();
  for (const operation of operations) {
    if (operation.kind === "write" || operation.kind === "replace") disk.set(operation.name, operation.data);
    if (operation.kind === "remove") disk.delete(operation.name);
  }
  if (torn !== undefined) disk.set(torn.name, torn.data);
  return disk;
}

/** The disk after a loss of power: of each object what was made durable, or anything that was written since. */
export function afterPowerLoss(operations: readonly Operation[], choose: (n: number) => number): Disk {
  const versions = new Map<string, (Uint8Array | undefined)[]>();
  for (const operation of operations) {
    if (operation.kind === "acknowledged") continue;
    const known = versions.get(operation.name) ?? [undefined];
    if (operation.kind === "sync") versions.set(operation.name, [known.at(-1)]);
    else if (operation.kind === "remove") versions.set(operation.name, [...known, undefined]);
    else if (operation.kind === "write" || operation.kind === "replace") {
      const torn = operation.data.subarray(0, choose(operation.data.length));
      const halves = [torn, new Uint8Array(operation.data.length).fill(0), new Uint8Array()];
      versions.set(operation.name, [...known, halves[choose(halves.length)], operation.data]);
    }
  }
  const disk: Disk = new Map();
  for (const [name, some] of versions) {
    const data = some[choose(some.length)];
    if (data !== undefined) disk.set(name, data);
  }
  return disk;
}

/** How many entries were acknowledged. */
export const acknowledged = (operations: readonly Operation[]): number =>
  operations.reduce((most, one) => (one.kind === "acknowledged" ? Math.max(most, one.count) : most), 0);
