/** The length of an axis, undefined where it is known only when the model runs. */
export type Length = number | undefined;

/**
 * How the ONNX tensor behind a value is laid out. Convolutions of tfjs keep channels last, those of ONNX keep them
 * first; values stay as the last operation left them, and are transposed when somebody must see the difference.
 *
 * - `"plain"`: as in tfjs.
 * - `"first"`: the last axis of tfjs's shape, the channels, lies right behind the batch.
 * - a list, the shape `[h, w, c]` of tfjs: what `Flatten` makes of `"first"`: one axis of c * h * w in ONNX's order.
 */
export type Layout = "plain" | "first" | readonly number[];

/** The longest axis that is converted: ONNX's attributes and products of lengths stay exact. */
export const longest = 2 ** 31 - 1;

/** A value of the model. */
export interface Value {
  /** The ONNX tensor's name. */
  readonly name: string;
  readonly dtype: "float32" | "int32";
  /** tfjs's shape, whatever the layout; the batch, the first axis, is not known. */
  readonly shape: readonly Length[];
  readonly layout: Layout;
}

/** Where an axis of tfjs's shape lies in the ONNX tensor. */
export function storedAxis({ shape, layout }: Value, axis: number): number {
  if (layout !== "first" || axis === 0) return axis;
  return axis === shape.length - 1 ? 1 : axis + 1;
}

/** tfjs's number of an axis, negative ones counted from the end; undefined where there is no such axis. */
export function axisOf({ shape }: Value, axis: number): number | undefined {
  const positive = axis < 0 ? axis + shape.length : axis;
  return Number.isInteger(positive) && positive >= 0 && positive < shape.length ? positive : undefined;
}

/** The product of lengths, undefined where one is. */
export function product(lengths: readonly Length[]): Length {
  return lengths.reduce<Length>(
    (total, length) => (total === undefined || length === undefined ? undefined : total * length),
    1,
  );
}

/** True where all are known. */
export function allKnown(lengths: readonly Length[]): lengths is readonly number[] {
  return lengths.every((length) => length !== undefined);
}

/** A shape for messages. */
export function showShape(shape: readonly Length[]): string {
  return `[${shape.map((length) => length ?? "?").join(", ")}]`;
}
