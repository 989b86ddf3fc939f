import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";
import { registerFastGradients } from "@parapet/tfjs/fast-wasm";
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";

/** Sets the wasm backend, with gradients that are fast enough to train on. */
export async function useFastWasm(): Promise<void> {
  const folder = dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json"));
  setWasmPaths(join(folder, "dist") + sep);
  await tf.setBackend("wasm");
  await tf.ready();
  registerFastGradients();
}
