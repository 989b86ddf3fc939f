import { type Corruption, type Picture, pixel } from "./picture.ts";

/** A dotted line across the picture; one more with every step of severity. */
export const dottedLine: Corruption = (picture, severity, rng) => {
  const { width, height } = picture;
  const dot = Math.max(1, Math.round(2 * pixel(picture)));
  for (let line = 0; line <= severity; line++) {
    const [start, end] = [rng.next() * (height - 1), rng.next() * (height - 1)];
    stroke(picture, 0, start, width - 1, end, (column) => Math.floor(column / dot) % 2 === 1);
  }
};

/** A zigzag across the picture; one more with every step of severity. */
export const zigzag: Corruption = (picture, severity, rng) => {
  const { width, height } = picture;
  const unit = pixel(picture);
  const [left, right, size] = [2 * unit, width - 1 - 2 * unit, 2 * unit];
  for (let line = 0; line <= severity; line++) {
    const start = rng.next() * (height - 1);
    const slope = ((2 * rng.next() - 1) * 5 * unit) / (right - left);
    const length = Math.hypot(right - left, slope * (right - left));
    const [cos, sin] = [(right - left) / length, (slope * (right - left)) / length];
    /** From (along, across) the line's own axes to the picture's. */
    const point = (along: number, across: number) => [
      left + cos * along - sin * across,
      start + sin * along + cos * across,
    ];
    let before = point(0, 0);
    for (let i = 0; before[0]! < right && i < width; i++) {
      const along = Math.min(length, (2 * i + 1) * size);
      const next = point(along, along === length ? 0 : i % 2 === 0 ? size : -size);
      stroke(picture, before[0]!, before[1]!, next[0]!, next[1]!, () => true);
      before = next;
      if (along === length) break;
    }
  }
};

/** Draws a line from left to right that fades with the vertical distance d as `log(1 - d / 2.3) + 1`. */
function stroke(
  picture: Picture,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  drawn: (column: number) => boolean,
): void {
  const { height, width, planes } = picture;
  if (x1 <= x0) return;
  const reach = 2.3 * pixel(picture);
  const slope = (y1 - y0) / (x1 - x0);
  for (let column = Math.max(0, Math.floor(x0)); column < Math.min(width, Math.ceil(x1)); column++) {
    if (!drawn(column)) continue;
    const middle = y0 + slope * (column - x0);
    for (let row = Math.max(0, Math.ceil(middle - reach)); row < Math.min(height, middle + reach); row++) {
      const ink = Math.max(0, Math.log(1 - Math.abs(row - middle) / reach) + 1);
      for (const plane of planes) plane[row * width + column] = Math.min(1, plane[row * width + column]! + ink);
    }
  }
}
