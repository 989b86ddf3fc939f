import { toBase64, toUtf8 } from "@parapet/attestation";
import { textOf } from "../exporters/shared.ts";
import type { GraphNode } from "../graph.ts";
import { portableHash } from "../merkle/tree.ts";
import type { Run } from "../run.ts";
import { amounts, count, duration, lineageOf, pairs, partOf } from "./lineage.ts";
import { pageScript } from "./page-script.ts";
import { escapeHtml, visible } from "./visible.ts";

/** What `lineageHtml` can be told. */
export interface LineageHtmlOptions {
  /** The page's title; default the names of the runs. */
  readonly title?: string;
}

/**
 * A page that shows where models came from: artefacts and steps from left to right, in one file that opens from the disk and asks
 * nobody for anything. Steps and artefacts of one kind that lie equally deep are folded into one, to be unfolded by a click, so that
 * runs of 10,000 nodes stay readable. What stands in names stays text: the page's own script is allowed by its hash, no other.
 *
 * @param runs - one run, or several that share artefacts
 * @param options - a title
 * @returns HTML
 * @throws RangeError when a run is not consistent; ParapetError `provenance/cycle`
 *
 * @example
 * ```ts
 * import { createRecorder, lineageHtml, memoryJournal } from "@parapet/provenance";
 * const recorder = await createRecorder(memoryJournal(), { name: "digits" });
 * await recorder.step({ kind: "train", name: "<b>Train</b>" }, (step) => {
 *   step.make({ kind: "model", name: "digits", content: "weights" }, "weights");
 * });
 * const page = lineageHtml(await recorder.finish());
 * console.log(page.startsWith("<!doctype html>"), page.includes("<b>")); // => true false
 * ```
 */
export function lineageHtml(runs: Run | readonly Run[], options: LineageHtmlOptions = {}): string {
  const lineage = lineageOf(runs);
  const { nodes, edges, depths } = lineage;
  const title = visible(options.title ?? lineage.runs.map(({ name }) => name).join(", ")).slice(0, 200);
  const graph = { nodes: nodes.map((node, i) => ({ ...shownNode(node), depth: depths[i] })), edges };
  // In a page, JSON must not end its element: every "<" stands there as its number.
  const json = JSON.stringify(graph).replace(
    /[<>&\u2028\u2029]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const hash = toBase64(portableHash(toUtf8(pageScript)));
  const steps = nodes.filter(({ type }) => type === "activity").length;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
<header><h1>${escapeHtml(title)}</h1><p>${count(nodes.length - steps)} artefacts, ${count(steps)} steps</p>
<label>Search <input id="search" type="search" autocomplete="off"></label><output id="count"></output><button id="fit" type="button">Fit</button>
<ul class="legend"><li class="dataset">data</li><li class="model">model</li><li class="other">other</li><li class="step">step</li><li class="bad">not done</li></ul></header>
<main><svg aria-label="Lineage: artefacts and steps from left to right" preserveAspectRatio="xMidYMid meet"><g></g></svg>
<aside id="details" aria-live="polite"><p>Choose an artefact or a step to see what is known of it. Drag to move, turn the wheel to zoom; or arrow keys, + and -.</p></aside></main>
<script id="graph" type="application/json">${json}</script>
<script>${pageScript}</script>
</html>
`;
}

/** What the page shows of a node: all of it text. */
function shownNode(node: GraphNode) {
  if (node.type === "artefact") {
    const { id, kind, name, uri, mediaType, description, notes = {} } = node.artefact;
    const facts: (readonly [string, string])[] = [
      ["kind", kind],
      ["identity", id],
      ...amounts(node.artefact).map((amount) => ["", amount] as const),
      ...pairs({
        ...(uri && { address: uri }),
        ...(mediaType && { type: mediaType }),
        ...(description && { description }),
      }),
      ...pairs(notes),
    ];
    return { type: "artefact", kind, name: visible(name).slice(0, 300), note: amounts(node.artefact)[0] ?? "", facts };
  }
  const { run, activity } = node;
  const { kind, name, status, started, finished, parameters, seeds, metrics, error, used, made } = activity;
  const took = duration(activity);
  const names = new Map(run.artefacts.map((artefact) => [artefact.id, artefact.name]));
  const facts: (readonly [string, string])[] = [
    ["kind", kind],
    ["status", status],
    ["began", started],
    ...(finished === undefined ? [] : [["ended", finished] as const]),
    ...(took === undefined ? [] : [["took", took] as const]),
    ...used.map((use) => ["used", `${visible(names.get(use.artefact) ?? "")}: ${partOf(use)}`] as const),
    ...made.map((use) => ["made", `${visible(names.get(use.artefact) ?? "")}: ${partOf(use)}`] as const),
    ...pairs(parameters),
    ...pairs(seeds).map(([seed, value]) => [`seed ${seed}`, value] as const),
    ...pairs(metrics),
    ...(error === undefined ? [] : [["error", visible(error)] as const]),
    ["run", visible(textOf(run.name))],
  ];
  return { type: "activity", kind, status, name: visible(name).slice(0, 300), note: took ?? "", facts };
}

const style = `
:root { color-scheme: light dark; --line: #8886; --data: #1971c2; --model: #2f9e44; --other: #868e96; --step: #9c36b5; --bad: #e03131; }
* { box-sizing: border-box; }
body { font: 15px/1.4 system-ui, sans-serif; margin: 0; display: flex; flex-direction: column; height: 100vh; background: Canvas; color: CanvasText; }
header { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: center; padding: .6rem 1rem; border-bottom: 1px solid var(--line); }
h1 { font-size: 1.1rem; margin: 0; overflow-wrap: anywhere; } header p { margin: 0; opacity: .75; }
.legend { display: flex; flex-wrap: wrap; gap: .9rem; list-style: none; margin: 0; padding: 0; font-size: .85rem; }
.legend li::before { content: ""; display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 2px; background: var(--other); }
.legend .dataset::before { background: var(--data); } .legend .model::before { background: var(--model); }
.legend .step::before { background: var(--step); border-radius: 50%; } .legend .bad::before { background: var(--bad); }
main { flex: 1; display: flex; min-height: 0; } svg { flex: 1; min-width: 0; touch-action: none; cursor: grab; }
aside { width: 22rem; max-width: 40vw; overflow: auto; padding: .8rem 1rem; border-left: 1px solid var(--line); }
aside h2 { font-size: 1rem; overflow-wrap: anywhere; margin-top: 0; } dl { display: grid; grid-template-columns: auto 1fr; gap: .2rem .8rem; margin: 0; font-size: .9rem; }
dt { opacity: .7; overflow-wrap: anywhere; max-width: 10rem; } dd { margin: 0; overflow-wrap: anywhere; }
.edges path { fill: none; stroke: #888b; stroke-width: 1.5; } .edges .near { stroke: Highlight; stroke-width: 2.5; }
.node { cursor: pointer; outline: none; } .node rect { fill: Canvas; stroke: var(--other); stroke-width: 2; }
.node.kind-dataset rect { stroke: var(--data); } .node.kind-model rect { stroke: var(--model); } .node.activity rect { stroke: var(--step); }
.node.bad rect { stroke: var(--bad); stroke-dasharray: 5 3; } .node text { fill: CanvasText; font-size: 13px; } .node .kind { font-size: 11px; opacity: .75; }
.node.many .name { font-weight: 600; } .node.hit rect { fill: Mark; } .node.hit text { fill: MarkText; }
.node.chosen rect, .node:focus-visible rect { stroke-width: 4; }
@media (max-width: 700px) { main { flex-direction: column; } aside { width: auto; max-width: none; border-left: 0; border-top: 1px solid var(--line); max-height: 40vh; } }
`;
