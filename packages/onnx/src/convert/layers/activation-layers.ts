import { attribute } from "../../graph.ts";
import type { LayerConverter } from "../context.ts";
import { asItIs, reordered } from "../permute.ts";
import { axisOf, storedAxis } from "../value.ts";
import { activate } from "./activation.ts";

/** Layers that are one activation function. */
export const activationLayers: Readonly<Record<string, LayerConverter>> = {
  Activation: (context, [x]) => activate(context, x!),

  ReLU({ b, config }, [x]) {
    config.only("negativeSlope", [0], "tfjs ignores it");
    config.only("threshold", [0], "tfjs ignores it");
    const most = config.get("maxValue") === undefined ? undefined : config.number("maxValue", 0);
    const name = most === undefined ? b.add("Relu", [x!.name]) : b.add("Clip", [x!.name, b.scalar(0), b.scalar(most)]);
    return { ...x!, name };
  },

  LeakyReLU: ({ b, config }, [x]) => ({
    ...x!,
    name: b.add("LeakyRelu", [x!.name], { alpha: attribute.float(config.number("alpha", 0.3)) }),
  }),

  ELU: ({ b, config }, [x]) => ({
    ...x!,
    name: b.add("Elu", [x!.name], { alpha: attribute.float(config.number("alpha", 1)) }),
  }),

  ThresholdedReLU({ b, config }, [x]) {
    const above = b.add("Greater", [x!.name, b.scalar(config.number("theta", 1))]);
    return { ...x!, name: b.add("Where", [above, x!.name, b.scalar(0)]) };
  },

  PReLU(context, [input]) {
    const { b, views, shared } = context;
    const x = shared || typeof input!.layout === "object" ? views.plain(input!) : input!;
    const shape = x.shape.slice(1);
    const last = shape.length - 1;
    const ones = context.weightShape("alpha").map((length, axis) => (length === 1 ? 1 : shape[axis]));
    const slope = context.weight("alpha", ones.length === shape.length ? ones : shape, (alpha) =>
      x.layout === "first" ? reordered(alpha, [last, ...alpha.keys()].slice(0, last + 1)) : asItIs(alpha),
    );
    return { ...x, name: b.add("PRelu", [x.name, slope]) };
  },

  Softmax({ b, config, views }, [input]) {
    const setting = config.get("axis") ?? 1;
    const [number, ...more] = Array.isArray(setting) ? setting : [setting];
    if (more.length > 0) throw config.unsupported("axis", "one axis", setting);
    const x = typeof input!.layout === "object" ? views.plain(input!) : input!;
    const axis = typeof number === "number" ? axisOf(x, number) : undefined;
    if (axis === undefined) throw config.malformed("axis", `an axis of ${x.shape.length}`, setting);
    return { ...x, name: b.add("Softmax", [x.name], { axis: attribute.int(storedAxis(x, axis)) }) };
  },
};
