import type { ValueType } from "./derivative.ts";
import { ints, type Node } from "./graph.ts";

/** Nodes, and the types of values that they make anew. */
export interface Rewritten {
  readonly nodes: readonly Node[];
  readonly types: ReadonlyMap<string, ValueType>;
}

/**
 * MaxPool(Relu(x)) as Relu(MaxPool(x)): the same values, and the mask of Relu's derivative is as small as the pool's
 * output. Only where nothing else reads Relu's output.
 */
export function poolBeforeRelu(
  nodes: readonly Node[],
  types: ReadonlyMap<string, ValueType>,
  kept: ReadonlySet<string>,
): Rewritten {
  const readers = new Map<string, number>();
  for (const { inputs } of nodes) for (const name of inputs) readers.set(name, (readers.get(name) ?? 0) + 1);
  const relus = new Map<string, Node>();
  for (const node of nodes) {
    if (node.op === "Relu" && readers.get(node.outputs[0]!) === 1 && !kept.has(node.outputs[0]!)) {
      relus.set(node.outputs[0]!, node);
    }
  }
  const added = new Map<string, ValueType>();
  const moved = new Set<Node>();
  const swapped = nodes.flatMap((node): Node[] => {
    const relu = relus.get(node.inputs[0] ?? "");
    const [y] = node.outputs as [string];
    if (relu === undefined || node.op !== "MaxPool" || node.outputs.length > 1 || !meetsEveryWindow(node))
      return [node];
    const pooled = `${y}/before_relu`;
    if (types.has(pooled)) return [node];
    added.set(pooled, types.get(y)!);
    moved.add(relu);
    return [
      { ...node, inputs: relu.inputs, outputs: [pooled] },
      { ...relu, inputs: [pooled], outputs: [y] },
    ];
  });
  return { nodes: swapped.filter((node) => !moved.has(node)), types: added };
}

/** No window lies in the padding as a whole: there -Infinity would become 0. */
function meetsEveryWindow(node: Node): boolean {
  const kernel = ints(node, "kernel_shape") ?? [];
  const dilated = (ints(node, "dilations") ?? []).some((dilation) => dilation > 1);
  return !dilated && (ints(node, "pads") ?? []).every((length, i) => length < kernel[i % kernel.length]!);
}
