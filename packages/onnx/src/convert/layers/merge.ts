import { attribute } from "../../graph.ts";
import { type LayerContext, type LayerConverter, range } from "../context.ts";
import { axisOf, type Length, showShape, storedAxis, type Value } from "../value.ts";

/** Layers of several inputs. */
export const mergeLayers: Readonly<Record<string, LayerConverter>> = {
  Add: (context, inputs) => combine(context, inputs, "Add"),
  Multiply: (context, inputs) => combine(context, inputs, "Mul"),
  Maximum: (context, inputs) => combine(context, inputs, "Max"),
  Minimum: (context, inputs) => combine(context, inputs, "Min"),

  Average(context, inputs) {
    const sum = combine(context, inputs, "Add");
    return { ...sum, name: context.b.add("Mul", [sum.name, context.b.scalar(1 / inputs.length)]) };
  },

  Concatenate(context, inputs) {
    const { b, config } = context;
    const values = aligned(context, several(context, inputs));
    const [first] = values;
    const setting = config.get("axis") ?? -1;
    // K.concatenate of tfjs takes every negative axis for the last.
    if (typeof setting === "number" && setting < -1) throw config.unsupported("axis", "-1 or a positive one", setting);
    const axis = typeof setting === "number" ? axisOf(first!, setting) : undefined;
    if (axis === undefined || axis === 0)
      throw config.malformed("axis", `an axis of ${showShape(first!.shape)}`, setting);
    const shape = first!.shape.map((length, i) => {
      const lengths = values.map((value) => value.shape[i]);
      if (i === axis)
        return lengths.reduce<Length>((sum, l) => (sum === undefined || l === undefined ? undefined : sum + l), 0);
      if (
        values.some((value) => value.shape.length !== first!.shape.length) ||
        !lengths.every((l) => agree(l, length))
      ) {
        throw config.malformed(
          "inputs",
          "the same shape but for its axis",
          values.map(({ shape: s }) => showShape(s)),
        );
      }
      return length;
    });
    const names = values.map(({ name }) => name);
    const name = b.add("Concat", names, { axis: attribute.int(storedAxis(first!, axis)) });
    return { ...first!, name, shape };
  },

  Dot(context, inputs) {
    const { b, config, views } = context;
    const values = several(context, inputs).map((value) => views.plain(value));
    const [x, y] = values;
    const setting = config.get("axes");
    const axes = values.map((value, i) => axisOf(value, Number(Array.isArray(setting) ? setting[i] : setting)));
    const rank = x!.shape.length;
    const sound =
      values.length === 2 && y!.shape.length === rank && axes.every((axis) => axis !== undefined && axis > 0);
    if (!sound || (rank !== 2 && rank !== 3)) {
      throw config.unsupported(
        "inputs",
        "two of two or of three axes",
        values.map(({ shape }) => showShape(shape)),
      );
    }
    const [a, c] = values.map(({ name }, i) =>
      config.flag("normalize", false) ? normalize(context, name, axes[i]!) : name,
    );
    if (rank === 2) {
      const name = b.add("ReduceSum", [b.add("Mul", [a!, c!]), b.int64([1])], { keepdims: attribute.int(1) });
      return { ...x!, name, shape: [x!.shape[0], 1] };
    }
    const flip = (name: string) => b.add("Transpose", [name], { perm: attribute.ints([0, 2, 1]) });
    const left = axes[0] === 2 ? a! : flip(a!);
    const right = axes[1] === 1 ? c! : flip(c!);
    return {
      ...x!,
      name: b.add("MatMul", [left, right]),
      shape: [x!.shape[0], x!.shape[3 - axes[0]!], y!.shape[3 - axes[1]!]],
    };
  },
};

/** tfjs's l2Normalize: divided by the square root of the sum of squares, which is 1e-7 at least. */
function normalize({ b }: LayerContext, x: string, axis: number): string {
  const squares = b.add("ReduceSum", [b.add("Mul", [x, x]), b.int64([axis])], { keepdims: attribute.int(1) });
  return b.add("Div", [x, b.add("Sqrt", [b.add("Max", [squares, b.scalar(1e-7)])])]);
}

function several({ config }: LayerContext, inputs: readonly Value[]): readonly Value[] {
  if (inputs.length < 2) throw config.malformed("inputs", "two or more", inputs.length);
  return inputs;
}

/** Values in one layout: channels first where one of them already is. */
function aligned({ views }: LayerContext, values: readonly Value[]): readonly Value[] {
  const rank = values[0]!.shape.length;
  const together = values.every(({ shape }) => shape.length === rank);
  if (together && rank > 2 && values.some(({ layout }) => layout === "first")) return values.map((v) => views.first(v));
  const [{ layout }] = values as [Value];
  const flat = typeof layout === "object" && values.every((value) => `${value.layout}` === `${layout}`);
  return flat && together ? values : values.map((value) => views.plain(value));
}

function combine(context: LayerContext, inputs: readonly Value[], op: string): Value {
  const { b, config } = context;
  const values = several(context, inputs);
  const rank = Math.max(...values.map(({ shape }) => shape.length));
  // tfjs gives values of fewer axes new ones behind the batch.
  const expanded = aligned(context, values).map((value) => {
    const missing = rank - value.shape.length;
    if (missing === 0) return value;
    const name = b.add("Unsqueeze", [value.name, b.int64(range(1, missing + 1))]);
    return { ...value, name, shape: [value.shape[0], ...range(0, missing).map(() => 1), ...value.shape.slice(1)] };
  });
  const shape = expanded[0]!.shape.map((_, axis) => {
    const lengths = expanded.map((value) => value.shape[axis]).filter((length) => length !== 1);
    if (!lengths.every((length) => agree(length, lengths[0]))) {
      throw config.malformed(
        "inputs",
        "shapes that broadcast",
        values.map((value) => showShape(value.shape)),
      );
    }
    return lengths.length === 0 ? 1 : lengths.includes(undefined) ? undefined : lengths[0];
  });
  const name = expanded.map((value) => value.name).reduce((left, right) => b.add(op, [left, right]));
  return { ...expanded[0]!, name, shape };
}

function agree(one: Length, other: Length): boolean {
  return one === other || one === undefined || other === undefined;
}
