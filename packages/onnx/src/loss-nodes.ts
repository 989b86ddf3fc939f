import type { LossForm } from "@parapet/core";
import type { Builder } from "./builder.ts";
import { attribute, type ValueInfo } from "./graph.ts";
import { value } from "./runtime.ts";

/** The losses whose cotangent is part of a gradient graph, so that one run gives logits and gradient. */
export type LossKind = LossForm["kind"];

/** Names of the inputs that a gradient graph takes besides the model's own. */
export const lossInput = { linear: "parapet_cotangent", labels: "parapet_labels" } as const;

/**
 * Writes the cotangent of the logits for a loss.
 *
 * @param logits - the value `[n, outputSize]`; 1 is a single logit z that the world sees as `[0, z]`
 * @returns its name, and the input that brings the labels `[n]` (int64) or the cotangent itself
 */
export function lossNodes(
  b: Builder,
  kind: LossKind,
  logits: string,
  outputSize: number,
): { cotangent: string; input: ValueInfo } {
  if (kind === "linear") {
    const input = value(lossInput.linear, "float32", [undefined, outputSize]);
    return { cotangent: input.name, input };
  }
  const input = value(lossInput.labels, "int64", [undefined]);
  if (outputSize === 1) {
    // s = 1 for class 0, -1 for class 1: cross-entropy has the derivative s sigmoid(s z), the margin s.
    const label = b.add("Unsqueeze", [b.add("Cast", [input.name], { to: attribute.int(1) }), b.int64([1])]);
    const s = b.add("Sub", [b.scalar(1), b.add("Mul", [b.scalar(2), label])]);
    return {
      cotangent: kind === "margin" ? s : b.add("Mul", [s, b.add("Sigmoid", [b.add("Mul", [s, logits])])]),
      input,
    };
  }
  const depth = b.int64([outputSize]);
  const offOn = b.constant({ dtype: "float32", shape: [2], data: Float32Array.of(0, 1) });
  const target = b.add("OneHot", [input.name, depth, offOn]);
  if (kind === "margin") {
    const others = b.add("Sub", [logits, b.add("Mul", [target, b.scalar(1e30)])]);
    const best = b.add("ArgMax", [others], { axis: attribute.int(-1), keepdims: attribute.int(0) });
    return { cotangent: b.add("Sub", [b.add("OneHot", [best, depth, offOn]), target]), input };
  }
  // softmax - onehot, with the label's entry as minus the sum of the others: no cancellation where the model is sure.
  const p = b.add("Softmax", [logits], { axis: attribute.int(-1) });
  const others = b.add("Mul", [p, b.add("Sub", [b.scalar(1), target])]);
  // A product with ones: onnxruntime's ReduceSum rounds differently with a row's place in memory, this does not.
  const ones = b.constant({ dtype: "float32", shape: [outputSize, 1], data: new Float32Array(outputSize).fill(1) });
  const sum = b.add("MatMul", [others, ones]);
  return { cotangent: b.add("Sub", [others, b.add("Mul", [target, sum])]), input };
}
