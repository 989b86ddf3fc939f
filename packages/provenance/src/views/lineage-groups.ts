import type { GraphNode, GraphOrder } from "../graph.ts";
import { counted } from "./visible.ts";

/** Nodes that are drawn as one until they are unfolded. */
export interface Group {
  readonly label: string;
  /** What its members are, where they are all the same. */
  readonly kind: string;
  /** Place of the first member: where the group stands in the order. */
  readonly first: number;
  /** Number of nodes in it, at any depth. */
  readonly size: number;
}

/** Who is in which group: indices of nodes first, then of groups, as one list. */
export interface Grouping {
  readonly groups: readonly Group[];
  /** For each node and then each group the index of the group that it is in, counted after the nodes, or -1. */
  readonly parents: readonly number[];
}

/** Steps of one kind that follow each other are folded from this number on. */
const SERIES = 3;
/** Nodes of the same kind at the same depth. */
const SIBLINGS = 8;
/** So many are drawn at once where a group is unfolded, and at the beginning. */
const FAN = 60;

const nameOf = (node: GraphNode): string => (node.type === "artefact" ? node.artefact.name : node.activity.name);
const kindOf = (node: GraphNode): string => (node.type === "artefact" ? node.artefact.kind : node.activity.kind);
const digitsOut = (name: string): string => name.slice(0, 200).replace(/\d+/g, "#");

/**
 * Folds what repeats itself, so that any graph begins with few nodes: steps of one kind and name (but for numbers) that hand
 * artefacts on to each other, such as epochs; nodes of one kind at one depth; and, where that is not enough, whatever lies side
 * by side. No group has more than 60 members: larger ones have groups in them. Takes O(n log n).
 */
export function groupsOf(order: GraphOrder): Grouping {
  const { nodes, edges } = order;
  const parents: number[] = nodes.map(() => -1);
  const groups: Group[] = [];
  const sizeOf = (member: number) => (member < nodes.length ? 1 : groups[member - nodes.length]!.size);
  const firstOf = (member: number) => (member < nodes.length ? member : groups[member - nodes.length]!.first);

  /** A group of members in their order, with groups in it where they are many. Returns the outermost. */
  function fold(members: readonly number[], label: string, kind: string): number {
    let inside = members;
    while (inside.length > FAN) {
      const parts: number[] = [];
      for (let i = 0; i < inside.length; i += FAN) {
        const part = inside.slice(i, i + FAN);
        const range = `${i + 1} to ${i + part.length}`;
        parts.push(
          part.length === 1 ? part[0]! : add(part, inside === members ? `${label}, ${range}` : `${label}, part`, kind),
        );
      }
      inside = parts;
    }
    return add(inside, label, kind);
  }
  function add(members: readonly number[], label: string, kind: string): number {
    const place = nodes.length + groups.length;
    const size = members.reduce((sum, member) => sum + sizeOf(member), 0);
    groups.push({ label, kind, first: Math.min(...members.map(firstOf)), size });
    parents.push(-1);
    for (const member of members) parents[member] = place;
    return place;
  }

  for (const { members, label, kind } of series(order)) fold(members, label, kind);
  const tops = () => parents.flatMap((parent, i) => (parent === -1 ? [i] : [])).sort((a, b) => firstOf(a) - firstOf(b));

  const before = tops();
  const depths = depthsOf(before, firstOf, parents, edges);
  const alike = new Map<string, number[]>();
  for (const member of before) {
    const node = nodes[member];
    const kind =
      node === undefined ? `series of ${groups[member - nodes.length]!.kind}` : `${node.type} ${kindOf(node)}`;
    const key = `${depths.get(member)} ${kind}`;
    const known = alike.get(key);
    if (known) known.push(member);
    else alike.set(key, [member]);
  }
  for (const members of alike.values()) {
    if (members.length < SIBLINGS) continue;
    const node = nodes[members[0]!];
    const kind = node === undefined ? groups[members[0]! - nodes.length]!.kind : kindOf(node);
    const plural = node === undefined ? `${kind} series` : node.type === "artefact" ? plurals(kind) : `${kind} steps`;
    fold(members, `${counted(members.length)} ${plural}`, kind);
  }

  const rest = tops();
  if (rest.length > 4 * FAN) {
    const width = Math.ceil(rest.length / FAN);
    for (let i = 0; i < rest.length; i += width) {
      const members = rest.slice(i, i + width);
      const labelOf = (member: number) =>
        member < nodes.length ? nameOf(nodes[member]!) : groups[member - nodes.length]!.label;
      if (members.length > 1) fold(members, `${labelOf(members[0]!)} … ${labelOf(members.at(-1)!)}`, "mixed");
    }
  }
  return { groups, parents };
}

const plurals = (kind: string): string => (kind === "code" ? "pieces of code" : `${kind}s`);

/** Chains of steps of one kind and name in one run, with what they hand on. */
function series({ nodes, edges }: GraphOrder) {
  const keys = nodes.map((node) =>
    node.type === "activity" ? JSON.stringify([node.run.id, node.activity.kind, digitsOut(node.activity.name)]) : "",
  );
  const leaders = nodes.map((_, i) => i);
  const leaderOf = (node: number): number => {
    let leader = node;
    while (leaders[leader] !== leader) {
      leaders[leader] = leaders[leaders[leader]!]!;
      leader = leaders[leader]!;
    }
    return leader;
  };
  const makers: number[][] = nodes.map(() => []);
  const users: number[][] = nodes.map(() => []);
  for (const [from, to] of edges)
    (nodes[from]!.type === "activity" ? makers[to]! : users[from]!).push(nodes[from]!.type === "activity" ? from : to);
  const handed: (readonly [artefact: number, maker: number])[] = [];
  for (const [artefact, node] of nodes.entries()) {
    if (node.type !== "artefact") continue;
    const known = new Map(makers[artefact]!.map((maker) => [keys[maker]!, maker]));
    for (const user of users[artefact]!) {
      const maker = known.get(keys[user]!);
      if (maker === undefined) continue;
      leaders[leaderOf(user)] = leaderOf(maker);
      handed.push([artefact, maker]);
    }
  }
  const chains = new Map<number, Set<number>>();
  const steps = new Map<number, number>();
  for (const [node, key] of keys.entries()) {
    if (key === "") continue;
    const leader = leaderOf(node);
    chains.set(leader, (chains.get(leader) ?? new Set()).add(node));
    steps.set(leader, (steps.get(leader) ?? 0) + 1);
  }
  for (const [artefact, maker] of handed) chains.get(leaderOf(maker))!.add(artefact);
  return [...chains]
    .filter(([leader]) => steps.get(leader)! >= SERIES)
    .map(([leader, members]) => {
      const sorted = [...members].sort((a, b) => a - b);
      const named = nameOf(nodes[sorted.find((member) => keys[member] !== "")!]!).replace(/[\s\d._-]+$/, "");
      return { members: sorted, label: `${named || "steps"} × ${steps.get(leader)!}`, kind: kindOf(nodes[leader]!) };
    });
}

/** Depths of what is drawn: groups may make circles, so only edges that lead on in the order count. */
function depthsOf(
  tops: readonly number[],
  firstOf: (member: number) => number,
  parents: readonly number[],
  edges: GraphOrder["edges"],
): ReadonlyMap<number, number> {
  const topOf = (node: number) => (parents[node] === -1 ? node : outermost(parents, node));
  const after = new Map<number, number[]>(tops.map((top) => [top, []]));
  for (const [from, to] of edges) {
    const [a, b] = [topOf(from), topOf(to)];
    if (a !== b && firstOf(a) < firstOf(b)) after.get(a)!.push(b);
  }
  const depths = new Map(tops.map((top) => [top, 0]));
  for (const top of tops) {
    for (const next of after.get(top)!) depths.set(next, Math.max(depths.get(next)!, depths.get(top)! + 1));
  }
  return depths;
}

function outermost(parents: readonly number[], node: number): number {
  let top = node;
  while (parents[top] !== -1) top = parents[top]!;
  return top;
}
