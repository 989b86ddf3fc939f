import {
  type Bounds,
  boundsOf,
  checkInput,
  checkNumber,
  exampleKeys,
  expected,
  type NdArray,
  type Rng,
  sizeOf,
} from "@parapet/core";
import { glassBlur, motionBlur } from "./corruptions/blur.ts";
import { cannyEdges } from "./corruptions/edges.ts";
import { rotate, scale, shear, translate } from "./corruptions/geometry.ts";
import { dottedLine, zigzag } from "./corruptions/lines.ts";
import { impulseNoise, shotNoise } from "./corruptions/noise.ts";
import type { Corruption, Picture } from "./corruptions/picture.ts";
import { brightness, fog, spatter, stripe } from "./corruptions/weather.ts";
import { type ImageLayout, imageGeometry } from "./shared/image.ts";

const kinds = {
  "shot-noise": shotNoise,
  "impulse-noise": impulseNoise,
  "glass-blur": glassBlur,
  "motion-blur": motionBlur,
  shear,
  scale,
  rotate,
  brightness,
  translate,
  stripe,
  fog,
  spatter,
  "dotted-line": dottedLine,
  zigzag,
  "canny-edges": cannyEdges,
} satisfies Readonly<Record<string, Corruption>>;

/** The kinds of corruption that `corrupt` knows. */
export type CorruptionKind = keyof typeof kinds;

/**
 * The 15 kinds of corruption, in the order of MNIST-C.
 *
 * @example
 * ```ts
 * import { corruptionKinds } from "@parapet/attacks";
 * console.log(corruptionKinds.length, corruptionKinds[0]); // => 15 shot-noise
 * ```
 */
export const corruptionKinds: readonly CorruptionKind[] = /* @__PURE__ */ Object.keys(kinds) as CorruptionKind[];

/** Options of `corrupt`. */
export interface CorruptOptions {
  readonly kind: CorruptionKind;
  /** 1, the mildest, to 5. */
  readonly severity: 1 | 2 | 3 | 4 | 5;
  /** Where noise, angles and places are drawn from. */
  readonly rng: Rng;
  /** Where the channels are; guessed from the shape by default (last if the last axis has 1, 3 or 4, else first). */
  readonly layout?: ImageLayout;
  /** Black and white; default 0 and 1. */
  readonly bounds?: Bounds;
}

/**
 * Images as they come from bad sensors, weather and scribbles: 15 kinds of common corruption at 5 severities. No attack:
 * nobody looks for the worst. The accuracy on them, by kind and severity, tells how a model fares with what nobody planned.
 *
 * An image's corruption depends on the generator, the kind and the image, not on the batch; the draws are the same at
 * every severity. Lengths are those of MNIST's 28 pixels, and grow with the image.
 *
 * @param x - images `[n, height, width]`, `[n, height, width, channels]` or `[n, channels, height, width]`
 * @param options - kind, severity, generator
 * @returns the corrupted images, in the shape of x, inside the bounds
 * @throws TypeError when there is no such kind, or x holds no images
 * @throws RangeError when the severity is none of 1 to 5, or a value lies outside the bounds
 *
 * @example
 * ```ts
 * import { createRng, ndArray } from "@parapet/core";
 * import { corrupt } from "@parapet/attacks";
 * const grey = ndArray(new Float32Array(28 * 28).fill(0.5), [1, 28, 28]);
 * const bright = corrupt(grey, { kind: "brightness", severity: 2, rng: createRng(0) });
 * console.log(bright.data[0]!.toFixed(2)); // => 0.70
 * ```
 *
 * Source: N. Mu and J. Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision", 2019,
 * https://arxiv.org/abs/1906.02337, the kinds of table 1, with the parameters of https://github.com/google-research/mnist-c.
 * Differences from it: the numbers are drawn by other generators, so images are like theirs, not equal to them; stripe,
 * dotted-line, zigzag and canny-edges have one severity there, which is 5 here for stripe (bands of a quarter each) and
 * canny-edges (a blend below), and 1 for the lines (as many as the severity says); fog is thicker at 4, and spatter has
 * more of the same blots at 4 and 5, because theirs are milder there than at 3; motion-blur reads whole pixels;
 * brightness adds to every channel of a colour image, and edges are those of the mean channel; no photographs are used.
 */
export function corrupt(x: NdArray, options: CorruptOptions): NdArray {
  const { kind, severity, rng, layout, bounds = { lower: 0, upper: 1 } } = options;
  if (!Object.hasOwn(kinds, kind)) throw new TypeError(expected("kind", `one of ${corruptionKinds.join(", ")}`, kind));
  checkNumber("severity", severity, { min: 1, max: 5, integer: true });
  if (typeof rng?.derive !== "function") {
    throw new TypeError(expected("rng", "an Rng, such as createRng(seed)", rng));
  }
  const inputShape = Array.isArray(x?.shape) ? x.shape.slice(1) : [];
  const images = checkInput({ inputShape, bounds }, x);
  const { height, width, channels, rowStride, columnStride, channelStride } = imageGeometry(inputShape, layout);
  const size = sizeOf(inputShape);
  const { lower, upper } = boundsOf(bounds, size);
  const n = images.shape[0]!;
  const keys = exampleKeys(images, new Int32Array(n));
  const stream = rng.derive("corrupt").derive(kind);
  const data = new Float32Array(images.data.length);
  const feature = (channel: number, row: number, column: number) =>
    channel * channelStride + row * rowStride + column * columnStride;
  for (let i = 0; i < n; i++) {
    const from = i * size;
    const planes = Array.from({ length: channels }, (_, channel) =>
      Float32Array.from({ length: height * width }, (_, at) => {
        const j = feature(channel, Math.floor(at / width), at % width);
        const range = upper[j]! - lower[j]!;
        return range === 0 ? 0 : (images.data[from + j]! - lower[j]!) / range;
      }),
    );
    const picture: Picture = { height, width, planes };
    kinds[kind](picture, severity - 1, stream.derive(keys[i]!));
    planes.forEach((plane, channel) => {
      plane.forEach((value, at) => {
        const j = feature(channel, Math.floor(at / width), at % width);
        const inside = lower[j]! + Math.max(0, Math.min(1, value)) * (upper[j]! - lower[j]!);
        data[from + j] = Math.max(lower[j]!, Math.min(upper[j]!, inside));
      });
    });
  }
  return { dtype: "float32", shape: [...images.shape], data };
}
