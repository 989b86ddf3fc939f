import { attribute } from "../../graph.ts";
import type { LayerContext, LayerConverter } from "../context.ts";
import { reordered, type WeightLayout } from "../permute.ts";
import type { Length, Value } from "../value.ts";
import { activate } from "./activation.ts";
import { asImage, slide, type Window } from "./windows.ts";

/** Convolutions of every kind. */
export const convolutionLayers: Readonly<Record<string, LayerConverter>> = {
  Conv1D: (context, [x]) => convolve(context, x!, 1),
  Conv2D: (context, [x]) => convolve(context, x!, 2),

  DepthwiseConv2D(context, [x]) {
    context.config.only("dilationRate", [1], "tfjs ignores it");
    const image = asImage(context, x!, 2);
    const window = readWindow(context, 2);
    const { name, filters, spatial } = depthwise(context, image, window, bias(context, image.channels));
    return activate(context, image.wrap(name, filters, spatial));
  },

  SeparableConv2D(context, [x]) {
    const { b, config } = context;
    config.only("dataFormat", ["channelsLast", "channels_last"], "what tfjs does is not clear");
    const image = asImage(context, x!, 2);
    const across = depthwise(context, image, readWindow(context, 2), undefined);
    const filters = config.integer("filters", 1);
    const kernel = context.weight("pointwise_kernel", [1, 1, across.filters, filters], filtersFirst);
    const name = b.add("Conv", [across.name, kernel, ...present(bias(context, filters, 1))]);
    return activate(context, image.wrap(name, filters, across.spatial));
  },

  Conv2DTranspose(context, [x]) {
    const { b, config } = context;
    config.only("dilationRate", [1], "tfjs ignores it");
    config.only("outputPadding", [0], "tfjs ignores it");
    const image = asImage(context, x!, 2);
    const { size, strides, same } = readWindow(context, 2);
    const filters = config.integer("filters", 1);
    const kernel = context.weight("kernel", [...size, filters, image.channels], filtersFirst);
    // The gradient of a convolution whose result is as long as this input: tfjs's definition, in ONNX's words.
    const cut = size.map((length, i) => (same ? Math.max(0, length - strides[i]!) : 0));
    const before = cut.map((count) => Math.floor(count / 2));
    const name = b.add("ConvTranspose", [image.name, kernel, ...present(bias(context, filters, 1))], {
      kernel_shape: attribute.ints(size),
      strides: attribute.ints(strides),
      pads: attribute.ints([...before, ...cut.map((count, i) => count - before[i]!)]),
      output_padding: attribute.ints(size.map((length, i) => Math.max(0, strides[i]! - length))),
    });
    const spatial = image.spatial.map((length, i) =>
      length === undefined ? undefined : length * strides[i]! + (same ? 0 : Math.max(0, size[i]! - strides[i]!)),
    );
    return activate(context, image.wrap(name, filters, spatial));
  },
};

/** `[h, w, in, out]` to `[out, in, h, w]`, and the like for one axis. */
function filtersFirst(shape: readonly number[]): WeightLayout {
  const rank = shape.length - 2;
  return reordered(shape, [rank + 1, rank, ...shape.slice(0, rank).keys()]);
}

function readWindow({ config }: LayerContext, rank: number): Window {
  return {
    size: config.integers("kernelSize", rank, 1),
    strides: config.integers("strides", rank, 1, 1),
    dilations: config.integers("dilationRate", rank, 1, 1),
    same: config.choice("padding", ["valid", "same"], "valid") === "same",
  };
}

function convolve(context: LayerContext, input: Value, rank: number): Value {
  const { b, config } = context;
  config.only("groups", [1], "tfjs ignores it");
  const image = asImage(context, input, rank);
  const window = readWindow(context, rank);
  const filters = config.integer("filters", 1);
  const kernel = context.weight("kernel", [...window.size, image.channels, filters], filtersFirst);
  const { padding, spatial } = slide(context, image.spatial, window);
  const name = b.add("Conv", [image.name, kernel, ...present(bias(context, filters, 1))], {
    ...attributes(window),
    ...padding,
  });
  return activate(context, image.wrap(name, filters, spatial));
}

function depthwise(
  context: LayerContext,
  image: { readonly name: string; readonly channels: number; readonly spatial: readonly Length[] },
  window: Window,
  biasName: string | undefined,
): { readonly name: string; readonly filters: number; readonly spatial: readonly Length[] } {
  const { channels } = image;
  // tfjs forgets to save a separable convolution's multiplier: the kernel tells it, too.
  const multiplier = context.config.integer("depthMultiplier", 1, context.weightShape("depthwise_kernel")[3]);
  const filters = channels * multiplier;
  const kernel = context.weight("depthwise_kernel", [...window.size, channels, multiplier], (view) => ({
    view,
    permutation: [2, 3, 0, 1],
    shape: [filters, 1, ...window.size],
  }));
  const { padding, spatial } = slide(context, image.spatial, window);
  const name = context.b.add("Conv", [image.name, kernel, ...present(biasName)], {
    ...attributes(window),
    ...padding,
    group: attribute.int(channels),
  });
  return { name, filters, spatial };
}

function attributes({ size, strides, dilations }: Window) {
  return {
    kernel_shape: attribute.ints(size),
    strides: attribute.ints(strides),
    dilations: attribute.ints(dilations),
  };
}

/** The bias of `channels * multiplier` numbers, or undefined. */
function bias(context: LayerContext, channels: number, multiplier?: number): string | undefined {
  if (!context.config.flag("useBias", true)) return undefined;
  return context.weight("bias", [channels * (multiplier ?? context.config.integer("depthMultiplier", 1, 1))]);
}

function present(name: string | undefined): readonly string[] {
  return name === undefined ? [] : [name];
}
