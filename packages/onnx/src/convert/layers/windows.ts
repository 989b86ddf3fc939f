import { type Attribute, attribute } from "../../graph.ts";
import type { LayerContext } from "../context.ts";
import { type Length, longest, showShape, type Value } from "../value.ts";

/** An image or a sequence as ONNX's convolutions take it: channels behind the batch. */
export interface Image {
  readonly name: string;
  readonly channels: number;
  /** Lengths of the other axes. */
  readonly spatial: readonly Length[];
  /** The value of a tensor laid out like this one. */
  wrap(name: string, channels: number, spatial: readonly Length[]): Value;
}

/** The layer's input as an image of `rank` spatial axes. */
export function asImage({ config, views }: LayerContext, input: Value, rank: number): Image {
  const { shape } = input;
  if (shape.length !== rank + 2) throw config.malformed("input", `${rank + 2} axes`, showShape(shape));
  const last =
    rank === 1 || config.choice("dataFormat", ["channelsLast", "channelsFirst"], "channelsLast") === "channelsLast";
  const x = last ? views.first(input) : views.plain(input);
  const channels = last ? shape[rank + 1] : shape[1];
  if (channels === undefined) throw config.malformed("input", "a known number of channels", showShape(shape));
  return {
    name: x.name,
    channels,
    spatial: last ? shape.slice(1, -1) : shape.slice(2),
    wrap: (name, count, spatial) => ({
      name,
      dtype: "float32",
      shape: last ? [shape[0], ...spatial, count] : [shape[0], count, ...spatial],
      layout: last ? "first" : "plain",
    }),
  };
}

/** A window that slides over the spatial axes. */
export interface Window {
  readonly size: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly same: boolean;
}

/**
 * Padding as ONNX's attributes, and the lengths that the window leaves. `"same"` of tfjs pads as TensorFlow does, the
 * odd one at the end; it is written as numbers where the lengths are known.
 */
export function slide(
  { config }: LayerContext,
  spatial: readonly Length[],
  { size, strides, dilations, same }: Window,
): { readonly padding: Readonly<Record<string, Attribute>>; readonly spatial: readonly Length[] } {
  const reach = size.map((length, i) => (length - 1) * dilations[i]! + 1);
  if (reach.some((length) => length > longest)) throw config.malformed("dilation_rate", "a smaller one", dilations);
  const after = spatial.map((length, i) => {
    if (length === undefined) return undefined;
    const result = same ? Math.ceil(length / strides[i]!) : Math.floor((length - reach[i]!) / strides[i]!) + 1;
    if (result < 1) throw config.malformed("input", `lengths >= ${reach[i]}, its window`, showShape(spatial));
    return result;
  });
  if (same && spatial.includes(undefined))
    return { padding: { auto_pad: attribute.string("SAME_UPPER") }, spatial: after };
  const total = spatial.map((length, i) =>
    same ? Math.max(0, (after[i]! - 1) * strides[i]! + reach[i]! - length!) : 0,
  );
  const before = total.map((count) => Math.floor(count / 2));
  const pads = [...before, ...total.map((count, i) => count - before[i]!)];
  return { padding: { pads: attribute.ints(pads) }, spatial: after };
}
