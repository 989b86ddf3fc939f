import { expected, ParapetError } from "@parapet/core";
import { attribute, type Graph, ints, type Model, type Node, type Tensor } from "./graph.ts";
import type { OnnxErrorCode } from "./problem.ts";

/** Gradient nodes are written in this version of ONNX's operator set. */
const targetOpset = 18;

const REDUCTIONS = new Set([
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceProd",
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSum",
  "ReduceLogSumExp",
  "ReduceSumSquare",
]);

/**
 * Rewrites a model of opset 13 to 17 as one of opset 18, so that its nodes and those of its gradient live in one graph.
 * Between these versions, the axes of reductions became an input and Split says how many outputs it has; the other
 * changes only add.
 *
 * @throws ParapetError "onnx/unsupported" below opset 13
 */
export function upgraded(model: Model): Model {
  const version = model.opsets.get("") ?? 1;
  if (version < 13) {
    throw new ParapetError<OnnxErrorCode>(
      "onnx/unsupported",
      `${expected("opset", ">= 13", version)}. Export the model anew, or convert it with onnx.version_converter.`,
    );
  }
  if (version >= targetOpset) return model;
  return { ...model, opsets: new Map([...model.opsets, ["", targetOpset]]), graph: upgradedGraph(model.graph) };
}

function upgradedGraph(graph: Graph): Graph {
  const initializers = new Map<string, Tensor>(graph.initializers);
  const nodes = graph.nodes.map((node): Node => {
    if (node.domain !== "") return node;
    if (REDUCTIONS.has(node.op)) {
      const axes = ints(node, "axes");
      if (axes === undefined || node.inputs.length > 1) return node;
      const name = `${node.outputs[0]}/axes`;
      initializers.set(name, {
        dtype: "int64",
        shape: [axes.length],
        data: BigInt64Array.from(axes, (axis) => BigInt(axis)),
      });
      const { axes: _, ...attributes } = node.attributes;
      return { ...node, inputs: [node.inputs[0]!, name], attributes };
    }
    if (node.op === "Split" && (node.inputs[1] ?? "") === "") {
      const attributes = { ...node.attributes, num_outputs: attribute.int(node.outputs.length) };
      return { ...node, inputs: [node.inputs[0]!], attributes };
    }
    return node;
  });
  return { ...graph, nodes, initializers };
}
