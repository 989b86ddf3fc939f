/// <reference types="node" />
import { createRequire } from "node:module";
import { dirname } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";

// The only part that differs in a browser: where the .wasm files lie.
setWasmPaths(`${dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"))}/`);

export { tf };
export type BackendName = "cpu" | "wasm";

/** A tensor as plain data; `data` is float32 unless `dtype` says otherwise. */
export interface Values {
  readonly shape: number[];
  readonly data: Float32Array;
  readonly dtype?: "float32" | "int32";
}

export async function useBackend(name: BackendName): Promise<void> {
  if (!(await tf.setBackend(name))) throw new Error(`The ${name} backend did not start`);
}

export const toTensor = ({ data, shape, dtype = "float32" }: Values): tf.Tensor =>
  dtype === "int32" ? tf.tensor(Int32Array.from(data), shape, dtype) : tf.tensor(data, shape, dtype);

/** Runs one kernel on the named backend, with plain data in and out. */
export async function runKernel(
  backend: BackendName,
  kernel: string,
  inputs: Record<string, Values>,
  attrs: object,
): Promise<Values> {
  await useBackend(backend);
  return tf.tidy(() => {
    const tensors = Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, toTensor(values)]));
    const result = tf.engine().runKernel(kernel, tensors, attrs as tf.NamedAttrMap) as tf.Tensor;
    return { shape: result.shape, data: Float32Array.from(result.dataSync()) };
  });
}
