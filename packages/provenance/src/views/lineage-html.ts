import { toBase64, toUtf8 } from "@parapet/attestation";
import { expected } from "@parapet/core";
import { portableHash } from "../merkle/tree.ts";
import type { Run } from "../run.ts";
import { lineageData } from "./lineage-data.ts";
import { layoutScript } from "./lineage-layout.ts";
import { pageScript } from "./lineage-script.ts";
import { pageStyle } from "./lineage-style.ts";
import { lineageText } from "./lineage-text.ts";
import { counted, escapeHtml, nameOr, shortened } from "./visible.ts";

/** What `lineageHtml` may be told. */
export interface LineageHtmlOptions {
  /** By default the name of the run. */
  readonly title?: string;
}

/**
 * Runs as one page: a graph of artefacts and steps from left to right, to be moved, enlarged, searched and unfolded; a click
 * shows what is known of a node. The page loads nothing: its policy allows its own script and style by their hashes and
 * nothing else, so that even markup that came in by a mistake would not run. Without scripts it shows the lineage as text.
 *
 * What repeats itself is folded (epochs; many artefacts of a kind), so that 10,000 nodes begin as a few. Texts longer than
 * 1,000 characters are cut.
 *
 * @param runs - one run, or several that share artefacts
 * @param options - the title
 * @returns HTML
 * @throws RangeError when a run is not consistent; ParapetError `provenance/cycle` when something was made from itself
 *
 * @example
 * ```ts
 * import { lineageHtml, type Run } from "@parapet/provenance";
 * const model = `sha256:${"b".repeat(64)}`;
 * const run: Run = {
 *   schema: "urn:parapet:evidence:lineage:v1", id: "00000000-0000-4000-8000-000000000001", name: "</title>",
 *   started: "2026-03-01T09:00:00Z", status: "done", code: {},
 *   environment: { runtime: "node 20.20.2", platform: "linux x64", packages: {}, variables: {} },
 *   artefacts: [{ id: model, kind: "model", name: "digits" }],
 *   activities: [{
 *     id: "train", kind: "train", name: "Train", started: "2026-03-01T09:00:00Z", status: "done", parameters: {}, seeds: {},
 *     metrics: {}, used: [], made: [{ artefact: model, role: "weights" }],
 *   }],
 * };
 * console.log(/<title>.*<\/title>/.exec(lineageHtml(run))?.[0]); // => <title>&lt;/title&gt;</title>
 * ```
 *
 * Source: https://www.w3.org/TR/CSP3/ for the policy.
 */
export function lineageHtml(runs: Run | readonly Run[], options: LineageHtmlOptions = {}): string {
  const list = Array.isArray(runs) ? (runs as readonly Run[]) : [runs as Run];
  if (list.length === 0) throw new RangeError(expected("runs", "at least one run", list));
  const data = lineageData(list);
  const names = list.map(({ name }) => nameOr(name));
  const { title = names.length > 3 ? `${names.length} runs` : names.join(", ") } = options;
  const script = `${layoutScript}${pageScript}`;
  const policy = [
    ...["default-src 'none'", `script-src '${hashOf(script)}'`, `style-src '${hashOf(pageStyle)}'`],
    ...["base-uri 'none'", "form-action 'none'"],
  ].join("; ");
  const shown = escapeHtml(shortened(title, 200));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${shown}</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<h1 title="${shown}">${shown}</h1>
<span class="quiet stats">${statistics(list)}</span>
<span class="space"></span>
<span class="quiet" id="said" role="status"></span>
<span class="find"><input id="search" type="search" placeholder="Search" aria-label="Search names, kinds, digests" autocomplete="off"><ul id="results" hidden></ul></span>
<button type="button" id="folded">Fold all</button>
<button type="button" id="out" aria-label="Smaller">−</button>
<button type="button" id="in" aria-label="Larger">+</button>
<button type="button" id="fit">Fit</button>
</header>
<main>
<svg id="graph" role="group" aria-label="Graph of artefacts and steps" tabindex="0">
<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" markerUnits="userSpaceOnUse"><path d="M0 .5 7.5 4 0 7.500z"/></marker></defs>
<g id="scene"></g>
</svg>
<svg id="map" aria-hidden="true"></svg>
<aside id="panel" aria-label="Details" hidden></aside>
<noscript><pre>${escapeLines(fallback(list))}</pre></noscript>
</main>
<footer>${legend}</footer>
<script type="application/json" id="data">${embedded(data)}</script>
<script>${script}</script>
</body>
</html>
`;
}

const hashOf = (text: string): string => `sha256-${toBase64(portableHash(toUtf8(text)))}`;

/** JSON that can stand in a script element and in a page of any reader: none of these signs can end or begin anything. */
const embedded = (data: unknown): string =>
  JSON.stringify(data).replace(
    /[<>&\u2028\u2029]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

const count = (number: number, word: string): string => `${counted(number)} ${word}${number === 1 ? "" : "s"}`;

function statistics(runs: readonly Run[]): string {
  const artefacts = new Set(runs.flatMap((run) => run.artefacts.map(({ id }) => id))).size;
  const steps = runs.flatMap(({ activities }) => activities);
  const failed = steps.filter(({ status }) => status === "failed").length;
  const parts = [
    ...(runs.length > 1 ? [count(runs.length, "run")] : []),
    ...[count(artefacts, "artefact"), count(steps.length, "step")],
    ...(failed > 0 ? [`${failed} failed`] : []),
  ];
  return parts.join(" · ");
}

const fallback = (runs: readonly Run[]): string =>
  runs
    .slice(0, 10)
    .map((run) => lineageText(run, { limit: 200 }))
    .join("\n");
const escapeLines = (text: string): string => text.split("\n").map(escapeHtml).join("\n");

const sample = (attribute: string, shape: string, word: string): string =>
  `<span><svg viewBox="0 0 16 16" aria-hidden="true"><g class="node" ${attribute}>${shape}</g></svg>${word}</span>`;
const box = (kind: string): string =>
  sample(`data-kind="${kind}"`, `<rect class="glyph" x="1.500" y="1.500" width="13" height="13" rx="3"/>`, kind);
const sign = (status: string, path: string): string =>
  sample(`data-status="${status}"`, `<path class="glyph" d="${path}"/>`, status);
const legend = [
  ...["dataset", "model", "code", "report", "file"].map(box),
  sign("done", "M3 8.500 6.500 12 13 4.500"),
  sign("failed", "M4 4l8 8M12 4l-8 8"),
  sign("running", "M5 3l7.500 5L5 13z"),
  sign("interrupted", "M5.500 3v10M10.500 3v10"),
].join("");
