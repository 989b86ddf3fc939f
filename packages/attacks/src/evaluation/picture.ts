import { base64 } from "./bytes.ts";

/**
 * A picture as a data URI (BMP, 24 bits: no compression to bring along, and every browser reads it).
 *
 * @param color - red, green and blue in [0, 255] of the pixel in row y, column x
 */
export function picture(
  width: number,
  height: number,
  color: (y: number, x: number) => readonly [number, number, number],
): string {
  const stride = (3 * width + 3) & ~3; // rows are padded to four bytes
  const size = 54 + stride * height;
  const bytes = new Uint8Array(size);
  const header = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]); // "BM"
  header.setUint32(2, size, true);
  header.setUint32(10, 54, true); // where the pixels begin
  header.setUint32(14, 40, true); // the size of the header that follows
  header.setInt32(18, width, true);
  header.setInt32(22, height, true);
  header.setUint16(26, 1, true); // planes
  header.setUint16(28, 24, true); // bits a pixel
  for (let y = 0; y < height; y++) {
    // Rows go from the bottom up, colours from blue to red.
    const at = 54 + (height - 1 - y) * stride;
    for (let x = 0; x < width; x++) bytes.set([...color(y, x)].reverse(), at + 3 * x);
  }
  return `data:image/bmp;base64,${base64(bytes)}`;
}
