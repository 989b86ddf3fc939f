import type { Graph, Node } from "../graph.ts";
import { brief, malformed } from "../problem.ts";
import { describe } from "./read-graph.ts";

/** Values that a graph can use: its own so far, and those of the graphs around it. */
interface Scope {
  readonly own: Set<string>;
  readonly outer: Scope | undefined;
}

/**
 * Checks that every name means one value, and that nodes stand in an order in which they can run, subgraphs included:
 * a cycle has no such order.
 */
export function checkOrder(graph: Graph, outer?: Scope): void {
  const scope: Scope = { own: new Set(), outer };
  const define = (name: string, what: string) => {
    // A subgraph may not hide a value of the graphs around it either.
    if (sees(scope, name)) throw malformed(what, "a name of its own", `${brief(name)}, which another value has`);
    scope.own.add(name);
  };
  for (const name of graph.initializers.keys()) define(name, "initializer");
  for (const { name } of graph.inputs) define(name, "input of the graph");
  graph.nodes.forEach((node, index) => {
    for (const input of node.inputs) {
      if (input !== "" && !sees(scope, input)) throw missing(node, input, graph.nodes, index);
    }
    for (const attribute of Object.values(node.attributes)) {
      if (attribute.kind === "graph") checkOrder(attribute.value, scope);
    }
    for (const output of node.outputs) if (output !== "") define(output, `output of ${describe(node)}`);
  });
  const given = new Set<string>();
  for (const { name } of graph.outputs) {
    if (given.has(name)) throw malformed(`output ${brief(name)} of the graph`, "to be there once", "it twice");
    given.add(name);
    if (!sees(scope, name)) throw malformed(`output ${brief(name)} of the graph`, "a node that gives it", "none");
  }
}

function sees(scope: Scope | undefined, name: string): boolean {
  for (let at = scope; at !== undefined; at = at.outer) if (at.own.has(name)) return true;
  return false;
}

function missing(node: Node, input: string, nodes: readonly Node[], index: number) {
  const later = nodes.find((each, i) => i >= index && each.outputs.includes(input));
  const got =
    later === undefined ? "none that gives it" : `${describe(later)} at or after it: out of order, or a cycle`;
  return malformed(describe(node), `a value ${brief(input)} from a node before it`, got);
}
