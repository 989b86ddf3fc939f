import { type Bounds, type DifferentiableClassifier, expected, ParapetError } from "@parapet/core";
import type * as tf from "@tensorflow/tfjs-core";
import { createEngine, differentiable } from "./classifier.ts";
import type { TfjsErrorCode } from "./problem.ts";

/** What is used of a `tf.GraphModel`, structurally. */
export interface GraphModelLike {
  readonly inputs: readonly { readonly name: string; readonly shape?: readonly (number | null)[] }[];
  readonly outputs: readonly { readonly name: string; readonly shape?: readonly (number | null)[] }[];
  readonly weights: Readonly<Record<string, readonly tf.Tensor[]>>;
  execute(inputs: tf.Tensor, outputs?: string): tf.Tensor | tf.Tensor[];
}

/** What `fromGraphModel` must be told. */
export interface GraphModelOptions {
  /** The values an input may have. */
  readonly bounds: Bounds;
  /** The shape of one example, where the model does not say. */
  readonly inputShape?: readonly number[];
  /** The number of classes, where the model does not say; 2 with a single sigmoid. */
  readonly numClasses?: number;
}

/** A node of the graph, as the converter keeps it. */
interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly GraphNode[];
}

/**
 * Wraps a `tf.GraphModel` (converted from TensorFlow) with one input and one output `[n, classes]`.
 *
 * A graph model is frozen: it can be attacked, not trained. A softmax at the end is left out by asking for the node
 * before it; with a sigmoid over one unit, its argument z is presented as `[0, z]`.
 *
 * @param model - the model, on any backend of tfjs 4.x
 * @param options - `bounds`, and the shapes that the model leaves open
 * @returns the model as a classifier
 * @throws TypeError when it has several inputs or outputs, or a shape is missing
 * @throws ParapetError `"tfjs/unsupported-model"` when it ends in probabilities whose logits cannot be recovered
 *
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs";
 * import { ndArray } from "@parapet/core";
 * import { fromGraphModel } from "@parapet/tfjs";
 * await tf.setBackend("cpu");
 * // A graph of one operation, in place of tf.loadGraphModel("model/model.json"): the logits are -x.
 * const type = { type: "DT_FLOAT" };
 * const shape = { shape: { dim: [{ size: "-1" }, { size: "3" }] } };
 * const node = [
 *   { name: "x", op: "Placeholder", attr: { dtype: type, shape } },
 *   { name: "logits", op: "Neg", input: ["x"], attr: { T: type } },
 * ];
 * const weights = { weightSpecs: [], weightData: new ArrayBuffer(0) };
 * const topology = { node, versions: { producer: 1 } };
 * const graph = await tf.loadGraphModel(tf.io.fromMemory({ modelTopology: topology, ...weights }));
 * const model = fromGraphModel(graph, { bounds: { lower: 0, upper: 1 }, numClasses: 3 });
 * console.log((await model.logits(ndArray([0.25, 0.5, 1], [1, 3]))).data.join(" ")); // => -0.25 -0.5 -1
 * ```
 */
export function fromGraphModel(model: GraphModelLike, options: GraphModelOptions): DifferentiableClassifier {
  if (model.inputs.length !== 1 || model.outputs.length !== 1) {
    throw new TypeError(
      expected("model", "one input and one output", `${model.inputs.length} inputs, ${model.outputs.length} outputs`),
    );
  }
  const inputShape = options.inputShape ?? model.inputs[0]!.shape?.slice(1);
  if (inputShape === undefined || inputShape.some((length) => length === null || length < 0)) {
    throw new TypeError(expected("inputShape", "given, because the model leaves axes open", inputShape));
  }
  const { node, kind } = logitsNode(model);
  const declared = model.outputs[0]!.shape?.at(-1);
  const numClasses =
    options.numClasses ?? (typeof declared === "number" && declared > 0 ? Math.max(2, declared) : undefined);
  if (numClasses === undefined)
    throw new TypeError(expected("numClasses", "given, because the model leaves it open", "none"));
  const single = kind === "sigmoid" || declared === 1;
  if (single && numClasses !== 2) {
    throw unsupported(`sigmoids over ${numClasses} units answer ${numClasses} questions, not one`);
  }
  const engine = createEngine({
    inputShape: inputShape as number[],
    outputSize: single ? 1 : numClasses,
    bounds: options.bounds,
    forward: (x) => {
      const output = model.execute(x, node);
      return Array.isArray(output) ? output[0]! : output;
    },
    isDisposed: () => Object.values(model.weights).some((list) => list.some((tensor) => tensor?.isDisposed)),
    buffers: new Map(),
  });
  return differentiable(engine);
}

/** The name of the node whose output is the logits. */
function logitsNode(model: GraphModelLike): { node: string; kind: "logits" | "softmax" | "sigmoid" } {
  const { executor } = model as unknown as {
    readonly executor?: { readonly graph?: { readonly outputs: readonly GraphNode[] } };
  };
  let node = executor?.graph?.outputs[0];
  const name = model.outputs[0]!.name;
  while (node !== undefined && (node.op === "Identity" || node.op === "StopGradient")) node = node.inputs[0];
  switch (node?.op) {
    case "Softmax":
      return { node: node.inputs[0]!.name, kind: "softmax" };
    case "Sigmoid":
      return { node: node.inputs[0]!.name, kind: "sigmoid" };
    default:
      // Log-probabilities are logits up to a constant per row, so LogSoftmax stays.
      return { node: name, kind: "logits" };
  }
}

function unsupported(why: string): ParapetError<TfjsErrorCode> {
  return new ParapetError(
    "tfjs/unsupported-model",
    `"model" expected logits, a softmax, or one sigmoid unit at its end, but ${why}. ` +
      "Use fromFunction() with a function that gives logits [n, classes].",
  );
}
