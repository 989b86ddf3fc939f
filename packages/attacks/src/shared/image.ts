import { expected } from "@parapet/core";

/** Where the axis of the channels is. */
export type ImageLayout = "channels-first" | "channels-last";

/** One example as an image: element (row, column, channel) lies at `row * rowStride + column * columnStride + channel * channelStride`. */
export interface ImageGeometry {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly rowStride: number;
  readonly columnStride: number;
  readonly channelStride: number;
  /** The axis of the rows in the shape of one example: 1 where the channels are first. */
  readonly rowAxis: 0 | 1;
}

/**
 * How one example of a shape is an image. Two axes are [height, width]. Of three, the channels are first or last, as
 * `layout` says; by default last where the last axis has 1, 3 or 4 entries, else first where the first has.
 *
 * @throws TypeError when the shape is no image's, or the layout cannot be guessed
 */
export function imageGeometry(inputShape: readonly number[], layout?: ImageLayout): ImageGeometry {
  if (layout !== undefined && layout !== "channels-first" && layout !== "channels-last") {
    throw new TypeError(expected("layout", '"channels-first" or "channels-last"', layout));
  }
  const [a = 0, b = 0, c = 0] = inputShape;
  if (inputShape.length === 2) {
    return { height: a, width: b, channels: 1, rowStride: b, columnStride: 1, channelStride: a * b, rowAxis: 0 };
  }
  if (inputShape.length !== 3) {
    throw new TypeError(expected("inputShape", "[height, width], or with one axis of channels", inputShape));
  }
  const colours = (axis: number) => axis === 1 || axis === 3 || axis === 4;
  const kind = layout ?? (colours(c) ? "channels-last" : colours(a) ? "channels-first" : undefined);
  if (kind === undefined) throw new TypeError(expected("layout", `one for images of shape [${inputShape}]`, layout));
  return kind === "channels-last"
    ? { height: a, width: b, channels: c, rowStride: b * c, columnStride: c, channelStride: 1, rowAxis: 0 }
    : { height: b, width: c, channels: a, rowStride: c, columnStride: 1, channelStride: b * c, rowAxis: 1 };
}

/**
 * A plane map `(row, column) -> (a row + b column + c, d row + e column + f)`, of what is drawn to where it is read.
 */
export type PlaneMap = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/**
 * The map that, given to `warp`, turns an image counter-clockwise by `degrees` about its middle, stretches it by `zoom`,
 * and then moves it down and right by pixels.
 */
export function similarity(
  { height, width }: Pick<ImageGeometry, "height" | "width">,
  { degrees = 0, down = 0, right = 0, zoom = 1 },
): PlaneMap {
  // Exact where a quarter turn should be.
  const [cos, sin] = [90, 180, 270, 0].includes(((degrees % 360) + 360) % 360)
    ? [Math.round(Math.cos((degrees * Math.PI) / 180)), Math.round(Math.sin((degrees * Math.PI) / 180))]
    : [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return about({ height, width }, [cos / zoom, sin / zoom, -sin / zoom, cos / zoom], down, right);
}

/** A linear map that keeps the middle of the image in place, after a move. */
export function about(
  { height, width }: Pick<ImageGeometry, "height" | "width">,
  [a, b, d, e]: readonly [number, number, number, number],
  down = 0,
  right = 0,
): PlaneMap {
  const [y, x] = [(height - 1) / 2, (width - 1) / 2];
  return [a, b, y - a * (y + down) - b * (x + right), d, e, x - d * (y + down) - e * (x + right)];
}

/**
 * Draws an image as seen through a plane map: every target pixel is read, by bilinear interpolation, where the map sends
 * it. What lies outside reads as `fill` of the feature at the target.
 */
export function warp(
  source: Float32Array,
  target: Float32Array,
  geometry: ImageGeometry,
  map: PlaneMap,
  fill: (feature: number) => number,
): void {
  const { height, width, channels, rowStride, columnStride, channelStride } = geometry;
  const [a, b, c, d, e, f] = map;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const y = snapped(a * row + b * column + c);
      const x = snapped(d * row + e * column + f);
      const top = Math.floor(y);
      const left = Math.floor(x);
      const down = y - top;
      const right = x - left;
      const to = row * rowStride + column * columnStride;
      const from = top * rowStride + left * columnStride;
      const upper = top >= 0 && top < height ? 1 - down : 0;
      const lower = top >= -1 && top < height - 1 ? down : 0;
      const first = left >= 0 && left < width ? 1 - right : 0;
      const second = left >= -1 && left < width - 1 ? right : 0;
      const outside = 1 - (upper + lower) * (first + second);
      for (let channel = 0; channel < channels; channel++) {
        const at = from + channel * channelStride;
        let sum = 0;
        if (upper > 0 && first > 0) sum += upper * first * source[at]!;
        if (upper > 0 && second > 0) sum += upper * second * source[at + columnStride]!;
        if (lower > 0 && first > 0) sum += lower * first * source[at + rowStride]!;
        if (lower > 0 && second > 0) sum += lower * second * source[at + rowStride + columnStride]!;
        const feature = to + channel * channelStride;
        if (outside > 0) sum += outside * fill(feature);
        target[feature] = sum;
      }
    }
  }
}

/** A coordinate that is whole but for rounding is whole: a move by whole pixels and a quarter turn are exact. */
function snapped(value: number): number {
  const whole = Math.round(value);
  return Math.abs(value - whole) < 1e-9 ? whole : value;
}
