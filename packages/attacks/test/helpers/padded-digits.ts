import { type DifferentiableClassifier, type NdArray, ndArray } from "@parapet/core";
import vectors from "../vectors/minimum-norm.json" with { type: "json" };
import { denseModel } from "./dense.ts";
import { digits, labels } from "./digits.ts";

const floats = (text: string) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

/** Rows of 14 x 14 as rows of 15 x 15, with a row and a column that are 0: see `vectors/generate-autoattack.py`. */
function padded(rows: Float32Array): Float32Array {
  const n = rows.length / 196;
  const out = new Float32Array(n * 225);
  for (let at = 0; at < rows.length; at++) {
    const [i, pixel] = [Math.floor(at / 196), at % 196];
    out[i * 225 + Math.floor(pixel / 14) * 15 + (pixel % 14)] = rows[at]!;
  }
  return out;
}

const [first, ...others] = vectors.weights.map(({ weight, bias }) => ({ weight: floats(weight), bias: floats(bias) }));

/** The network of digits, as one for images of 15 x 15. */
export const paddedModel: DifferentiableClassifier = {
  ...denseModel([{ weight: padded(first!.weight), bias: first!.bias }, ...others]),
  inputShape: [15, 15],
};
export const paddedDigits: NdArray = ndArray(padded(digits.data), [labels.length, 15, 15]);
export { labels };
