import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { type DifferentiableClassifier, type NdArray, sizeOf } from "@parapet/core";
import { fromOnnx, type OnnxClassifier } from "@parapet/onnx";
import * as runtime from "onnxruntime-node";

/** The networks that `train.ts` makes: three trainings of a small one, and the one of Madry et al. */
export const networks = { standard: "small", fgsm: "small", pgd: "small", madry: "madry" } as const;

export type NetworkName = keyof typeof networks;

/** Opens a trained network on onnxruntime with one thread, and its weights in their order; undefined where it is not there. */
export async function openNetwork(
  name: NetworkName,
): Promise<{ readonly model: OnnxClassifier; readonly weights: Float32Array } | undefined> {
  const bytes = read(new URL(`${name}.onnx`, import.meta.url));
  if (bytes === undefined) return undefined;
  const session = { intraOpNumThreads: 1 };
  const model = await fromOnnx(bytes, { runtime, bounds: { lower: 0, upper: 1 }, session });
  const { nodes, parameters } = await model.graph();
  const arrays = nodes
    .filter(({ op }) => op === "Conv" || op === "Gemm" || op === "MatMul")
    .flatMap(({ inputs }) => inputs.slice(1).map((input) => parameters.get(input) as NdArray));
  const weights = new Float32Array(arrays.reduce((sum, { shape }) => sum + sizeOf(shape), 0));
  let at = 0;
  for (const { data } of arrays) {
    weights.set(data, at);
    at += data.length;
  }
  return { model, weights };
}

/** The file, or what the compressed file beside it holds. */
function read(file: URL): Uint8Array | undefined {
  if (existsSync(file)) return readFileSync(file);
  const packed = new URL(`${file.href}.gz`);
  return existsSync(packed) ? gunzipSync(readFileSync(packed)) : undefined;
}

/** The largest difference of the logits here and there, to their scale: the two must be the same network. */
export async function difference(
  model: DifferentiableClassifier,
  x: NdArray,
  there: readonly (readonly number[])[],
): Promise<number> {
  const { data } = await model.logits(x);
  const scale = Math.max(1, ...data.map(Math.abs));
  return Math.max(...there.flat().map((logit, i) => Math.abs(logit - data[i]!))) / scale;
}
