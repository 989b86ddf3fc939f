import { createRng, expected, type NdArray, sizeOf } from "@parapet/core";
import { createBuilder } from "./builder.ts";
import type { Dim, ValueType } from "./derivative.ts";
import { attribute, float, type Graph, int, type Node, type Tensor } from "./graph.ts";
import type { Probe } from "./probe.ts";

/** A random mask that a graph takes as an input: one number for every entry of `shape`, 0 or `1 / (1 - ratio)`. */
export interface Mask {
  readonly name: string;
  readonly ratio: number;
  /** Of one example. */
  readonly shape: readonly number[];
}

/** The nodes of a model for one way of answering. */
export interface Variant {
  /** Different for variants that differ. */
  readonly key: string;
  readonly nodes: readonly Node[];
  /** Constants besides the model's own. */
  readonly initializers: ReadonlyMap<string, Tensor>;
  /** Types of the values that the trial run has not seen. */
  readonly types: ReadonlyMap<string, ValueType>;
  /** Running statistics -> the value that holds what they become. */
  readonly moved: ReadonlyMap<string, string>;
  readonly masks: readonly Mask[];
  /** True where every value is to be had as it is in the file. */
  readonly asWritten?: boolean;
}

/** Every name that a variant has given. */
export const namesOf = ({ nodes, initializers, types }: Variant): readonly string[] => [
  ...nodes.flatMap(({ outputs }) => outputs),
  ...initializers.keys(),
  ...types.keys(),
];

/**
 * The graph as it answers: batch normalisation by its running statistics, no dropout, whatever mode a file was exported
 * in. So no row depends on the others.
 */
export function inferenceGraph(graph: Graph): Graph {
  const nodes = graph.nodes.map((node): Node => {
    if (node.domain !== "") return node;
    if (node.op === "BatchNormalization" && int(node, "training_mode", 0) === 1) {
      const { training_mode: _, ...attributes } = node.attributes;
      return { ...node, outputs: node.outputs.slice(0, 1), attributes };
    }
    if (node.op === "Dropout" && (node.outputs[1] ?? "") === "") return { ...node, inputs: node.inputs.slice(0, 2) };
    return node;
  });
  // The statistics of a file that was exported for training are no outputs any more.
  const made = new Set(nodes.flatMap(({ outputs }) => outputs));
  const given = (name: string) => made.has(name) || graph.initializers.has(name);
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  return { ...graph, nodes, outputs: graph.outputs.filter(({ name }) => given(name) || inputs.has(name)) };
}

/** Running statistics, by the batch normalisations of the graph. */
export function runningStatistics({ nodes, initializers }: Graph): Set<string> {
  const names = new Set<string>();
  for (const { op, domain, inputs } of nodes) {
    if (op !== "BatchNormalization" || domain !== "") continue;
    for (const name of inputs.slice(3, 5)) if (initializers.has(name)) names.add(name);
  }
  return names;
}

/** The inference graph as it is. */
export const asExported = (nodes: readonly Node[]): Variant => ({
  key: "inference",
  nodes,
  initializers: new Map(),
  types: new Map(),
  moved: new Map(),
  masks: [],
});

/**
 * The inference graph while training: batch normalisation by the statistics of the batch, or of each of `parts` equal
 * parts of it, and dropout by masks that come in as inputs. The same graph where there is neither.
 */
export function whileTraining(
  nodes: readonly Node[],
  taken: Iterable<string>,
  { types, constants }: Probe,
  parts: number,
): Variant {
  const b = createBuilder(taken);
  const added = new Map<string, ValueType>();
  const moved = new Map<string, string>();
  const masks: Mask[] = [];
  for (const node of nodes) {
    const [x = "", second = ""] = node.inputs;
    const type = types.get(x);
    if (node.op === "BatchNormalization" && node.domain === "" && typeof type?.shape[1] === "number") {
      const [, scale, offset, mean, variance] = node.inputs as [string, string, string, string, string];
      const channels = type.shape[1];
      const length = b.add("Slice", [b.add("Shape", [x]), b.int64([1]), b.int64([2])]);
      const momentum = float(node, "momentum", 0.9);
      const split = (dim: Dim): Dim =>
        typeof dim === "number" ? dim : { scale: dim.scale / parts, offset: dim.offset / parts };
      const rows: ValueType = { ...type, shape: [split(type.shape[0]!), ...type.shape.slice(1)] };
      const chunks =
        parts === 1
          ? [x]
          : b.addMany("Split", [x], parts, { axis: attribute.int(0), num_outputs: attribute.int(parts) });
      const answers = chunks.map((chunk, part) => {
        // A momentum of 0 makes the new running statistics those of the batch. The old ones are made anew in every run
        // and all are different: onnxruntime writes the new ones into their memory, be it a constant's, the caller's, or
        // that of an equal value elsewhere.
        const old = [0, 1].map((i) => {
          const value: Tensor = { dtype: "float32", shape: [1], data: Float32Array.of(2 * part + i) };
          return b.add("ConstantOfShape", [length], { value: attribute.tensor(value) });
        });
        const outputs = b.addMany("BatchNormalization", [chunk, scale, offset, ...old], 3, {
          ...node.attributes,
          training_mode: attribute.int(1),
          momentum: attribute.float(0),
        });
        const [y, ...statistics] = outputs as [string, string, string];
        added.set(chunk, rows).set(y, rows);
        [mean, variance].forEach((name, i) => {
          added.set(statistics[i]!, { dtype: "float32", shape: [channels] });
          const old = b.add("Mul", [moved.get(name) ?? name, b.scalar(momentum)]);
          moved.set(name, b.add("Add", [old, b.add("Mul", [statistics[i]!, b.scalar(1 - momentum)])]));
        });
        return y;
      });
      const op = parts === 1 ? "Identity" : "Concat";
      b.copy({ ...node, op, inputs: answers, attributes: parts === 1 ? {} : { axis: attribute.int(0) } });
    } else if (node.op === "Dropout" && node.domain === "" && ratioOf(second, constants) > 0) {
      const name = `parapet_dropout_${masks.length}`;
      const shape = type!.shape.slice(1).map(Number);
      masks.push({ name, ratio: ratioOf(second, constants), shape });
      added.set(name, type!);
      b.copy({ ...node, op: "Mul", inputs: [x, name], outputs: node.outputs.slice(0, 1), attributes: {} });
    } else b.copy(node);
  }
  if (masks.length === 0 && added.size === 0) return asExported(nodes);
  for (const name of types.keys()) added.delete(name);
  const { initializers } = b;
  return { key: `training in ${parts}`, nodes: b.nodes, initializers, types: added, moved, masks };
}

function ratioOf(name: string, constants: Probe["constants"]): number {
  if (name === "") return 0.5;
  return Number((constants.get(name)?.data as ArrayLike<number> | undefined)?.[0] ?? 0);
}

/**
 * Checks that there is a random key for each row.
 *
 * @throws TypeError when there is not
 */
export function checkKeys(keys: Uint32Array | undefined, n: number): void {
  if (keys?.length === n) return;
  throw new TypeError(expected("keys", `${n} random keys, one a row, because there is dropout`, keys?.length));
}

/** A mask for a batch, from one random key a row: a row's mask does not depend on the batch. */
export function drawMask({ ratio, shape }: Mask, layer: number, keys: Uint32Array): NdArray {
  const width = sizeOf(shape);
  const data = new Float32Array(keys.length * width);
  keys.forEach((key, row) => {
    const rng = createRng(key).derive("dropout").derive(layer);
    for (let j = row * width; j < (row + 1) * width; j++) data[j] = rng.next() < ratio ? 0 : 1 / (1 - ratio);
  });
  return { dtype: "float32", shape: [keys.length, ...shape], data };
}
