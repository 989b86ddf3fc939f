import { attribute } from "../../graph.ts";
import { flatten, type LayerContext, type LayerConverter, range } from "../context.ts";
import { showShape, type Value } from "../value.ts";
import { asImage, slide } from "./windows.ts";

/** Pooling over windows and over everything. */
export const poolingLayers: Readonly<Record<string, LayerConverter>> = {
  MaxPooling1D: (context, [x]) => pool(context, x!, 1, "MaxPool"),
  MaxPooling2D: (context, [x]) => pool(context, x!, 2, "MaxPool"),
  AveragePooling1D: (context, [x]) => pool(context, x!, 1, "AveragePool"),
  AveragePooling2D: (context, [x]) => pool(context, x!, 2, "AveragePool"),
  GlobalMaxPooling1D: (context, [x]) => poolAll(context, x!, 1, "Max"),
  GlobalMaxPooling2D: (context, [x]) => poolAll(context, x!, 2, "Max"),
  GlobalAveragePooling1D: (context, [x]) => poolAll(context, x!, 1, "Average"),
  GlobalAveragePooling2D: (context, [x]) => poolAll(context, x!, 2, "Average"),
};

function pool(context: LayerContext, input: Value, rank: number, op: string): Value {
  const { b, config } = context;
  const image = asImage(context, input, rank);
  const size = config.integers("poolSize", rank, 1, 2);
  const window = {
    size,
    strides: config.integers("strides", rank, 1, size),
    dilations: size.map(() => 1),
    same: config.choice("padding", ["valid", "same"], "valid") === "same",
  };
  const { padding, spatial } = slide(context, image.spatial, window);
  // An average of tfjs is over what lies inside the image: ONNX's default, too.
  const name = b.add(op, [image.name], {
    kernel_shape: attribute.ints(size),
    strides: attribute.ints(window.strides),
    ...padding,
  });
  return image.wrap(name, image.channels, spatial);
}

function poolAll(context: LayerContext, input: Value, rank: number, kind: "Max" | "Average"): Value {
  const { b, config, views } = context;
  config.only("keepdims", [false], "tfjs ignores it");
  const { shape } = input;
  if (shape.length !== rank + 2) throw config.malformed("input", `${rank + 2} axes`, showShape(shape));
  const last =
    rank === 1 || config.choice("dataFormat", ["channelsLast", "channelsFirst"], "channelsLast") === "channelsLast";
  if (last && input.layout === "plain") {
    // A sequence of vectors: reduced where it lies.
    const op = kind === "Max" ? "ReduceMax" : "ReduceMean";
    const name = b.add(op, [input.name, b.int64(range(1, rank + 1))], { keepdims: attribute.int(0) });
    return { ...input, name, shape: [shape[0], shape[rank + 1]] };
  }
  const image = asImage(context, input, rank);
  const name = b.add(kind === "Max" ? "GlobalMaxPool" : "GlobalAveragePool", [image.name]);
  return flatten(
    b,
    views,
    image.wrap(
      name,
      image.channels,
      image.spatial.map(() => 1),
    ),
  );
}
