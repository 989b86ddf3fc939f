import { expected, ParapetError } from "@parapet/core";
import { type Graph, int, type Node } from "./graph.ts";
import type { OnnxErrorCode } from "./problem.ts";

/** Where the logits of a classifier are. */
export interface Head {
  /** The value that holds the logits. */
  readonly logits: string;
  /** "none" where the output is taken as it is. */
  readonly kind: "none" | "softmax" | "log-softmax" | "sigmoid";
}

const PASSING = new Set(["Identity", "Cast"]);

/**
 * Finds the logits behind an output: before a softmax or one sigmoid unit, so that they are exact where probabilities
 * saturate. Log-probabilities are logits up to a constant per row and stay.
 *
 * @throws ParapetError "onnx/unsupported-model" where the end is known to be something else
 */
export function findHead(graph: Graph, output: string): Head {
  const maker = (name: string): Node | undefined => graph.nodes.find(({ outputs }) => outputs.includes(name));
  let node = maker(output);
  while (node !== undefined && PASSING.has(node.op)) node = maker(node.inputs[0]!);
  if (node?.domain !== "") return { logits: output, kind: "none" };
  switch (node.op) {
    case "Softmax": {
      const axis = int(node, "axis", -1);
      if (axis !== -1 && axis !== 1) {
        throw new ParapetError<OnnxErrorCode>(
          "onnx/unsupported-model",
          expected("axis of the softmax", "the last one", axis),
        );
      }
      return { logits: node.inputs[0]!, kind: "softmax" };
    }
    case "LogSoftmax":
      return { logits: node.inputs[0]!, kind: "log-softmax" };
    case "Sigmoid":
      return { logits: node.inputs[0]!, kind: "sigmoid" };
    default:
      return { logits: output, kind: "none" };
  }
}
