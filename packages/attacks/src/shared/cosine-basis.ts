/** The discrete cosine transform's basis of an image, one channel at a time. */
export interface CosineBasis {
  /** Rows, columns and channels of the image. */
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Adds `amount` times the basis image of two frequencies in one channel; it has l2 length 1. */
  add(out: Float32Array, vertical: number, horizontal: number, channel: number, amount: number): void;
}

/**
 * The cosine basis of examples that are images: two axes, or three of which the last (or else the first) holds at most four
 * channels. Undefined for other shapes.
 */
export function cosineBasis(shape: readonly number[]): CosineBasis | undefined {
  const [a = 0, b = 0, c = 0] = shape;
  let layout: { height: number; width: number; channels: number; across: number; apart: number };
  if (shape.length === 2) layout = { height: a, width: b, channels: 1, across: 1, apart: 0 };
  else if (shape.length !== 3) return undefined;
  else if (c <= 4) layout = { height: a, width: b, channels: c, across: c, apart: 1 };
  else if (a <= 4) layout = { height: b, width: c, channels: a, across: 1, apart: b * c };
  else return undefined;
  const { height, width, channels, across, apart } = layout;
  const waves = (length: number): Float32Array =>
    Float32Array.from({ length: length * length }, (_, at) => {
      const [frequency, place] = [Math.floor(at / length), at % length];
      const scale = Math.sqrt((frequency === 0 ? 1 : 2) / length);
      return scale * Math.cos((Math.PI * frequency * (2 * place + 1)) / (2 * length));
    });
  const [down, over] = [waves(height), waves(width)];
  return {
    height,
    width,
    channels,
    add(out, vertical, horizontal, channel, amount) {
      for (let y = 0; y < height; y++) {
        const high = amount * down[vertical * height + y]!;
        const line = channel * apart + y * width * across;
        for (let x = 0; x < width; x++) out[line + x * across]! += high * over[horizontal * width + x]!;
      }
    },
  };
}
