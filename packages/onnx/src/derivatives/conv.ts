import type { Derivative, Derivatives } from "../derivative.ts";
import { filterGradient } from "./conv-filter.ts";
import { channels, group, spatial, windowsOf } from "./conv-geometry.ts";
import { inputGradient } from "./conv-nodes.ts";
import { range, rankOf, reduceSum, shapeOf } from "./shared.ts";

/** y = x * w + b: dx = dy * w turned over; dw = x * dy over the batch; db = the sum of dy over batch and space. */
const derivative: Derivative = (c, [dy]) => {
  if (dy === undefined) return [];
  const { node } = c;
  const [x, w] = [node.inputs[0]!, node.inputs[1]!];
  const [from, to, filter] = [shapeOf(c, x), shapeOf(c, node.outputs[0]!), shapeOf(c, w)];
  const windows = windowsOf(node, spatial(c, filter), spatial(c, from), spatial(c, to));
  const sizes = { windows, group: group(node), channels: channels(c, from), filters: channels(c, to) };
  return [
    c.needs(0) ? inputGradient(c, dy, w, windows, sizes.group) : undefined,
    c.needs(1) ? filterGradient(c, x, dy, sizes) : undefined,
    c.needs(2) ? reduceSum(c, dy, [0, ...range(2, rankOf(c, x))], false) : undefined,
  ];
};

export const conv: Derivatives = { Conv: derivative };
