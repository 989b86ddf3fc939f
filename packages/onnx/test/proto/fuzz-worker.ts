import { parentPort, workerData } from "node:worker_threads";
import { readModel } from "../../src/proto/read.ts";
import { ARRAYS } from "../../src/proto/types.ts";
import { writeModel } from "../../src/proto/write.ts";
import { createRandom, mutate } from "./mutate.ts";

/** What the worker is told, and what it answers. */
export interface FuzzTask {
  readonly seeds: readonly Uint8Array[];
  readonly count: number;
  readonly seed: number;
}
export interface FuzzReport {
  readonly decoded: number;
  readonly refused: Readonly<Record<string, number>>;
  /** The most bytes that were allocated for one array, per byte of its file. */
  readonly worstRatio: number;
  /** The longest that one file took, in milliseconds. */
  readonly slowest: number;
  /** The first file that came out wrong. */
  readonly failure: { readonly why: string; readonly file: string } | undefined;
}

// The memory of typed arrays lies outside of the heap that a worker's limit covers: it is counted as it is asked for.
let allocated = 0;
const arrays = ARRAYS as unknown as Record<string, new (...values: unknown[]) => ArrayBufferView>;
for (const [dtype, original] of Object.entries(arrays)) {
  arrays[dtype] = new Proxy(original, {
    construct(target, values) {
      if (typeof values[0] === "number") allocated = Math.max(allocated, values[0] * ARRAYS.float64.BYTES_PER_ELEMENT);
      return Reflect.construct(target, values);
    },
  });
}

function fuzz({ seeds, count, seed }: FuzzTask): FuzzReport {
  const random = createRandom(seed);
  const refused: Record<string, number> = {};
  let decoded = 0;
  let worstRatio = 0;
  let slowest = 0;
  for (let i = 0; i < count; i++) {
    const file = mutate(seeds[random(seeds.length)]!, seeds[random(seeds.length)]!, random);
    const start = performance.now();
    allocated = 0;
    let why = "";
    try {
      const model = readModel(file);
      decoded++;
      const written = writeModel(model);
      if (Buffer.compare(writeModel(readModel(written)), written) !== 0) why = "written differently the second time";
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (["onnx/malformed", "onnx/unsupported", "onnx/too-large"].includes(code ?? "") && message.length < 2000) {
        refused[code!] = (refused[code!] ?? 0) + 1;
      } else why = String((error as Error).stack);
    }
    slowest = Math.max(slowest, performance.now() - start);
    worstRatio = Math.max(worstRatio, allocated / Math.max(1, file.length));
    if (why !== "")
      return { decoded, refused, worstRatio, slowest, failure: { why, file: Buffer.from(file).toString("hex") } };
  }
  return { decoded, refused, worstRatio, slowest, failure: undefined };
}

parentPort!.postMessage(fuzz(workerData as FuzzTask));
