import type { Derivative, Derivatives } from "../derivative.ts";
import { int, ints, string } from "../graph.ts";
import { grid, product, spatial, type Windows, windowsOf } from "./conv-geometry.ts";
import { spread } from "./conv-nodes.ts";
import { globalMaxPool, isTiling, isWhole, kernelOf, maxPool, repeat } from "./pooling-max.ts";
import { type Context, floats, range, reshapeLike, scalar, shapeOf } from "./shared.ts";

/** y = the sum over a window / its count: dx = the sum over the windows that x is in of dy / count. */
const averagePool: Derivative = (c, [dy]) => {
  if (dy === undefined || !c.needs(0)) return [];
  const x = c.node.inputs[0]!;
  const [from, to] = [spatial(c, shapeOf(c, x)), spatial(c, shapeOf(c, c.node.outputs[0]!))];
  const windows = windowsOf(c.node, kernelOf(c), from, to);
  const { kernel, output } = windows;
  const { dtype } = c.type(x);
  if (isWhole(windows)) return [spreadEvenly(c, dy, from)];
  const taps = product(kernel);
  if (isTiling(windows)) return [repeat(c, c.b.add("Mul", [dy, scalar(c, x, 1 / taps)]), windows)];
  const share = counts(c, windows).map((count) => 1 / Math.max(1, count));
  const even = share.every((part) => part === share[0]);
  const filter = floats(
    c,
    dtype,
    [1, 1, ...kernel],
    range(0, taps).map(() => (even ? share[0]! : 1)),
  );
  const parts = even ? dy : c.b.add("Mul", [dy, floats(c, dtype, [1, 1, ...output], share)]);
  const planes = c.b.add("Reshape", [parts, c.b.int64([-1, 1, ...output])]);
  return [reshapeLike(c, spread(c, planes, filter, windows, 1), x)];
};

/** By how much each window's sum is divided. */
function counts(c: Context, { kernel, strides, dilations, begin, input, output }: Windows): number[] {
  const padded = int(c.node, "count_include_pad", 0) === 1;
  const pads = ints(c.node, "pads");
  const automatic = string(c.node, "auto_pad", "NOTSET") !== "NOTSET";
  const perAxis = kernel.map((length, i) => {
    // Under auto_pad no window goes beyond the padding; under ceil_mode one may, and what is there is not counted.
    const behind = !padded ? 0 : automatic ? Number.POSITIVE_INFINITY : (pads?.[i + kernel.length] ?? 0);
    const first = padded ? -begin[i]! : 0;
    return range(0, output[i]!).map((p) => {
      const at = range(0, length).map((t) => p * strides[i]! - begin[i]! + t * dilations[i]!);
      return at.filter((position) => position >= first && position < input[i]! + behind).length;
    });
  });
  return grid(output).map((position) => product(position.map((p, i) => perAxis[i]![p]!)));
}

/** y = the mean over space: dx = dy / the number of positions. */
const globalAveragePool: Derivative = (c, [dy]) =>
  dy === undefined || !c.needs(0) ? [] : [spreadEvenly(c, dy, spatial(c, shapeOf(c, c.node.inputs[0]!)))];

function spreadEvenly(c: Context, dy: string, lengths: readonly number[]): string {
  const positions = product(lengths);
  const share = range(0, positions).map(() => 1 / positions);
  return c.b.add("Mul", [dy, floats(c, c.type(c.node.inputs[0]!).dtype, [1, 1, ...lengths], share)]);
}

export const pooling: Derivatives = {
  MaxPool: maxPool,
  GlobalMaxPool: globalMaxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
};
