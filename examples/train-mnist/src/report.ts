import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RobustnessEvaluation, toHtml } from "@parapet/attacks";
import type { NdArray, Rate } from "@parapet/core";
import { accuracyChart, percent } from "./chart.ts";
import type { Settings } from "./settings.ts";

export interface Report {
  readonly seed: number;
  readonly settings: Settings;
  readonly versions: Readonly<Record<string, string>>;
  readonly durationsMs: Readonly<Record<string, number>>;
  readonly training: unknown;
  readonly command: string;
  readonly standard: RobustnessEvaluation;
  readonly hardened: RobustnessEvaluation;
}

/**
 * Writes the report, an evaluation of each model as a page and as JSON, and the folder `hardened` with the weights; each file
 * in one piece or not at all. Returns the path of the page to begin with.
 */
export function writeReport(folder: string, report: Report, x: NdArray, weights: Uint8Array): string {
  mkdirSync(folder, { recursive: true });
  const { standard, hardened } = report;
  for (const [name, evaluation] of Object.entries({ standard, hardened })) {
    writeWhole(join(folder, `${name}.json`), `${JSON.stringify(evaluation)}\n`);
    writeWhole(join(folder, `${name}.html`), toHtml(evaluation, { x, title: `MNIST, ${name} model` }));
  }
  mkdirSync(join(folder, "hardened"), { recursive: true });
  writeWhole(join(folder, "hardened", "weights.bin"), weights);
  writeWhole(join(folder, "report.json"), `${JSON.stringify(asJson(report), null, 2)}\n`);
  const page = join(folder, "report.html");
  writeWhole(page, asHtml(report));
  return page;
}

function writeWhole(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.part`, content);
  renameSync(`${path}.part`, path);
}

function asJson({ standard, hardened, ...rest }: Report): unknown {
  const figures = ({ clean, robust, attacks, curve, checks }: RobustnessEvaluation) => ({
    clean,
    robust,
    attacks,
    curve,
    checks: checks.map(({ name, flag, says }) => ({ name, flag, says })),
  });
  return { standard: figures(standard), hardened: figures(hardened), ...rest };
}

/** The table of the terminal. */
export function table({ standard, hardened, settings }: Report): string {
  const cell = ({ rate, low, high }: Rate) => `${percent(rate)}  [${percent(low)}, ${percent(high)}]`.padEnd(28);
  const names = standard.attacks.map(({ name }) => name);
  const row = (name: string, { clean, attacks, robust }: RobustnessEvaluation) =>
    name.padEnd(22) + [clean, ...attacks.map(({ accuracy }) => accuracy), robust].map(cell).join("");
  return [
    `${"".padEnd(22)}${["clean", ...names, "worst case"].map((name) => name.padEnd(28)).join("")}`,
    row("standard training", standard),
    row("adversarial training", hardened),
    `${standard.clean.total} test images; linf ${settings.epsilon}; 95 % Wilson intervals`,
  ]
    .map((line) => line.trimEnd())
    .join("\n");
}

function asHtml(report: Report): string {
  const { standard, hardened, settings, seed, versions, durationsMs, command } = report;
  const rate = ({ rate, low, high, count, total }: Rate) =>
    `<td>${percent(rate)}<small>${count} of ${total}; ${percent(low)} to ${percent(high)}</small></td>`;
  const chart = accuracyChart([
    { name: "adversarial", color: "#0b7285", points: hardened.curve },
    { name: "standard", color: "#c92a2a", points: standard.curve },
  ]);
  const checked = ({ checks }: RobustnessEvaluation) => {
    const flagged = checks.filter(({ flag }) => flag === true).length;
    const open = checks.filter(({ flag }) => flag === null).length;
    return `${checks.length - open} run, ${flagged === 0 ? "no flag" : `${flagged} flagged`}`;
  };
  const row = (title: string, page: string, evaluation: RobustnessEvaluation) => {
    const rates = [evaluation.clean, ...evaluation.attacks.map(({ accuracy }) => accuracy), evaluation.robust];
    return `<tr><th><a href="${page}">${title}</a></th>${rates.map(rate).join("")}<td>${checked(evaluation)}</td></tr>`;
  };
  const facts: Record<string, string> = {
    seed: String(seed),
    command,
    ...versions,
    ...Object.fromEntries(
      Object.entries(durationsMs).map(([name, ms]) => [`time: ${name}`, `${(ms / 1000).toFixed(1)} s`]),
    ),
    settings: JSON.stringify(settings),
  };
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Parapet: MNIST before and after adversarial training</title>
<style>
  :root { color-scheme: light dark; --line: #8884; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; margin: 1rem 0; }
  th, td { padding: 0.4rem 0.8rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
  td small { display: block; opacity: 0.7; }
  svg { width: 100%; max-width: 45rem; } svg text { font-size: 13px; } svg text:not(.name) { fill: currentColor; } svg .name { font-weight: 600; }
  svg .grid { stroke: var(--line); }
  .facts td { font-family: ui-monospace, monospace; font-size: 0.85rem; overflow-wrap: anywhere; }
</style>
<h1>MNIST, before and after adversarial training</h1>
<p>Two convolutional networks of the same kind, asked about ${standard.clean.total} test images that were used for nothing else.
The attacks may change every pixel by at most ${settings.epsilon} (of 1): PGD takes ${settings.testAttack.steps} gradient steps from
one random start, FAB looks in ${settings.distanceAttack.steps} steps for the nearest wrong answer. The pages of the two models
have the attacks, trust checks and adversarial images.</p>
<table>
<tr><th></th><th>clean</th>${standard.attacks.map(({ name }) => `<th>${name}</th>`).join("")}<th>worst case</th><th>trust checks</th></tr>
${row("standard training", "standard.html", standard)}
${row("adversarial training", "hardened.html", hardened)}
</table>
<h2>Accuracy under attack, by size of the change</h2>
${chart}
<p>Right at every point that was found within the radius. Bands are 95 % Wilson intervals.</p>
<h2>What this does not show</h2>
<p>The worst case over two attacks is an upper bound on robustness: a stronger attack (autoAttack) can find more, and attacks
in other norms or beyond ${settings.epsilon} are not defended against at all. The model was trained against single-step attacks; its figure
holds for this attack, this data and this seed.</p>
<h2>How it was made</h2>
<table class="facts">
${Object.entries(facts)
  .map(([name, value]) => `<tr><th>${name}</th><td>${escapeHtml(value)}</td></tr>`)
  .join("\n")}
</table>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
