import { type Corruption, gaussianBlur, type Picture } from "./picture.ts";

/** The picture gives way to its edges, white on black, as Canny's detector finds them; at the last severity wholly. */
export const cannyEdges: Corruption = (picture, severity) => {
  const edges = canny(picture, 0.1, 0.2);
  const share = (severity + 1) / 5;
  for (const plane of picture.planes) {
    for (let i = 0; i < plane.length; i++) plane[i] = (1 - share) * plane[i]! + share * edges[i]!;
  }
};

/**
 * J. Canny, "A Computational Approach to Edge Detection", 1986: smooth by a Gaussian of one pixel, keep the ridges of the
 * gradient's magnitude (by Sobel's operator), of those the strong ones and the weak ones that hang together with a strong.
 */
function canny({ height, width, planes }: Picture, low: number, high: number): Uint8Array {
  const grey = new Float32Array(height * width);
  for (const plane of planes) for (let i = 0; i < grey.length; i++) grey[i]! += plane[i]! / planes.length;
  gaussianBlur(grey, height, width, 1);
  const [down, right, size] = [0, 1, 2].map(() => new Float32Array(grey.length)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  for (let row = 1; row < height - 1; row++) {
    for (let column = 1; column < width - 1; column++) {
      const at = row * width + column;
      const value = (dy: number, dx: number) => grey[at + dy * width + dx]!;
      down[at] = value(1, -1) + 2 * value(1, 0) + value(1, 1) - value(-1, -1) - 2 * value(-1, 0) - value(-1, 1);
      right[at] = value(-1, 1) + 2 * value(0, 1) + value(1, 1) - value(-1, -1) - 2 * value(0, -1) - value(1, -1);
      size[at] = Math.hypot(down[at]!, right[at]!);
    }
  }
  const ridge = new Uint8Array(grey.length);
  for (let row = 1; row < height - 1; row++) {
    for (let column = 1; column < width - 1; column++) {
      const at = row * width + column;
      if (size[at]! < low) continue;
      // The magnitude a pixel ahead and behind along the gradient, between the two neighbours that it passes.
      const [y, x] = [Math.abs(down[at]!), Math.abs(right[at]!)];
      const [dy, dx] = [Math.sign(down[at]!) * width, Math.sign(right[at]!)];
      const share = y > x ? x / y : y / x;
      const straight = y > x ? dy : dx;
      const beside = (way: number) => (1 - share) * size[at + way * straight]! + share * size[at + way * (dy + dx)]!;
      if (size[at]! >= beside(1) && size[at]! >= beside(-1)) ridge[at] = 1;
    }
  }
  const edges = new Uint8Array(grey.length);
  const open = Array.from(ridge.keys()).filter((at) => ridge[at] === 1 && size[at]! >= high);
  while (open.length > 0) {
    const at = open.pop()!;
    if (edges[at] === 1) continue;
    edges[at] = 1;
    for (const dy of [-width, 0, width]) {
      for (const dx of [-1, 0, 1]) if (ridge[at + dy + dx] === 1 && edges[at + dy + dx] === 0) open.push(at + dy + dx);
    }
  }
  return edges;
}
