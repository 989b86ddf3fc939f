import type { Derivative, Derivatives } from "../derivative.ts";
import { ints, string } from "../graph.ts";
import { filterGradient } from "./conv-filter.ts";
import { channels, extent, group, spatial, type Windows } from "./conv-geometry.ts";
import { convolve } from "./conv-nodes.ts";
import { type Context, range, rankOf, reduceSum, shapeOf } from "./shared.ts";

/** y = the transpose of Conv with w: dx = Conv(dy, w); dw as Conv's with x and dy exchanged; db = the sum of dy. */
const derivative: Derivative = (c, [dy]) => {
  if (dy === undefined) return [];
  const { node } = c;
  const [x, w] = [node.inputs[0]!, node.inputs[1]!];
  const [from, to] = [shapeOf(c, x), shapeOf(c, node.outputs[0]!)];
  const windows = windowsOf(c, spatial(c, shapeOf(c, w)), spatial(c, to), spatial(c, from));
  const sizes = { windows, group: group(node), channels: channels(c, to), filters: channels(c, from) };
  return [
    c.needs(0) ? convolve(c, dy, w, windows, sizes.group) : undefined,
    c.needs(1) ? filterGradient(c, dy, x, sizes) : undefined,
    c.needs(2) ? reduceSum(c, dy, [0, ...range(2, rankOf(c, x))], false) : undefined,
  ];
};

/** The windows of the Conv that this is the transpose of: laid on this one's output. */
function windowsOf(
  c: Context,
  kernel: readonly number[],
  input: readonly number[],
  output: readonly number[],
): Windows {
  const ones = kernel.map(() => 1);
  const strides = ints(c.node, "strides") ?? ones;
  const dilations = ints(c.node, "dilations") ?? ones;
  const added = ints(c.node, "output_padding") ?? kernel.map(() => 0);
  const auto = string(c.node, "auto_pad", "NOTSET");
  const derived = auto.startsWith("SAME") || ints(c.node, "output_shape") !== undefined;
  const covered = kernel.map((length, i) => extent(length, dilations[i]!, strides[i]!, output[i]!));
  const begin = input.map((length, i) => {
    if (!derived) return auto === "VALID" ? 0 : (ints(c.node, "pads")?.[i] ?? 0);
    const total = Math.max(0, covered[i]! + added[i]! - length);
    return auto === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2);
  });
  return { kernel, strides, dilations, begin, end: covered.map((l, i) => l - input[i]! - begin[i]!), input, output };
}

export const convTranspose: Derivatives = { ConvTranspose: derivative };
