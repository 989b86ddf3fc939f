import { attribute } from "../../graph.ts";
import { flatten, type LayerConverter, range } from "../context.ts";
import { asItIs } from "../permute.ts";
import { type Length, longest, product, showShape, storedAxis } from "../value.ts";
import { activate } from "./activation.ts";

/** Fully connected layers and embeddings. */
export const denseLayers: Readonly<Record<string, LayerConverter>> = {
  Dense(context, [input]) {
    const { b, config, views, shared } = context;
    const units = config.integer("units", 1);
    const rank = input!.shape.length;
    if (rank < 2) throw config.malformed("input", "two axes or more", showShape(input!.shape));
    // After Flatten, the rows of the kernel are reordered once, here, instead of the values in every run.
    const image = typeof input!.layout === "object" && !shared ? input!.layout : undefined;
    const x = image === undefined ? views.plain(input!) : input!;
    const kernel = context.weight("kernel", [x.shape[rank - 1], units], (shape) => {
      if (image === undefined) return asItIs(shape);
      const channels = image.length - 1;
      const permutation = [channels, ...range(0, channels), image.length];
      return { view: [...image, units], permutation, shape };
    });
    const bias = config.flag("useBias", true) ? context.weight("bias", [units]) : undefined;
    const shape = [...x.shape.slice(0, -1), units];
    if (rank === 2 && bias !== undefined) {
      return activate(context, { ...x, name: b.add("Gemm", [x.name, kernel, bias]), shape, layout: "plain" });
    }
    const multiplied = b.add("MatMul", [x.name, kernel]);
    const name = bias === undefined ? multiplied : b.add("Add", [multiplied, bias]);
    return activate(context, { ...x, name, shape, layout: "plain" });
  },

  Embedding(context, [input]) {
    const { b, config, views } = context;
    if (config.get("maskZero") === true) throw config.unsupported("mask_zero", "false: masks are not converted", true);
    const width = config.integer("outputDim", 1);
    const table = context.weight("embeddings", [config.integer("inputDim", 1), width]);
    const ids = views.plain(input!);
    const index = ids.dtype === "int32" ? ids.name : b.add("Cast", [ids.name], { to: attribute.int(6) });
    const name = b.add("Gather", [table, index], { axis: attribute.int(0) });
    return { name, dtype: "float32", shape: [...ids.shape, width], layout: "plain" };
  },
};

/** Layers that only reorder. */
export const shapeLayers: Readonly<Record<string, LayerConverter>> = {
  Flatten({ b, config, views }, [x]) {
    const rank = x!.shape.length;
    if (config.choice("dataFormat", ["channelsLast", "channelsFirst"], "channelsLast") === "channelsLast") {
      return flatten(b, views, x!);
    }
    // The channels are moved behind the rest: what tfjs calls channels first is what ONNX keeps.
    const { name, shape, dtype } = views.plain(x!);
    const lengths = [shape[0], ...shape.slice(2), shape[1]];
    return flatten(b, views, { name, dtype, shape: lengths, layout: rank > 2 ? "first" : "plain" });
  },

  Reshape({ b, config, views }, [input]) {
    const x = views.plain(input!);
    const target = config.get("targetShape");
    if (!Array.isArray(target)) throw config.malformed("target_shape", "a list of lengths", target);
    const wanted = target.map((length: unknown): Length => {
      if (length === null || length === -1) return undefined;
      if (Number.isInteger(length) && (length as number) > 0) return length as number;
      throw config.malformed("target_shape", "whole numbers > 0, or one -1", target);
    });
    const open = wanted.filter((length) => length === undefined).length;
    const known = product(wanted.map((length) => length ?? 1))!;
    const size = product(x.shape.slice(1));
    const fits =
      size === undefined ? known <= longest : known <= size && (open === 0 ? size === known : size % known === 0);
    if (open > 1 || !fits) {
      throw config.malformed("target_shape", `a shape for the values of ${showShape(x.shape)}`, target);
    }
    const shape = wanted.map((length) => length ?? (size === undefined ? undefined : size / known));
    const name = b.add("Reshape", [x.name, b.int64([0, ...shape.map((length) => length ?? -1)])]);
    return { ...x, name, shape: [x.shape[0], ...shape] };
  },

  Permute({ b, config, views }, [input]) {
    const x = typeof input!.layout === "object" ? views.plain(input!) : input!;
    const rank = x.shape.length;
    const dims = config.integers("dims", rank - 1, 1);
    if (new Set(dims).size !== dims.length || !dims.every((axis) => axis < rank)) {
      throw config.malformed("dims", `the axes 1 to ${rank - 1}, each once`, dims);
    }
    const axes = [0, ...dims];
    const perm = attribute.ints(axes.map((axis) => storedAxis(x, axis)));
    const shape = axes.map((axis) => x.shape[axis]);
    return { ...x, name: b.add("Transpose", [x.name], { perm }), shape, layout: "plain" };
  },

  RepeatVector({ b, config, views }, [input]) {
    const x = views.plain(input!);
    if (x.shape.length !== 2) throw config.malformed("input", "two axes", showShape(x.shape));
    const times = config.integer("n", 1);
    const row = b.add("Unsqueeze", [x.name, b.int64([1])]);
    return { ...x, name: b.add("Tile", [row, b.int64([1, times, 1])]), shape: [x.shape[0], times, x.shape[1]] };
  },
};
