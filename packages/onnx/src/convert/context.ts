import type { Builder } from "../builder.ts";
import { attribute } from "../graph.ts";
import type { Config } from "./config.ts";
import type { WeightLayout } from "./permute.ts";
import { allKnown, type Length, product, type Value } from "./value.ts";

/** What a layer is converted with. */
export interface LayerContext {
  readonly b: Builder;
  readonly config: Config;
  readonly views: Views;
  /** True where the layer is called more than once: its weights have one layout for all calls. */
  readonly shared: boolean;
  /** A weight's shape in tfjs; an error where it is missing. */
  weightShape(weight: string): readonly number[];
  /** The initializer of a weight, after a check of its shape. */
  weight(weight: string, shape: readonly Length[], layout?: (shape: readonly number[]) => WeightLayout): string;
  /** Float32 values that are no weight and must not be trained. */
  fixed(values: Float32Array): string;
}

/** Writes a layer's nodes; returns its output. */
export type LayerConverter = (context: LayerContext, inputs: readonly Value[]) => Value;

/** Values in the layout or type that an operation asks for; each is written once. */
export interface Views {
  /** As tfjs sees it. */
  plain(value: Value): Value;
  /** Channels first; of values of three axes or more. */
  first(value: Value): Value;
  /** As float32. */
  float(value: Value): Value;
}

/** Views written with `b`. */
export function createViews(b: Builder): Views {
  const written = new Map<string, Value>();
  const once = (value: Value, target: string, write: () => Value): Value => {
    const key = `${target} ${value.name}`;
    const view = written.get(key) ?? write();
    written.set(key, view);
    return view;
  };
  /** Transposes, or reshapes where no value would change its place. */
  const move = (name: string, stored: readonly Length[], permutation: readonly number[]): string => {
    const lengths = permutation.map((axis) => stored[axis]);
    const long = permutation.filter((axis) => axis !== 0 && stored[axis] !== 1);
    const inOrder = long.every((axis, i) => i === 0 || axis > long[i - 1]!);
    if (inOrder && lengths.slice(1).filter((length) => length === undefined).length <= 1) {
      return b.add("Reshape", [name, b.int64([0, ...lengths.slice(1).map((length) => length ?? -1)])]);
    }
    return b.add("Transpose", [name], { perm: attribute.ints(permutation) });
  };
  const plain = (value: Value): Value => {
    const { layout, shape, name } = value;
    if (layout === "plain") return value;
    return once(value, "plain", () => {
      if (layout === "first") {
        const rank = shape.length;
        const stored = [shape[0], shape[rank - 1], ...shape.slice(1, -1)];
        const permutation = [0, ...range(2, rank), 1];
        return { ...value, name: move(name, stored, permutation), layout: "plain" };
      }
      const channels = layout.at(-1)!;
      const image = b.add("Reshape", [name, b.int64([0, channels, ...layout.slice(0, -1)])]);
      const back = b.add("Transpose", [image], { perm: attribute.ints([0, ...range(2, layout.length + 1), 1]) });
      return { ...value, name: b.add("Reshape", [back, b.int64([0, product(layout)!])]), layout: "plain" };
    });
  };
  const first = (value: Value): Value => {
    if (value.layout === "first") return value;
    return once(value, "first", () => {
      const { name, shape } = plain(value);
      const rank = shape.length;
      return { ...value, name: move(name, shape, [0, rank - 1, ...range(1, rank - 1)]), layout: "first" };
    });
  };
  const float = (value: Value): Value => {
    if (value.dtype === "float32") return value;
    return once(value, "float", () => ({
      ...value,
      name: b.add("Cast", [value.name], { to: attribute.int(1) }),
      dtype: "float32",
    }));
  };
  return { plain, first, float };
}

/** What `Flatten` makes of a value, without a transpose where the lengths are known. */
export function flatten(b: Builder, views: Views, value: Value): Value {
  const lengths = value.shape.slice(1);
  const size = product(lengths);
  const write = ({ name }: Value) => b.add("Flatten", [name], { axis: attribute.int(1) });
  if (value.layout !== "first" || !allKnown(lengths)) {
    return { ...value, name: write(views.plain(value)), shape: [value.shape[0], size], layout: "plain" };
  }
  const channels = lengths.at(-1)!;
  const same = channels === 1 || size === channels;
  return { ...value, name: write(value), shape: [value.shape[0], size], layout: same ? "plain" : lengths };
}

/** The whole numbers from `start` to before `end`. */
export function range(start: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);
}
