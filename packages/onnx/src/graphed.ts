import {
  type DType,
  expected,
  type Graphed,
  type LayerGraph,
  type LayerNode,
  type NdArray,
  ParapetError,
} from "@parapet/core";
import type { Dim } from "./derivative.ts";
import type { Engine, Source } from "./engine.ts";
import { type Attribute, attribute, type Graph, type Node, type Tensor, type TensorData } from "./graph.ts";
import type { OnnxClassifier } from "./onnx-classifier.ts";
import { probe } from "./probe.ts";
import type { OnnxErrorCode } from "./problem.ts";
import { pruned, untyped } from "./runtime.ts";

/** Attributes that are floats: a number alone does not tell. */
const FLOATS = new Set([
  ...["alpha", "beta", "gamma", "epsilon", "momentum", "bias", "lambd", "ratio", "cubic_coeff_a", "high", "low"],
  ...["mean", "scale", "seed", "spatial_scale", "extrapolation_value", "softcap"],
]);

/** The model's graph in the terms of the contract, and other graphs on its weights. `derive` opens one. */
export function graphed(engine: Engine, derive: (source: Source) => OnnxClassifier): Graphed<OnnxClassifier> {
  const { source, state, queue } = engine;
  return {
    async graph() {
      return queue(async () => {
        const { model, probe: known, input, inputShape, logits } = source;
        const { graph } = model;
        const constants = new Map(known.constants);
        const isConstant = ({ inputs, outputs }: Node) =>
          outputs.every((name) => name === "" || constants.has(name)) &&
          inputs.every((name) => name === "" || constants.has(name));
        // What follows from weights stays a node: it moves with them.
        const fixed = new Set(engine.constants.keys());
        const nodes = graph.nodes.filter(
          (node) => !(isConstant(node) && node.outputs.every((name) => name === "" || fixed.has(name))),
        );
        const shapes = new Map<string, Tensor>();
        const simple = nodes.map((node) => plainNode(node, known.types.get(node.outputs[0]!)?.shape, fixed, shapes));
        const initializers = new Map([...graph.initializers, ...engine.constants, ...shapes]);
        const { nodes: used } = pruned({
          ...graph,
          nodes: simple,
          outputs: [untyped(logits)],
          initializers: new Map(),
        });
        const names = new Set(used.flatMap(({ inputs }) => inputs));
        const parameters = new Map<string, NdArray<DType>>();
        for (const [name, tensor] of initializers) {
          if (!names.has(name)) continue;
          const now = state.tensors[name];
          const moved = now === undefined ? tensor : { ...tensor, data: now.data as Float32Array };
          parameters.set(name, toPlain(name, moved as Tensor));
        }
        return { input, inputShape, output: logits, nodes: used.map(toLayerNode), parameters };
      });
    },

    async compile(graph) {
      return queue(async () => {
        const model = derive(await compiled(source, state.tensors, graph));
        engine.onRelease(() => model.release());
        return model;
      });
    },
  };
}

/**
 * A node without what the contract has no words for: a Reshape to a shape that the graph computes from the batch becomes
 * one to what it comes out as, a ConstantOfShape the Expand of a parameter.
 */
function plainNode(
  node: Node,
  shape: readonly Dim[] | undefined,
  fixed: ReadonlySet<string>,
  added: Map<string, Tensor>,
): Node {
  const [x = "", target = ""] = node.inputs;
  const name = `${node.outputs[0]}/${node.op}`;
  if (node.op === "ConstantOfShape") {
    const { value } = node.attributes;
    added.set(
      name,
      value?.kind === "tensor" ? value.value : { dtype: "float32", shape: [1], data: new Float32Array(1) },
    );
    return { ...node, op: "Expand", inputs: [name, x], attributes: {} };
  }
  const open = shape?.filter((dim) => typeof dim !== "number").length ?? 2;
  if (node.op !== "Reshape" || fixed.has(target) || open > 1 || shape?.includes(0)) return node;
  const data = BigInt64Array.from(shape!, (dim) => BigInt(typeof dim === "number" ? dim : -1));
  added.set(name, { dtype: "int64", shape: [data.length], data });
  return { ...node, inputs: [x, name], attributes: {} };
}

function toLayerNode({ op, domain, inputs, outputs, attributes }: Node): LayerNode {
  const plain = Object.entries(attributes).map(([name, { kind, value }]) => {
    if (kind === "tensor" || kind === "graph" || kind === "strings") throw notPlain(op, `the attribute "${name}"`);
    return [name, value] as const;
  });
  if (domain !== "") throw notPlain(op, `the domain "${domain}"`);
  return { op, inputs, outputs, attributes: Object.fromEntries(plain) };
}

function notPlain(op: string, what: string): ParapetError<OnnxErrorCode> {
  return new ParapetError("onnx/unsupported", expected(`node ${op}`, "one with plain attributes", what));
}

/** int64, as ONNX has shapes and indices, becomes int32: an end beyond all ends stays one. */
function toPlain(name: string, { dtype, shape, data }: Tensor): NdArray<DType> {
  const whole = (value: bigint | number): number => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Number(value)));
  if (dtype === "float32") return { dtype, shape: [...shape], data: (data as Float32Array).slice() };
  if (dtype === "bool") return { dtype, shape: [...shape], data: (data as Uint8Array).slice() };
  if (dtype === "int32" || dtype === "int64") {
    return { dtype: "int32", shape: [...shape], data: Int32Array.from(data as unknown as ArrayLike<number>, whole) };
  }
  throw new ParapetError<OnnxErrorCode>(
    "onnx/unsupported",
    expected(`parameter "${name}"`, "float32, int32, int64 or bool", dtype),
  );
}

/** A source for a graph, with the weights that it shares. */
async function compiled(
  source: Source,
  held: Readonly<Record<string, { dims: readonly number[] }>>,
  graph: LayerGraph,
): Promise<Source> {
  const { runtime, model } = source;
  const initializers = new Map<string, Tensor>();
  for (const [name, { dtype, shape, data }] of graph.parameters) {
    const own = held[name];
    if (own !== undefined && (dtype !== "float32" || own.dims.join() !== shape.join())) {
      throw new TypeError(
        expected(`parameter "${name}"`, `float32 [${own.dims}], as the weight`, `${dtype} [${shape}]`),
      );
    }
    const before = model.graph.initializers.get(name)?.dtype;
    const tensor: Tensor =
      dtype === "int32" && before !== "int32"
        ? { dtype: "int64", shape, data: BigInt64Array.from(data as Int32Array, BigInt) }
        : ({ dtype, shape, data: (data as Float32Array).slice() as TensorData["float32"] } as Tensor);
    initializers.set(name, tensor);
  }
  const nodes = graph.nodes.map(
    ({ op, inputs, outputs, attributes }): Node => ({
      name: outputs[0]!,
      op,
      domain: "",
      inputs,
      outputs,
      attributes: Object.fromEntries(
        Object.entries(attributes).map(([name, value]) => [name, toAttribute(name, value)]),
      ),
    }),
  );
  const { input, inputShape, output } = graph;
  const others = model.graph.inputs.filter(({ name }) => name !== source.input && name !== input);
  const whole: Graph = {
    name: model.graph.name,
    inputs: [{ name: input, dtype: "float32", shape: ["batch", ...inputShape] }, ...others],
    outputs: [untyped(output)],
    initializers,
    nodes,
  };
  const used = pruned(whole);
  const trial = (n: number) => source.trial(n, input, inputShape);
  const found = await probe(runtime, { ...model, graph: used }, trial, output, source.batches);
  const type = found.types.get(output);
  const size = type?.shape[1];
  if (type?.dtype !== "float32" || type.shape.length !== 2 || typeof size !== "number") {
    throw new TypeError(expected(`output "${output}"`, "float32 logits of shape [n, classes]", type?.shape));
  }
  const logits = { logits: output, outputSize: size, probabilities: false };
  return { ...source, model: { ...model, graph: used }, probe: found, input, inputShape, ...logits };
}

function toAttribute(name: string, value: number | readonly number[] | string): Attribute {
  if (typeof value === "string") return attribute.string(value);
  if (typeof value === "number") return FLOATS.has(name) ? attribute.float(value) : attribute.int(value);
  return value.every(Number.isSafeInteger) ? attribute.ints(value) : attribute.floats(value);
}
