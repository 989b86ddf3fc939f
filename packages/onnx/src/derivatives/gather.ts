import type { Derivatives } from "../derivative.ts";
import { type Attribute, attribute, int, string } from "../graph.ts";
import { scatterFlat } from "./layout.ts";
import {
  axisOf,
  type Context,
  isStatic,
  numbersOf,
  pad,
  range,
  rankOf,
  refuse,
  shapeOf,
  unsqueeze,
  zerosLike,
} from "./shared.ts";

const sum = { reduction: attribute.string("add") };

/** Operators that take or put entries by their indices. */
export const gather: Derivatives = {
  // added to where they were taken
  Gather: (c, [dy]) => {
    const [x, indices] = c.node.inputs as [string, string];
    const shape = shapeOf(c, x);
    const axis = axisOf(int(c.node, "axis", 0), shape.length);
    const places = rankOf(c, indices);
    const run = consecutive(c, indices, shape[axis]);
    const zeros = (): string => zerosLike(c, x);
    if (run !== undefined && places <= 1) {
      const before = shape.map((_, i) => (i === axis ? run[0] : 0));
      const after = shape.map((_, i) => (i === axis ? run[1] : 0));
      return [pad(c, places === 0 ? unsqueeze(c, dy!, [axis]) : dy!, before, after)];
    }
    // Not ScatterND: onnxruntime's adds from several threads at once, and loses some where indices repeat.
    const flat = (): string => {
      const tail = shape.slice(axis + 1);
      if (!tail.every(isStatic)) return refuse(c, "an axis behind the one gathered from depends on the batch");
      return c.b.add("Reshape", [dy!, c.b.int64([...range(0, axis).map(() => 0), -1, ...tail])]);
    };
    const updates = places === 1 ? dy! : places === 0 ? unsqueeze(c, dy!, [axis]) : flat();
    const along = c.b.add("Reshape", [indices, c.b.int64(shape.map((_, i) => (i === axis ? -1 : 1)))]);
    const where = c.b.add("Expand", [along, c.b.add("Shape", [updates])]);
    return [c.b.add("ScatterElements", [zeros(), where, updates], { axis: attribute.int(axis), ...sum })];
  },

  GatherElements: (c, [dy]) => {
    const [x, indices] = c.node.inputs as [string, string];
    const axis = attribute.int(int(c.node, "axis", 0));
    return [c.b.add("ScatterElements", [zerosLike(c, x), indices, dy!], { axis, ...sum })];
  },

  GatherND: (c, [dy]) => {
    const [x, indices] = c.node.inputs as [string, string];
    const batch = int(c.node, "batch_dims", 0);
    const attributes: Record<string, Attribute> = batch === 0 ? {} : { batch_dims: attribute.int(batch) };
    return [scatterFlat(c, dy!, (numbers) => c.b.add("GatherND", [numbers, indices], attributes), x)];
  },

  // the data's cotangent is overwritten by zeros, or kept where updates were added; the updates' is taken
  ScatterND: (c, [dy]) => {
    const [, indices, updates] = c.node.inputs as [string, string, string];
    return [
      c.needs(0) ? (adds(c) ? dy : c.b.add("ScatterND", [dy!, indices, zerosLike(c, updates)])) : undefined,
      undefined,
      c.needs(2) ? c.b.add("GatherND", [dy!, indices]) : undefined,
    ];
  },

  ScatterElements: (c, [dy]) => {
    const [, indices, updates] = c.node.inputs as [string, string, string];
    const axis = { axis: attribute.int(int(c.node, "axis", 0)) };
    return [
      c.needs(0) ? (adds(c) ? dy : c.b.add("ScatterElements", [dy!, indices, zerosLike(c, updates)], axis)) : undefined,
      undefined,
      c.needs(2) ? c.b.add("GatherElements", [dy!, indices], axis) : undefined,
    ];
  },

  // the largest values' cotangents, put back
  TopK: (c, [dy]) => {
    const [x, indices = ""] = [c.node.inputs[0]!, c.node.outputs[1]];
    if (dy === undefined) return [undefined];
    if (indices === "") return refuse(c, "its indices are not among its outputs");
    const axis = attribute.int(axisOf(int(c.node, "axis", -1), rankOf(c, x)));
    return [c.b.add("ScatterElements", [zerosLike(c, x), indices, dy], { axis })];
  },
};

/** Whether a scatter adds; other ways to combine have no derivative here. */
function adds(c: Context): boolean {
  const reduction = string(c.node, "reduction", "none");
  if (reduction !== "none" && reduction !== "add") refuse(c, `reduction "${reduction}"`);
  return reduction === "add";
}

/** How many entries are before and after constant indices that follow one another. */
function consecutive(c: Context, indices: string, dim: unknown): [number, number] | undefined {
  const tensor = c.constant(indices);
  if (tensor === undefined || typeof dim !== "number") return undefined;
  const at = numbersOf(tensor).map((index) => (index < 0 ? index + dim : index));
  if (at.length === 0 || !at.every((index, i) => index === at[0]! + i)) return undefined;
  return [at[0]!, dim - at[0]! - at.length];
}
