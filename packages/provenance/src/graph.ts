import { indexRun } from "./index-run.ts";
import { problem, shown } from "./problem.ts";
import type { Activity, Artefact, Run } from "./run.ts";

/** An artefact or a step, in the graph that runs make together: an artefact is one node, in however many runs it stands. */
export type GraphNode =
  | { readonly type: "artefact"; readonly key: string; readonly artefact: Artefact }
  | { readonly type: "activity"; readonly key: string; readonly activity: Activity; readonly run: Run };

/** Nodes so that each comes after all that it was made from, and edges between them by their places. */
export interface GraphOrder {
  readonly nodes: readonly GraphNode[];
  /** From what was used to the step, from the step to what it made. Each once, whatever the roles. */
  readonly edges: readonly (readonly [from: number, to: number])[];
  /** The length of the longest way from a source to each node. */
  readonly depths: readonly number[];
}

/**
 * Brings the artefacts and steps of runs into an order in which each comes after all that it was made from. Where the order is
 * open, that of the runs is kept. Takes time in proportion to the graph, and no recursion.
 *
 * @param runs - one run, or several that share artefacts
 * @returns nodes, edges between their places, and the depth of each node
 * @throws RangeError when a step uses or makes an artefact that its run does not have; ParapetError `provenance/cycle` when
 *   something was made from itself
 *
 * @example
 * ```ts
 * import { orderOf, type Run } from "@parapet/provenance";
 * const [data, model] = ["a", "b"].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string];
 * const run: Run = {
 *   schema: "urn:parapet:evidence:lineage:v1", id: "00000000-0000-4000-8000-000000000001", name: "digits",
 *   started: "2026-03-01T09:00:00Z", status: "done", code: {},
 *   environment: { runtime: "node 20.20.2", platform: "linux x64", packages: {}, variables: {} },
 *   artefacts: [{ id: model, kind: "model", name: "digits" }, { id: data, kind: "dataset", name: "mnist" }],
 *   activities: [{
 *     id: "train", kind: "train", name: "Train", started: "2026-03-01T09:00:00Z", status: "done", parameters: {}, seeds: {},
 *     metrics: {}, used: [{ artefact: data, role: "training data" }], made: [{ artefact: model, role: "weights" }],
 *   }],
 * };
 * const { nodes } = orderOf(run);
 * console.log(nodes.map(({ key }) => key.slice(-8)).join(" ")); // => aaaaaaaa 01/train bbbbbbbb
 * ```
 *
 * Source: Arthur B. Kahn, "Topological sorting of large networks", Communications of the ACM 5(11), 1962.
 */
export function orderOf(runs: Run | readonly Run[]): GraphOrder {
  const { nodes, edges } = graphOf(Array.isArray(runs) ? (runs as readonly Run[]) : [runs as Run]);
  const after: number[][] = nodes.map(() => []);
  const waiting = nodes.map(() => 0);
  for (const [from, to] of edges) {
    after[from]!.push(to);
    waiting[to]!++;
  }
  const depths = nodes.map(() => 0);
  const order = nodes.flatMap((_, i) => (waiting[i] === 0 ? [i] : []));
  for (let at = 0; at < order.length; at++) {
    const from = order[at]!;
    for (const to of after[from]!) {
      depths[to] = Math.max(depths[to]!, depths[from]! + 1);
      waiting[to]!--;
      if (waiting[to] === 0) order.push(to);
    }
  }
  if (order.length < nodes.length) {
    const stuck = nodes[waiting.findIndex((count) => count > 0)]!;
    throw problem(
      "provenance/cycle",
      `runs expected a graph without a cycle, got one at or before ${stuck.type} ${shown(stuck.key)}: something was made from itself`,
    );
  }
  const places = nodes.map(() => 0);
  for (const [place, node] of order.entries()) places[node] = place;
  return {
    nodes: order.map((node) => nodes[node]!),
    edges: edges.map(([from, to]) => [places[from]!, places[to]!] as const),
    depths: order.map((node) => depths[node]!),
  };
}

function graphOf(runs: readonly Run[]) {
  const nodes: GraphNode[] = [];
  const edges: (readonly [number, number])[] = [];
  const artefacts = new Map<string, number>();
  const seen = new Set<string>();
  for (const run of runs) {
    indexRun(run);
    if (seen.has(run.id)) throw new RangeError(`"runs" expected each run once, got ${shown(run.id)} twice`);
    seen.add(run.id);
    for (const artefact of run.artefacts) {
      if (artefacts.has(artefact.id)) continue;
      artefacts.set(artefact.id, nodes.length);
      nodes.push({ type: "artefact", key: artefact.id, artefact });
    }
    for (const activity of run.activities) {
      const place = nodes.length;
      nodes.push({ type: "activity", key: `${run.id}/${activity.id}`, activity, run });
      const ids = (uses: Activity["used"]) => [...new Set(uses.map((use) => use.artefact))];
      for (const id of ids(activity.used)) edges.push([artefacts.get(id)!, place]);
      for (const id of ids(activity.made)) edges.push([place, artefacts.get(id)!]);
    }
  }
  return { nodes, edges };
}
