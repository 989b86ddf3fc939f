import { attribute } from "../../graph.ts";
import type { LayerContext, LayerConverter } from "../context.ts";
import { longest, showShape } from "../value.ts";
import { asImage } from "./windows.ts";

/** Layers that pad, crop, enlarge and rescale images. */
export const imageLayers: Readonly<Record<string, LayerConverter>> = {
  ZeroPadding2D(context, [x]) {
    const image = asImage(context, x!, 2);
    const [rows, columns] = margins(context, "padding", 1);
    const pads = [0, 0, rows[0], columns[0], 0, 0, rows[1], columns[1]];
    const name = context.b.add("Pad", [image.name, context.b.int64(pads)]);
    const [height, width] = image.spatial;
    const grown = (length: number | undefined, [before, after]: Margin) =>
      length === undefined ? undefined : length + before + after;
    return image.wrap(name, image.channels, [grown(height, rows), grown(width, columns)]);
  },

  Cropping2D(context, [x]) {
    const { b, config } = context;
    const image = asImage(context, x!, 2);
    const crops = margins(context, "cropping", undefined);
    const spatial = image.spatial.map((length, i) =>
      length === undefined ? undefined : length - crops[i]![0] - crops[i]![1],
    );
    if (spatial.some((length) => length !== undefined && length < 1)) {
      throw config.malformed("cropping", `less than the image ${showShape(image.spatial)}`, config.get("cropping"));
    }
    const starts = b.int64(crops.map(([before]) => before));
    const ends = b.int64(crops.map(([, after]) => (after === 0 ? 2 ** 31 - 1 : -after)));
    const name = b.add("Slice", [image.name, starts, ends, b.int64([2, 3])]);
    return image.wrap(name, image.channels, spatial);
  },

  UpSampling2D(context, [x]) {
    const { b, config } = context;
    const image = asImage(context, x!, 2);
    const size = config.integers("size", 2, 1, 2);
    const bilinear = config.choice("interpolation", ["nearest", "bilinear"], "nearest") === "bilinear";
    const scales = b.constant({ dtype: "float32", shape: [4], data: Float32Array.of(1, 1, ...size) });
    const name = b.add("Resize", [image.name, "", scales], {
      mode: attribute.string(bilinear ? "linear" : "nearest"),
      coordinate_transformation_mode: attribute.string("asymmetric"),
      ...(bilinear ? {} : { nearest_mode: attribute.string("floor") }),
    });
    const spatial = image.spatial.map((length, i) => (length === undefined ? undefined : length * size[i]!));
    return image.wrap(name, image.channels, spatial);
  },

  Rescaling({ b, config }, [x]) {
    const scaled = b.add("Mul", [x!.name, b.scalar(config.number("scale", 1))]);
    const offset = config.number("offset", 0);
    return { ...x!, name: offset === 0 ? scaled : b.add("Add", [scaled, b.scalar(offset)]) };
  },
};

type Margin = readonly [before: number, after: number];

/** Margins of rows and columns: one number, two, or two pairs. */
function margins({ config }: LayerContext, setting: string, fallback: number | undefined): readonly [Margin, Margin] {
  const value = config.get(setting) ?? fallback;
  const pair = (entry: unknown): Margin => {
    const [before, after, ...more] = Array.isArray(entry) ? entry : [entry, entry];
    for (const count of [before, after]) {
      if (!Number.isInteger(count) || count < 0 || count > longest || more.length > 0) {
        throw config.malformed(setting, "whole numbers >= 0", value);
      }
    }
    return [before, after];
  };
  if (!Array.isArray(value)) return [pair(value), pair(value)];
  if (value.length !== 2) throw config.malformed(setting, "rows and columns", value);
  return [pair(value[0]), pair(value[1])];
}
