import { int, ints, type Node, string } from "../graph.ts";
import { type Context, isStatic, range, refuse, type Shape } from "./shared.ts";

/** How windows lie on the spatial axes of a convolution or pooling; one entry for each axis in every list. */
export interface Windows {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Padding in front. */
  readonly begin: readonly number[];
  /** Where the last window ends behind the input: negative where entries at the end are in no window. */
  readonly end: readonly number[];
  /** Lengths of the side with the windows laid on it. */
  readonly input: readonly number[];
  /** How many windows there are. */
  readonly output: readonly number[];
}

/** Lengths of the axes behind batch and channels. */
export function spatial(c: Context, shape: Shape): readonly number[] {
  return shape.slice(2).map((dim) => (isStatic(dim) ? dim : refuse(c, "the length of a spatial axis is not known")));
}

/** The number of channels. */
export function channels(c: Context, shape: Shape): number {
  const dim = shape[1];
  return isStatic(dim) ? dim : refuse(c, "the number of channels is not known");
}

/**
 * The windows of a Conv or a pooling from `input` to `output`. The end is taken from the lengths, so that ceil_mode and
 * remainders need no further thought: (output - 1) stride + (kernel - 1) dilation + 1 = input + begin + end.
 */
export function windowsOf(
  node: Node,
  kernel: readonly number[],
  input: readonly number[],
  output: readonly number[],
): Windows {
  const ones = kernel.map(() => 1);
  const strides = ints(node, "strides") ?? ones;
  const dilations = ints(node, "dilations") ?? ones;
  const covered = range(0, kernel.length).map((i) => extent(kernel[i]!, dilations[i]!, strides[i]!, output[i]!));
  const auto = string(node, "auto_pad", "NOTSET");
  const pads = ints(node, "pads");
  const begin = input.map((length, i) => {
    if (auto === "NOTSET") return pads?.[i] ?? 0;
    const total = auto === "VALID" ? 0 : Math.max(0, covered[i]! - length);
    return auto === "SAME_LOWER" ? Math.ceil(total / 2) : Math.floor(total / 2);
  });
  const end = input.map((length, i) => covered[i]! - length - begin[i]!);
  return { kernel, strides, dilations, begin, end, input, output };
}

/** From the first tap of the first window to the last tap of the last. */
export const extent = (kernel: number, dilation: number, stride: number, count: number): number =>
  (count - 1) * stride + (kernel - 1) * dilation + 1;

export const group = (node: Node): number => int(node, "group", 1);

export const product = (lengths: readonly number[]): number => lengths.reduce((a, b) => a * b, 1);

export const notNegative = (values: readonly number[]): number[] => values.map((value) => Math.max(0, value));

/** All positions of a grid, the last axis fastest. */
export function grid(lengths: readonly number[]): number[][] {
  return lengths.reduce<number[][]>(
    (before, length) => before.flatMap((position) => range(0, length).map((i) => [...position, i])),
    [[]],
  );
}
