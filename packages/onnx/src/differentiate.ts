import { ParapetError } from "@parapet/core";
import type { Builder } from "./builder.ts";
import type { DerivativeContext, Derivatives, ValueType } from "./derivative.ts";
import { isFloat } from "./derivatives/shared.ts";
import type { Graph, Node, Tensor } from "./graph.ts";
import type { OnnxErrorCode } from "./problem.ts";
import { captured } from "./runtime.ts";

/** What the differentiator needs to know about a graph. */
export interface Differentiable {
  readonly graph: Graph;
  readonly opset: number;
  readonly types: ReadonlyMap<string, ValueType>;
  /** Values that depend on nothing but initializers. */
  readonly constants: ReadonlyMap<string, Tensor>;
  readonly derivatives: Derivatives;
  /** Operators that pass nothing on: their outputs are integers, shapes, booleans or steps. */
  readonly undifferentiated: ReadonlySet<string>;
}

/**
 * Reverse mode: writes nodes for the cotangents of `wrt`, given those of some values.
 *
 * @param source - the graph and what is known about it
 * @param b - takes the nodes; they come after those of the graph
 * @param seeds - value name -> name of its cotangent
 * @param wrt - names of inputs, initializers or values in between
 * @returns for each of `wrt` the name of its cotangent, or undefined where nothing depends on it
 * @throws ParapetError "onnx/no-derivative" for an operator on the path that has none
 */
export function differentiate(
  source: Differentiable,
  b: Builder,
  seeds: ReadonlyMap<string, string>,
  wrt: readonly string[],
): readonly (string | undefined)[] {
  const { graph, types, constants, derivatives, undifferentiated, opset } = source;
  const reached = dependents(graph.nodes, wrt, undifferentiated, types);
  const cotangents = new Map<string, string[]>();
  for (const [value, cotangent] of seeds) cotangents.set(value, [cotangent]);
  const total = (value: string): string | undefined => {
    const parts = cotangents.get(value);
    if (parts === undefined) return undefined;
    const sum = parts.length === 1 ? parts[0]! : b.add(parts.length === 2 ? "Add" : "Sum", parts);
    cotangents.set(value, [sum]);
    return sum;
  };

  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    const needs = node.inputs.map((input) => reached.has(input));
    // What a branch reads from outside is no input, and has no derivative.
    const within = node.op === "If" && captured(node).some((name) => reached.has(name));
    if (!(needs.includes(true) || within) || undifferentiated.has(node.op)) continue;
    const dys = node.outputs.map((output) => (reached.has(output) ? total(output) : undefined));
    if (dys.every((dy) => dy === undefined)) continue;
    const derivative = node.domain === "" ? derivatives[node.op] : undefined;
    if (derivative === undefined) throw noDerivative(node, derivatives);
    const context: DerivativeContext = {
      node,
      b,
      opset,
      type(name) {
        const type = types.get(name);
        if (type === undefined) throw new TypeError(`the type of "${name}" is not known`);
        return type;
      },
      constant: (name) => constants.get(name),
      needs: (index) => needs[index] === true,
    };
    derivative(context, dys).forEach((dx, index) => {
      const input = node.inputs[index];
      if (dx === undefined || input === undefined || !needs[index]) return;
      const parts = cotangents.get(input);
      if (parts === undefined) cotangents.set(input, [dx]);
      else parts.push(dx);
    });
  }
  return wrt.map(total);
}

/** The float values that depend on one of `wrt` by operators that have a derivative. */
function dependents(
  nodes: readonly Node[],
  wrt: readonly string[],
  undifferentiated: ReadonlySet<string>,
  types: ReadonlyMap<string, ValueType>,
): Set<string> {
  const reached = new Set(wrt);
  for (const node of nodes) {
    if (undifferentiated.has(node.op) || !captured(node).some((input) => reached.has(input))) continue;
    for (const output of node.outputs) {
      if (output !== "" && isFloat(types.get(output)?.dtype ?? "float32")) reached.add(output);
    }
  }
  return reached;
}

function noDerivative(node: Node, derivatives: Derivatives): ParapetError<OnnxErrorCode> {
  const operator = node.domain === "" ? node.op : `${node.domain}.${node.op}`;
  const supported = Object.keys(derivatives).sort().join(", ");
  return new ParapetError(
    "onnx/no-derivative",
    `node "${node.name || node.outputs[0]}" expected an operator with a derivative, got ${operator}. ` +
      `The model still answers as a black box. Supported: ${supported}`,
  );
}
