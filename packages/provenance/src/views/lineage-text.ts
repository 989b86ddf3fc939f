import { checkNumber, expected } from "@parapet/core";
import { digestOf } from "../index-run.ts";
import type { Activity, Run } from "../run.ts";
import { amounts, count, duration, type Lineage, lineageOf, outcomes, pairs, partOf } from "./lineage.ts";
import { cut, visible, widthOf } from "./visible.ts";

/** What `lineageText` can be told. */
export interface LineageTextOptions {
  /** The id of the artefact to begin with. By default the models that came out. */
  readonly artefact?: string;
  /** Columns of the terminal, at least 40; 100 by default. */
  readonly width?: number;
  /** How many artefacts and steps are printed at most; 500 by default. */
  readonly limit?: number;
}

/** A node to be printed: what stands before its mark, and before the lines after that. */
interface Pending {
  readonly place: number;
  readonly lead: string;
  readonly rest: string;
  readonly part: string;
}

const MARKS: Readonly<Record<string, string>> = { done: "○", running: "…", failed: "✗", interrupted: "!" };

/**
 * A summary for the terminal of where a model came from: down from the model, each step below what it made, and what it used below
 * the step. The longest way down goes straight, all else branches off; what was printed before is referred to. Steps that failed,
 * were interrupted or still run are marked, and so are those that measured something on the way.
 *
 * Controls and whatever turns the direction of text are printed as their numbers. Takes time in proportion to the graph.
 *
 * @param runs - one run, or several that share artefacts
 * @param options - where to begin, how wide, how long
 * @returns lines of at most `width` columns, each with a line feed at its end
 * @throws RangeError when the artefact is not there or a run is not consistent; ParapetError `provenance/cycle`
 *
 * @example
 * ```ts
 * import { lineageText, type Run } from "@parapet/provenance";
 * const [data, model] = ["a", "b"].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string];
 * const run: Run = {
 *   schema: "urn:parapet:evidence:lineage:v1", id: "00000000-0000-4000-8000-000000000001", name: "digits",
 *   started: "2026-03-01T09:00:00Z", status: "done", code: {},
 *   environment: { runtime: "node 20.20.2", platform: "linux x64", packages: {}, variables: {} },
 *   artefacts: [{ id: model, kind: "model", name: "digits" }, { id: data, kind: "dataset", name: "mnist", records: 60000 }],
 *   activities: [{
 *     id: "train", kind: "train", name: "Train", started: "2026-03-01T09:00:00Z", status: "done", parameters: {}, seeds: {},
 *     metrics: {}, used: [{ artefact: data, role: "training data" }], made: [{ artefact: model, role: "weights" }],
 *   }],
 * };
 * const lines = lineageText(run).split("\n");
 * console.log(lines[3]); // => ○ Train · train
 * ```
 */
export function lineageText(runs: Run | readonly Run[], options: LineageTextOptions = {}): string {
  const { artefact, width = 100, limit = 500 } = options;
  checkNumber("width", width, { min: 40, integer: true });
  checkNumber("limit", limit, { min: 1, integer: true });
  const lineage = lineageOf(runs);
  const begin = artefact === undefined ? outcomes(lineage) : [placeOf(lineage, artefact)];
  const wanted = ancestors(lineage, begin);
  const lines = lineage.runs.slice(0, 20).map((run) => heading(run));
  if (lineage.runs.length > 20) lines.push(`… ${count(lineage.runs.length - 20)} more runs`);
  const printed = new Set<number>();
  const later: number[] = [...begin];
  for (let at = 0; at < later.length && printed.size < limit; at++) {
    if (!printed.has(later[at]!))
      lines.push("", ...descend(lineage, later[at]!, { wanted, printed, later, width, limit }));
  }
  const left = [...wanted].filter((place) => !printed.has(place)).length;
  if (left > 0) lines.push("", `… ${count(left)} more artefacts and steps are left out`);
  const others = lineage.nodes.flatMap((node, place) => (wanted.has(place) || printed.has(place) ? [] : [node]));
  if (others.length > 0) {
    const failed = others.filter((node) => node.type === "activity" && node.activity.status !== "done").length;
    const among = failed > 0 ? `, ${count(failed)} of them steps that did not end well` : "";
    lines.push("", `Not on this way: ${count(others.length)} artefacts and steps${among}`);
  }
  return lines.map((line) => `${cut(line, width)}\n`).join("");
}

function placeOf({ places }: Lineage, id: string): number {
  const place = places.get(id);
  if (place === undefined) throw new RangeError(expected("artefact", "the id of an artefact of the runs", id));
  return place;
}

function heading({ name, status, started, finished, code, environment }: Run): string {
  const { commit, modified } = code;
  return [
    `Run ${visible(name)}`,
    ...[status, started, finished === undefined ? undefined : duration({ started, finished })],
    commit && `commit ${commit.slice(0, 12)}${modified ? " with changes" : ""}`,
    ...[environment.runtime, environment.platform],
  ]
    .filter((text) => text !== undefined && text !== "")
    .map((text) => visible(text!))
    .join(" · ");
}

/** The nodes themselves and all that they came from. */
function ancestors({ sources }: Lineage, begin: readonly number[]): Set<number> {
  const seen = new Set(begin);
  for (const place of seen) for (const source of sources[place]!) seen.add(source);
  return seen;
}

interface Walk {
  readonly wanted: ReadonlySet<number>;
  readonly printed: Set<number>;
  /** What there was no room for, to be printed on its own. */
  readonly later: number[];
  readonly width: number;
  readonly limit: number;
}

/** The lines of a node and all below it that was not printed before. */
function descend(lineage: Lineage, root: number, { wanted, printed, later, width, limit }: Walk): string[] {
  const { nodes, sources, depths } = lineage;
  const lines: string[] = [];
  const stack: Pending[] = [{ place: root, lead: "", rest: "", part: "" }];
  const put = (lead: string, text: string) => lines.push(lead + cut(text, width - lead.length));
  while (stack.length > 0 && printed.size < limit) {
    const { place, lead, rest, part } = stack.pop()!;
    const node = nodes[place]!;
    const from = sources[place]!;
    const text = node.type === "artefact" ? artefactLine(node.artefact, part, width) : stepLine(node, lineage.runs);
    const above = printed.has(place);
    if (above || rest.length > width / 2) {
      put(
        lead,
        `${text.split(" · ")[0]}${part && node.type === "artefact" ? ` · ${part}` : ""} · see ${above ? "above" : "below"}`,
      );
      if (!above) later.push(place);
      continue;
    }
    printed.add(place);
    put(lead, text);
    if (node.type === "activity") {
      for (const line of factLines(node.activity, width - rest.length - 4)) {
        lines.push(`${rest}${from.length > 0 ? "│" : " "}   ${line}`);
      }
    } else {
      const aside = sideLines(lineage, place, { wanted, printed });
      for (const [i, line] of aside.entries()) {
        put(`${rest}${from.length === 0 && i === aside.length - 1 ? "└" : "├"}─`, line);
      }
    }
    if (from.length === 0) continue;
    // The way that is longest goes straight on, so that a chain of any length needs no room.
    const rank = (source: number) => (printed.has(source) ? -1 : depths[source]!);
    const straight = from.reduce((best, source) => (rank(source) > rank(best) ? source : best));
    const parts = node.type === "activity" ? partsOf(node.activity, lineage) : new Map<number, string>();
    const next = (source: number) => ({ place: source, part: parts.get(source) ?? "" });
    stack.push({ ...next(straight), lead: rest, rest });
    for (const source of from.slice().reverse()) {
      if (source !== straight) stack.push({ ...next(source), lead: `${rest}├─`, rest: `${rest}│ ` });
    }
  }
  return lines;
}

const partsOf = ({ used }: Activity, { places }: Lineage): ReadonlyMap<number, string> =>
  new Map(used.map((use) => [places.get(use.artefact)!, partOf(use)]));

function artefactLine(artefact: Parameters<typeof amounts>[0], part: string, width: number): string {
  const name = cut(visible(artefact.name) || "(no name)", Math.floor(width / 2));
  const digest = `sha256:${digestOf(artefact).slice(0, 12)}`;
  return [`● ${name}`, ...(part ? [part] : []), artefact.kind, ...amounts(artefact), digest].join(" · ");
}

function stepLine({ activity, run }: { activity: Activity; run: Run }, runs: readonly Run[]): string {
  const { name, kind, status } = activity;
  const took = duration(activity);
  return [
    `${MARKS[status]} ${cut(visible(name) || "(no name)", 50)}`,
    visible(kind),
    ...(status === "done" ? [] : [status.toUpperCase()]),
    ...(took === undefined ? [] : [took]),
    ...(runs.length > 1 ? [`run ${visible(run.name)}`] : []),
  ].join(" · ");
}

/** Steps that looked at an artefact and made nothing of what is wanted: evaluations, and what failed. Five at most. */
function sideLines(
  { nodes, results, runs }: Lineage,
  place: number,
  { wanted, printed }: Pick<Walk, "wanted" | "printed">,
): string[] {
  const steps = results[place]!.filter((step) => !wanted.has(step) && !printed.has(step)).flatMap((step) => {
    const node = nodes[step]!;
    if (node.type !== "activity") return [];
    const { kind, status } = node.activity;
    return kind === "evaluate" || status !== "done" || results[step]!.length === 0 ? [{ ...node, step }] : [];
  });
  const lines = steps.slice(0, 5).map((node) => {
    printed.add(node.step);
    const { metrics, error } = node.activity;
    const found = [...pairs(metrics).map((pair) => pair.join(" ")), ...(error === undefined ? [] : [visible(error)])];
    return [stepLine(node, runs), ...found].join(" · ");
  });
  return steps.length > 5 ? [...lines, `… ${count(steps.length - 5)} more steps that used it`] : lines;
}

/** Error, parameters, seeds and metrics of a step, wrapped between values. */
function factLines({ error, parameters, seeds, metrics }: Activity, width: number): string[] {
  const lists: [string, readonly (readonly [string, string])[]][] = [
    ["error", error === undefined ? [] : [["", visible(error)]]],
    ...Object.entries({ parameters, seeds, metrics }).map(([name, record]): [string, ReturnType<typeof pairs>] => [
      name,
      pairs(record),
    ]),
  ];
  return lists.flatMap(([title, list]) => {
    const lines: string[] = [];
    let line = `${title}:`;
    for (const [i, pair] of list.entries()) {
      const item = ` ${pair.join(" ").trim()}${i < list.length - 1 ? "," : ""}`;
      if (line.trim() !== "" && i > 0 && widthOf(line) + widthOf(item) > width) {
        lines.push(line);
        line = " ";
      }
      line += item;
    }
    return list.length === 0 ? [] : [...lines, line].map((text) => cut(text, width));
  });
}
