import { concatBytes } from "@parapet/attestation";

interface Waiting {
  readonly block: Uint8Array;
  readonly count: number;
  readonly resolve: (index: number) => void;
  readonly reject: (error: unknown) => void;
}

/** One step takes no more than this together, or what a single caller brought. */
const MAX_STEP = 32 * 1024 * 1024;

/** Lets callers wait together: whoever comes while one step is under way goes into the next. */
export interface Groups {
  /** The index of the first entry of the block. */
  readonly add: (block: Uint8Array, count: number) => Promise<number>;
  /** Resolves when nobody waits. */
  readonly idle: () => Promise<void>;
}

/** Makes groups; `step` appends a block and says at which index. */
export function createGroups(step: (block: Uint8Array, count: number) => Promise<number>): Groups {
  let queue: Waiting[] = [];
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    while (queue.length > 0) {
      const group: Waiting[] = [];
      let bytes = 0;
      let count = 0;
      for (const one of queue) {
        if (group.length > 0 && bytes + one.block.length > MAX_STEP) break;
        group.push(one);
        bytes += one.block.length;
        count += one.count;
      }
      queue = queue.slice(group.length);
      try {
        const block = group.length === 1 ? group[0]!.block : concatBytes(...group.map((one) => one.block));
        let index = await step(block, count);
        for (const one of group) {
          one.resolve(index);
          index += one.count;
        }
      } catch (error) {
        for (const one of group) one.reject(error);
      }
    }
    running = undefined;
  }

  return {
    add: (block, count) =>
      new Promise((resolve, reject) => {
        queue.push({ block, count, resolve, reject });
        running ??= Promise.resolve().then(run);
      }),
    idle: async () => running,
  };
}
