import { attribute } from "../../graph.ts";
import { tooLarge } from "../../problem.ts";
import type { LayerContext, LayerConverter } from "../context.ts";
import { asItIs } from "../permute.ts";
import { axisOf, showShape, type Value } from "../value.ts";

/** Normalisations, as nodes of their own: training needs the statistics. */
export const normalizationLayers: Readonly<Record<string, LayerConverter>> = {
  BatchNormalization(context, [input]) {
    const { b, config } = context;
    const axis = oneAxis(context, input!);
    const x = channelsSecond(context, input!, axis);
    // Behind Flatten, the statistics are reordered like the values.
    const image = typeof x.layout === "object" ? x.layout : undefined;
    const layout = (shape: readonly number[]) =>
      image === undefined
        ? asItIs(shape)
        : { view: image, permutation: [image.length - 1, ...image.slice(0, -1).keys()], shape };
    const length = [x.shape[axis]];
    const mean = context.weight("moving_mean", length, layout);
    const variance = context.weight("moving_variance", length, layout);
    const [count] = context.weightShape("moving_mean");
    const scale = config.flag("scale", true)
      ? context.weight("gamma", [count], layout)
      : context.fixed(new Float32Array(count!).fill(1));
    const offset = config.flag("center", true)
      ? context.weight("beta", [count], layout)
      : context.fixed(new Float32Array(count!));
    const name = b.add("BatchNormalization", [x.name, scale, offset, mean, variance], {
      epsilon: attribute.float(config.number("epsilon", 1e-3)),
      momentum: attribute.float(config.number("momentum", 0.99)),
    });
    return { ...x, name };
  },

  LayerNormalization(context, [input]) {
    const { b, config, views } = context;
    const x = views.plain(input!);
    const setting = config.get("axis") ?? -1;
    const axes = (Array.isArray(setting) ? setting : [setting]).map((axis: unknown) =>
      typeof axis === "number" ? axisOf(x, axis) : undefined,
    );
    const start = x.shape.length - axes.length;
    if (start < 1 || !axes.every((axis, i) => axis === start + i)) {
      throw config.unsupported("axis", "the last axes, in order", setting);
    }
    const lengths = x.shape.slice(start);
    const centered = config.flag("center", true);
    const scaled = config.flag("scale", true);
    const shape = scaled || centered ? context.weightShape(scaled ? "gamma" : "beta") : undefined;
    const size = shape?.reduce((total, length) => total * length, 1) ?? lengths[0];
    if (size === undefined || (shape === undefined && lengths.length > 1)) {
      throw config.unsupported("axis", "one axis of known length where nothing scales", showShape(x.shape));
    }
    // Where there is no weight, nothing but the input's shape bounds this.
    if (size > 2 ** 24) throw tooLarge(`input of ${config.title}`, `${2 ** 24} values along its axis`, size);
    const scale = scaled ? context.weight("gamma", lengths) : context.fixed(new Float32Array(size).fill(1));
    const inputs = [x.name, scale, ...(centered ? [context.weight("beta", lengths)] : [])];
    const name = b.add("LayerNormalization", inputs, {
      axis: attribute.int(start),
      epsilon: attribute.float(config.number("epsilon", 1e-3)),
    });
    return { ...x, name };
  },
};

function oneAxis({ config }: LayerContext, x: Value): number {
  const setting = config.get("axis") ?? -1;
  const [number, ...more] = Array.isArray(setting) ? setting : [setting];
  const axis = typeof number === "number" && more.length === 0 ? axisOf(x, number) : undefined;
  const rank = x.shape.length;
  if (axis === undefined || (axis !== 1 && axis !== rank - 1) || rank > 4) {
    throw config.unsupported("axis", "the second or the last of four axes at most", setting);
  }
  return axis;
}

/** The axis that is normalised lies second in ONNX. */
function channelsSecond({ views, shared }: LayerContext, x: Value, axis: number): Value {
  if (x.shape.length === 2) return shared ? views.plain(x) : x;
  return axis === 1 ? views.plain(x) : views.first(x);
}
