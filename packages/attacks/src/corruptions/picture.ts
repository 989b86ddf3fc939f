import type { Rng } from "@parapet/core";

/** One image with values in [0, 1], a plane for each channel; element (row, column) lies at `row * width + column`. */
export interface Picture {
  readonly height: number;
  readonly width: number;
  readonly planes: readonly Float32Array[];
}

/** Changes the picture in place. `severity` counts from 0, the mildest, to 4; what leaves [0, 1] is clipped afterwards. */
export type Corruption = (picture: Picture, severity: number, rng: Rng) => void;

/** Lengths are given for the 28 pixels of an MNIST image; here is what one of those is in this picture. */
export function pixel({ height, width }: Picture): number {
  return Math.min(height, width) / 28;
}

/** Blurs a plane by a Gaussian, cut at 4 standard deviations; the border's values go on outside. */
export function gaussianBlur(plane: Float32Array, height: number, width: number, sigma: number): void {
  const radius = Math.ceil(4 * sigma);
  const taps = Float64Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-0.5 * ((i - radius) / sigma) ** 2));
  const sum = taps.reduce((total, tap) => total + tap, 0);
  const line = new Float64Array(Math.max(height, width));
  const along = (start: number, stride: number, length: number): void => {
    for (let i = 0; i < length; i++) line[i] = plane[start + i * stride]!;
    for (let i = 0; i < length; i++) {
      let total = 0;
      for (let t = -radius; t <= radius; t++) {
        total += taps[t + radius]! * line[Math.max(0, Math.min(length - 1, i + t))]!;
      }
      plane[start + i * stride] = total / sum;
    }
  };
  for (let row = 0; row < height; row++) along(row * width, 1, width);
  for (let column = 0; column < width; column++) along(column, width, height);
}
