/// <reference types="vite/client" />
/// <reference types="onnxruntime-web" />
import asyncify from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import type { OnnxRuntime, SessionOptions } from "../../src/index.ts";
import { mlp } from "./networks.ts";

/** Where graphs run. */
export type Setting = "node" | "wasm" | "wasm, 2 threads" | "webgpu";

/** What `fromOnnx` is told there. */
export interface Place {
  readonly runtime: OnnxRuntime;
  readonly session: SessionOptions;
}

/** The setting of a test that runs in Node and in a browser. */
export const here: Setting = typeof window === "undefined" ? "node" : "wasm";

/**
 * Starts onnxruntime, or throws: a test must never run on another provider than it says. A page has one number of
 * threads, the first, for good.
 */
export async function start(setting: Setting): Promise<Place> {
  if (setting === "node") return { runtime: await import("onnxruntime-node"), session: { intraOpNumThreads: 1 } };
  const gpu = setting === "webgpu";
  const runtime = gpu ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  const threads = setting === "wasm, 2 threads" ? 2 : 1;
  runtime.env.wasm.numThreads = threads;
  runtime.env.wasm.wasmPaths = { wasm: gpu ? asyncify : wasm };
  const session = gpu ? { executionProviders: ["webgpu"], logSeverityLevel: 3 as const } : {};

  // What onnxruntime says is not all that is asked: threads are workers, and a GPU is given work.
  const workers = count(globalThis, "Worker");
  const submits = count((globalThis as { GPUQueue?: { prototype: object } }).GPUQueue?.prototype ?? {}, "submit");
  // Never released: with the last session go all shaders that have been compiled.
  const trial = await runtime.InferenceSession.create(mlp(), session);
  await trial.run({ x: new runtime.Tensor("float32", new Float32Array(12), [2, 6]) });
  const found = `${runtime.env.wasm.numThreads} threads, ${workers()} workers, ${submits()} times the GPU`;
  const ready = runtime.env.wasm.numThreads === threads && workers() === threads - 1 && submits() > 0 === gpu;
  if (!ready) throw new Error(`"${setting}" expected, got ${found}`);
  return { runtime, session };
}

/** Counts calls of a function until it is asked how many there were. */
function count(owner: object, name: string): () => number {
  const holder = owner as Record<string, unknown>;
  const original = holder[name];
  let calls = 0;
  if (typeof original === "function") {
    holder[name] = new Proxy(original, {
      apply(target, self, args) {
        calls++;
        return Reflect.apply(target, self, args);
      },
      construct(target, args) {
        calls++;
        return Reflect.construct(target, args);
      },
    });
  }
  return () => {
    holder[name] = original;
    return calls;
  };
}
