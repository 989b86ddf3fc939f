import { derivatives, undifferentiated } from "./derivatives/index.ts";
import type { DeclaredDim, ElementType, Graph, Node } from "./graph.ts";
import { readModel } from "./proto/read.ts";
import type { ReadValueInfo } from "./proto/types.ts";

/** An input or an output, as the file states it. */
export interface OnnxValue {
  readonly name: string;
  /** Undefined where it is no tensor but a sequence or a map. */
  readonly dtype: ElementType | undefined;
  /** Lengths of the axes: a number, a name such as `"batch"`, or undefined; undefined as a whole without a rank. */
  readonly shape: readonly DeclaredDim[] | undefined;
}

/** What an ONNX file says about itself. */
export interface OnnxSummary {
  /** Version of the file format. */
  readonly irVersion: number;
  /** Version of each operator set, `""` for ONNX's own. */
  readonly opsets: Readonly<Record<string, number>>;
  /** The exporter's name, or `""`. */
  readonly producer: string;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** How many nodes there are of each operator, subgraphs included: `"Conv"`, or `"ai.onnx.ml.ZipMap"`. */
  readonly operators: Readonly<Record<string, number>>;
  /** Elements of all constants of float type, subgraphs included. */
  readonly parameters: number;
  /** Nodes that no gradient can pass through, in order. */
  readonly withoutDerivative: readonly { readonly node: string; readonly operator: string }[];
}

/**
 * Lists inputs, outputs, operators and the nodes without a derivative of an ONNX file, without running anything.
 *
 * @param bytes - the file
 * @returns what the file says about itself; a node under `withoutDerivative` matters only where it stands between the
 * input and the output, and operators that yield shapes and integers are not listed there
 * @throws TypeError when `bytes` are no bytes
 * @throws ParapetError `"onnx/malformed"`, `"onnx/unsupported"` or `"onnx/too-large"` when the file cannot be read
 *
 * @example
 * ```ts
 * import { inspectOnnx } from "@parapet/onnx";
 * const file = atob("CAg6PQoMCgF4EgF5IgRSZWx1EgFnWhQKAXgSDwoNCAESCQoDEgFuCgIIBGIUCgF5Eg8KDQgBEgkKAxIBbgoCCARCBAoAEBE=");
 * const { inputs, operators } = inspectOnnx(Uint8Array.from(file, (byte) => byte.charCodeAt(0)));
 * console.log(inputs[0]?.name, inputs[0]?.shape, operators); // => x [ 'n', 4 ] { Relu: 1 }
 * ```
 *
 * Source: Open Neural Network Exchange, IR specification, https://onnx.ai/onnx/repo-docs/IR.html.
 */
export function inspectOnnx(bytes: Uint8Array): OnnxSummary {
  const model = readModel(bytes);
  const operators = new Map<string, number>();
  let parameters = 0;
  const visit = (graph: Graph): void => {
    for (const { dtype, data } of graph.initializers.values()) {
      if (dtype.startsWith("float")) parameters += data.length;
    }
    for (const node of graph.nodes) {
      const operator = nameOf(node);
      operators.set(operator, (operators.get(operator) ?? 0) + 1);
      for (const attribute of Object.values(node.attributes)) if (attribute.kind === "graph") visit(attribute.value);
    }
  };
  visit(model.graph);
  return {
    irVersion: model.irVersion,
    opsets: Object.fromEntries(model.opsets),
    producer: model.producer,
    inputs: [...model.graph.inputs, ...model.otherInputs].map(describeValue),
    outputs: [...model.graph.outputs, ...model.otherOutputs].map(describeValue),
    operators: Object.fromEntries(operators),
    parameters,
    withoutDerivative: model.graph.nodes
      .filter((node) => !isDifferentiated(node))
      .map((node) => ({ node: node.name || (node.outputs[0] ?? ""), operator: nameOf(node) })),
  };
}

function nameOf({ domain, op }: Node): string {
  return domain === "" ? op : `${domain}.${op}`;
}

function isDifferentiated({ domain, op }: Node): boolean {
  return domain === "" && (Object.hasOwn(derivatives, op) || undifferentiated.has(op));
}

function describeValue({ name, dtype, shape, type }: ReadValueInfo): OnnxValue {
  return { name, dtype: type === undefined ? dtype : undefined, shape };
}
