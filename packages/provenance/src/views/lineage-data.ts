import type { Json } from "@parapet/attestation";
import { type GraphNode, orderOf } from "../graph.ts";
import type { Activity, Artefact, RecordsSeen, Run, Use } from "../run.ts";
import { groupsOf } from "./lineage-groups.ts";
import { counted, nameOr, shortened, visible } from "./visible.ts";

/** A line of what is shown of a node: a label and a text, under a heading. */
type Row = readonly [heading: string, label: string, text: string];

/** What the page knows. Nodes stand in their order; groups stand after them. */
export interface LineageData {
  readonly nodes: readonly {
    readonly type: "artefact" | "activity" | "group";
    readonly kind: string;
    readonly name: string;
    readonly status?: string | undefined;
    /** A word under the name. */
    readonly note: string;
    /** Place in the order. */
    readonly rank: number;
    /** The group that it is in, or -1. */
    readonly parent: number;
    readonly rows: readonly Row[];
  }[];
  readonly edges: readonly (readonly [from: number, to: number, role: string])[];
}

/** Longer texts are cut in the page: nobody reads them there, and they are in the run. */
const LONGEST = 1_000;
const text = (value: Json): string => {
  const full = typeof value === "string" ? value : JSON.stringify(value);
  return visible(shortened(full, LONGEST));
};
const rowsOf = (heading: string, values: Readonly<Record<string, Json | undefined>>): readonly Row[] =>
  Object.entries(values).flatMap(([label, value]): Row[] =>
    value === undefined ? [] : [[heading, visible(shortened(label, LONGEST)), text(value)]],
  );

/** Runs as what the page shows. Throws as `orderOf`. */
export function lineageData(runs: readonly Run[]): LineageData {
  const order = orderOf(runs);
  const { groups, parents } = groupsOf(order);
  const roles = rolesOf(order.nodes);
  const single = order.nodes.map((node, rank) => ({
    ...(node.type === "artefact" ? ofArtefact(node.artefact) : ofActivity(node.activity, node.run, runs.length > 1)),
    rank,
    parent: parents[rank]!,
  }));
  const worst = groups.map(() => "");
  const severity = ["", "done", "running", "interrupted", "failed"];
  for (const { status = "", parent } of single) {
    for (let group = parent; group !== -1; group = parents[group]!) {
      const place = group - order.nodes.length;
      if (severity.indexOf(status) > severity.indexOf(worst[place]!)) worst[place] = status;
    }
  }
  return {
    nodes: [
      ...single,
      ...groups.map(({ label, kind, first, size }, i) => ({
        ...{
          type: "group" as const,
          kind,
          name: visible(shortened(label, 200)),
          note: `${counted(size)} nodes`,
          rank: first,
        },
        ...(worst[i] === "" ? {} : { status: worst[i]! }),
        ...{ parent: parents[order.nodes.length + i]!, rows: [] },
      })),
    ],
    edges: order.edges.map(([from, to]) => {
      const [a, b] = [order.nodes[from]!, order.nodes[to]!];
      const [step, artefact, way] = a.type === "activity" ? [a, b, "made"] : [b, a, "used"];
      return [from, to, roles.get(`${way} ${step.key} ${artefact.key}`) ?? ""] as const;
    }),
  };
}

function rolesOf(nodes: readonly GraphNode[]): ReadonlyMap<string, string> {
  const roles = new Map<string, string>();
  for (const node of nodes) {
    if (node.type === "artefact") continue;
    const note = (way: string, uses: readonly Use[]) => {
      for (const { artefact, role, records } of uses) {
        const said = [
          ...(role === "" ? [] : [visible(shortened(role, 200))]),
          ...(records ? [recordsText(records)] : []),
        ];
        const key = `${way} ${node.key} ${artefact}`;
        roles.set(key, [roles.get(key) ?? "", ...said].filter((one) => one !== "").join(", "));
      }
    };
    note("used", node.activity.used);
    note("made", node.activity.made);
  }
  return roles;
}

const recordsText = (records: RecordsSeen): string => `${counted(records.count)} records${records.all ? ", all" : ""}`;

function ofArtefact(artefact: Artefact) {
  const { id, kind, name, uri, mediaType, size, records, licence, description, notes = {} } = artefact;
  const known = {
    ...{
      Digest: id,
      Address: uri,
      "Media type": mediaType,
      Size: size === undefined ? undefined : `${counted(size)} bytes`,
    },
    ...{ Records: records === undefined ? undefined : counted(records), Licence: licence, Description: description },
  };
  return {
    ...{ type: "artefact" as const, kind, name: visible(nameOr(shortened(name, 200))) },
    status: undefined,
    note: records === undefined ? kind : `${kind}, ${counted(records)} records`,
    rows: [...rowsOf("", known), ...rowsOf("Notes", notes)],
  };
}

function ofActivity(activity: Activity, run: Run, isOneOfMany: boolean) {
  const { id, kind, name, status, started, finished, parameters, seeds, metrics, error } = activity;
  const known = {
    Step: id,
    Run: isOneOfMany ? `${run.name} (${run.id})` : undefined,
    Started: started,
    Finished: finished,
    Error: error,
  };
  return {
    ...{ type: "activity" as const, kind, name: visible(nameOr(shortened(name, 200))), status, note: kind },
    rows: [
      ...rowsOf("", known),
      ...rowsOf("Metrics", metrics),
      ...rowsOf("Parameters", parameters),
      ...rowsOf("Seeds", seeds),
    ],
  };
}
