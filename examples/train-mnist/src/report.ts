import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Rate } from "@parapet/core";
import { accuracyChart, percent } from "./chart.ts";
import type { Evaluation } from "./evaluate.ts";
import type { Digits } from "./mnist.ts";
import { greyPng } from "./png.ts";
import type { Settings } from "./settings.ts";

export interface Report {
  readonly seed: number;
  readonly settings: Settings;
  readonly versions: Readonly<Record<string, string>>;
  readonly durationsMs: Readonly<Record<string, number>>;
  readonly training: unknown;
  readonly command: string;
  readonly standard: Evaluation;
  readonly hardened: Evaluation;
}

/** Writes the report and the hardened weights, each file in one piece or not at all. Returns the path of the page. */
export function writeReport(folder: string, report: Report, test: Digits, weights: Uint8Array): string {
  mkdirSync(folder, { recursive: true });
  const page = join(folder, "report.html");
  writeWhole(join(folder, "report.json"), `${JSON.stringify(asJson(report), null, 2)}\n`);
  writeWhole(join(folder, "hardened.bin"), weights);
  writeWhole(page, asHtml(report, test));
  return page;
}

function writeWhole(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.part`, content);
  renameSync(`${path}.part`, path);
}

function asJson({ standard, hardened, ...rest }: Report): unknown {
  const figures = ({ clean, pgd40, curve }: Evaluation) => ({ clean, pgd40, curve });
  return { standard: figures(standard), hardened: figures(hardened), ...rest };
}

/** The table of the terminal. */
export function table({ standard, hardened, settings }: Report): string {
  const cell = ({ rate, low, high }: Rate) => `${percent(rate)}  [${percent(low)}, ${percent(high)}]`.padEnd(28);
  const attack = `PGD-${settings.testAttack.steps}, linf ${settings.epsilon}`;
  return [
    `${"".padEnd(22)}${"clean".padEnd(28)}${attack}`,
    `${"standard training".padEnd(22)}${cell(standard.clean)}${cell(standard.pgd40)}`,
    `${"adversarial training".padEnd(22)}${cell(hardened.clean)}${cell(hardened.pgd40)}`,
    `${standard.clean.total} test images; 95 % Wilson intervals`,
  ]
    .map((line) => line.trimEnd())
    .join("\n");
}

function asHtml(report: Report, test: Digits): string {
  const { standard, hardened, settings, seed, versions, durationsMs, command } = report;
  const rate = ({ rate, low, high, count, total }: Rate) =>
    `<td>${percent(rate)}<small>${count} of ${total}; ${percent(low)} to ${percent(high)}</small></td>`;
  const chart = accuracyChart([
    { name: "adversarial", color: "#0b7285", points: hardened.curve },
    { name: "standard", color: "#c92a2a", points: standard.curve },
  ]);
  const picture = (data: Float32Array, i: number, answer: number, label: number) =>
    `<td class="${answer === label ? "right" : "wrong"}"><img alt="" src="${greyPng(data.subarray(i * 784, (i + 1) * 784), 28, 28)}"><b>${answer}</b></td>`;
  const examples = Array.from({ length: 10 }, (_, digit) => test.labels.indexOf(digit)).filter((i) => i >= 0);
  const row = (title: string, cells: (i: number) => string) =>
    `<tr><th>${title}</th>${examples.map(cells).join("")}</tr>`;
  const grid = [
    row("clean, standard model", (i) => picture(test.x.data, i, standard.answers.clean[i]!, test.labels[i]!)),
    row("attacked, standard model", (i) =>
      picture(standard.adversarial.data, i, standard.answers.adversarial[i]!, test.labels[i]!),
    ),
    row("clean, hardened model", (i) => picture(test.x.data, i, hardened.answers.clean[i]!, test.labels[i]!)),
    row("attacked, hardened model", (i) =>
      picture(hardened.adversarial.data, i, hardened.answers.adversarial[i]!, test.labels[i]!),
    ),
  ];
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
  .digits td { padding: 0.2rem; text-align: center; border: 0; } .digits th { font-weight: 400; border: 0; }
  .digits img { display: block; width: 56px; image-rendering: pixelated; border: 3px solid; }
  .right img { border-color: #0b7285; } .wrong img { border-color: #c92a2a; } .wrong b { color: #c92a2a; }
  .facts td { font-family: ui-monospace, monospace; font-size: 0.85rem; overflow-wrap: anywhere; }
</style>
<h1>MNIST, before and after adversarial training</h1>
<p>Two convolutional networks of the same kind, asked about ${standard.clean.total} test images that were used for nothing else.
The attack may change every pixel by at most ${settings.epsilon} (of 1) and takes ${settings.testAttack.steps} gradient steps
(PGD, linf) from one random start.</p>
<table>
<tr><th></th><th>clean</th><th>PGD-${settings.testAttack.steps}, epsilon ${settings.epsilon}</th></tr>
<tr><th>standard training</th>${rate(standard.clean)}${rate(standard.pgd40)}</tr>
<tr><th>adversarial training</th>${rate(hardened.clean)}${rate(hardened.pgd40)}</tr>
</table>
<h2>Accuracy under attack, by size of the change</h2>
${chart}
<p>Bands are 95 % Wilson intervals; ${settings.curveImages} images for radii other than 0 and ${settings.epsilon}.</p>
<h2>What the models saw, and what they answered</h2>
<table class="digits">
${grid.join("\n")}
</table>
<p>A red frame is a wrong answer.</p>
<h2>What this does not show</h2>
<p>PGD with one restart is an upper bound on robustness: a stronger attack can find more, and attacks in other norms or
beyond ${settings.epsilon} are not defended against at all. The model was trained against single-step attacks; its figure
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
