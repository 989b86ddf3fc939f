import { type Corruption, gaussianBlur, pixel } from "./picture.ts";

/** As through frosted glass: blurred, pixels swapped with near ones, blurred again. */
export const glassBlur: Corruption = (picture, severity, rng) => {
  const { height, width, planes } = picture;
  const unit = pixel(picture);
  const [sigma, far, times] = [
    [0.7, 1, 2],
    [0.9, 2, 1],
    [1, 2, 3],
    [1.1, 3, 2],
    [1.5, 4, 2],
  ][severity]! as [number, number, number];
  const reach = Math.max(1, Math.round(far * unit));
  for (const plane of planes) gaussianBlur(plane, height, width, sigma * unit);
  for (let time = 0; time < times; time++) {
    for (let row = height - reach - 1; row >= reach; row--) {
      for (let column = width - reach - 1; column >= reach; column--) {
        const swap = rng.next() < 0.5;
        const [down, right] = [rng.integer(2 * reach) - reach, rng.integer(2 * reach) - reach];
        if (!swap) continue;
        const [here, there] = [row * width + column, (row + down) * width + column + right];
        for (const plane of planes) [plane[here], plane[there]] = [plane[there]!, plane[here]!];
      }
    }
  }
  for (const plane of planes) gaussianBlur(plane, height, width, sigma * unit);
};

/** As if the camera moved, along a line at -45 to 45 degrees, with half a Gaussian of weights. */
export const motionBlur: Corruption = (picture, severity, rng) => {
  const { height, width, planes } = picture;
  const unit = pixel(picture);
  const [radius, sigma] = [
    [10, 3],
    [15, 5],
    [15, 8],
    [15, 12],
    [20, 15],
  ][severity]! as [number, number];
  const angle = ((2 * rng.next() - 1) * Math.PI) / 4;
  const taps = Array.from({ length: 2 * Math.max(1, Math.round(radius * unit)) + 1 }, (_, i) => ({
    weight: Math.exp(-0.5 * (i / (sigma * unit)) ** 2),
    down: Math.round(i * Math.sin(angle)),
    right: Math.round(i * Math.cos(angle)),
  }));
  const sum = taps.reduce((total, { weight }) => total + weight, 0);
  const within = (index: number, length: number) => Math.max(0, Math.min(length - 1, index));
  for (const plane of planes) {
    const source = plane.slice();
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        let total = 0;
        for (const { weight, down, right } of taps) {
          total += weight * source[within(row + down, height) * width + within(column + right, width)]!;
        }
        plane[row * width + column] = total / sum;
      }
    }
  }
};
