/// <reference types="vite/client" />
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import "@tensorflow/tfjs-backend-webgpu";
import plain from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url";
import simd from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url";
import threaded from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url";

export const backends = ["cpu", "wasm", "webgl", "webgpu"] as const;
export type Backend = (typeof backends)[number];

// In Node the files are found beside the package; a page has to be told where they are served. Once is allowed.
if (typeof window !== "undefined") {
  setWasmPaths({
    "tfjs-backend-wasm.wasm": plain,
    "tfjs-backend-wasm-simd.wasm": simd,
    "tfjs-backend-wasm-threaded-simd.wasm": threaded,
  });
}

/** Make `name` the backend of tfjs here (Node has cpu and wasm), or throw: a test must never run on another backend than it says. */
export async function useBackend(name: Backend): Promise<void> {
  const set = await tf.setBackend(name);
  await tf.ready();
  if (!set || tf.getBackend() !== name) throw new Error(`backend "${name}" expected, got "${tf.getBackend()}"`);
}
