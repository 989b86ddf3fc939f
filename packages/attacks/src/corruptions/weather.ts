import type { Rng } from "@parapet/core";
import { type Corruption, gaussianBlur, type Picture, pixel } from "./picture.ts";

/** Every value raised by the same amount. */
export const brightness: Corruption = ({ planes }, severity) => {
  const more = [0.1, 0.2, 0.3, 0.4, 0.5][severity]!;
  for (const plane of planes) for (let i = 0; i < plane.length; i++) plane[i]! += more;
};

/** Bands at the left and right side, inverted; together up to half of the picture. */
export const stripe: Corruption = ({ height, width, planes }, severity) => {
  const band = Math.round([0.05, 0.1, 0.15, 0.2, 0.25][severity]! * width);
  for (const plane of planes) {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < band; column++) {
        for (const at of [row * width + column, (row + 1) * width - 1 - column]) plane[at] = 1 - plane[at]!;
      }
    }
  }
};

/** A fractal cloud in front of the picture, which pales. */
export const fog: Corruption = (picture, severity, rng) => {
  const [thickness, decay] = [
    [1.5, 2],
    [2, 2],
    [2.5, 1.7],
    [2.75, 1.5],
    [3, 1.4],
  ][severity]! as [number, number];
  const { height, width, planes } = picture;
  // As in the original, the picture shows a corner of a cloud about nine times as wide.
  const size = 2 ** Math.ceil(Math.log2(8 * Math.max(height, width)));
  const cloud = plasma(size, decay, rng);
  const white = planes.reduce((most, plane) => plane.reduce((top, value) => Math.max(top, value), most), 0);
  for (const plane of planes) {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const value = plane[row * width + column]! + thickness * cloud[row * size + column]!;
        plane[row * width + column] = (value * white) / (white + thickness);
      }
    }
  }
};

/** Blots of mud. */
export const spatter: Corruption = (picture, severity, rng) => {
  const [mean, deviation, grain, threshold, edge] = [
    [0.65, 0.3, 4, 0.69, 0.6],
    [0.65, 0.3, 3, 0.68, 0.6],
    [0.65, 0.3, 2, 0.68, 0.5],
    [0.65, 0.3, 2, 0.66, 0.5],
    [0.65, 0.3, 2, 0.64, 0.5],
  ][severity]! as [number, number, number, number, number];
  const { height, width, planes } = picture;
  const unit = pixel(picture);
  // Drawn at the grain of MNIST, so that blots are as large, as a share of the picture, whatever its size.
  const blots = enlarged(picture, Math.max(1, unit), (rows, columns) => {
    const liquid = Float32Array.from({ length: rows * columns }, () => mean + deviation * rng.normal());
    gaussianBlur(liquid, rows, columns, grain);
    const mud = liquid.map((value) => Number(value > threshold));
    gaussianBlur(mud, rows, columns, edge);
    return mud.map((value) => (value < 0.8 ? 0 : value));
  });
  for (const plane of planes) {
    for (let i = 0; i < height * width; i++) plane[i] = plane[i]! * (1 - blots[i]!) + (63 / 255) * blots[i]!;
  }
};

/** A plane drawn on a grid `unit` times coarser than the picture, each cell spread over its pixels. */
function enlarged(
  { height, width }: Picture,
  unit: number,
  draw: (rows: number, columns: number) => Float32Array,
): Float32Array {
  const [rows, columns] = [Math.ceil(height / unit), Math.ceil(width / unit)];
  const coarse = draw(rows, columns);
  return Float32Array.from({ length: height * width }, (_, i) => {
    const [row, column] = [Math.floor(i / width), i % width];
    return coarse[Math.floor(row / unit) * columns + Math.floor(column / unit)]!;
  });
}

/**
 * A height map in [0, 1] on a square that wraps around, by midpoint displacement: squares get their middle, then
 * diamonds theirs, the mean of four corners and a random step that shrinks by `decay` from one size to the next.
 */
function plasma(size: number, decay: number, rng: Rng): Float64Array {
  const map = new Float64Array(size * size);
  const at = (row: number, column: number) => map[(row & (size - 1)) * size + (column & (size - 1))]!;
  let wobble = 100;
  for (let step = size; step >= 2; step /= 2) {
    const half = step / 2;
    const place = (row: number, column: number, sum: number): void => {
      map[row * size + column] = sum / 4 + wobble * wobble * (2 * rng.next() - 1);
    };
    for (let row = half; row < size; row += step) {
      for (let column = half; column < size; column += step) {
        const above = at(row - half, column - half) + at(row - half, column + half);
        place(row, column, above + at(row + half, column - half) + at(row + half, column + half));
      }
    }
    for (let row = 0; row < size; row += half) {
      for (let column = (row + half) % step; column < size; column += step) {
        const beside = at(row, column - half) + at(row, column + half);
        place(row, column, beside + at(row - half, column) + at(row + half, column));
      }
    }
    wobble /= decay;
  }
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of map) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return map.map((value) => (value - low) / (high - low));
}
