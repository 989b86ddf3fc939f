import { type NdArray, type Rate, sizeOf } from "@parapet/core";
import { fromBase64 } from "./bytes.ts";
import { attackChart, curveChart, queriesChart } from "./charts.ts";
import { escapeHtml, percent, short } from "./escape.ts";
import type { Finding, Json, RobustnessEvaluation } from "./evaluation.ts";
import { picture } from "./picture.ts";
import { style } from "./style.ts";

/** Options of `toHtml`. */
export interface HtmlOptions {
  /** The examples that were evaluated: with them, adversarial examples are shown beside the clean ones. */
  readonly x?: NdArray;
  /** How an example is a picture. Default: a shape [h, w], [h, w, c] or [c, h, w] with 1 or 3 channels is one. */
  readonly images?: {
    readonly height: number;
    readonly width: number;
    readonly channels: 1 | 3;
    /** "last" (default) for [h, w, c], "first" for [c, h, w]. */
    readonly layout?: "first" | "last";
    /** Value of black and of white; default: the model's bounds, or 0 and 1. */
    readonly range?: readonly [number, number];
  };
  readonly title?: string;
}

/**
 * An evaluation as one page that needs nothing else: figures, trust checks, plots, adversarial examples and how to
 * repeat it.
 *
 * @param evaluation - what `evaluateRobustness` gives
 * @param options - the examples, to be shown where they are pictures; the title
 * @returns HTML; whatever text the evaluation carries is escaped
 * @throws RangeError when a picture of another size is asked for than an example has
 *
 * @example
 * ```ts
 * import { createRng, ndArray } from "@parapet/core";
 * import { evaluateRobustness, fgsm, toHtml } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const evaluation = await evaluateRobustness(affineModel(researchWeights), ndArray([0.6, 0.7, 0.2], [1, 3]), [0], {
 *   attacks: { fgsm: fgsm({ epsilon: 0.1 }) },
 *   norm: "linf",
 *   epsilon: 0.1,
 *   rng: createRng(0),
 *   checks: false,
 * });
 * console.log(toHtml(evaluation).slice(0, 15)); // => <!doctype html>
 * ```
 */
export function toHtml(evaluation: RobustnessEvaluation, options: HtmlOptions = {}): string {
  const { threat, clean, robust, attacks, curve, checks, examples, cascade, confidence, subject } = evaluation;
  const { title = `Robustness${subject === null ? "" : ` of ${subject.name}`}` } = options;
  const flagged = checks.filter(({ flag }) => flag === true);
  const open = checks.filter(({ flag }) => flag === null);
  const ball = `${threat.norm} ${short(threat.epsilon)}`;
  const images = gallery(evaluation, options);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
<div class="cards">
${card("right on clean examples", clean, "")}
${card(`right under every attack, ${ball}`, robust, "bad")}
<div class="card ${flagged.length > 0 ? "alarm" : ""}"><b>${checks.length === 0 ? "none" : flagged.length === 0 ? "no flag" : `${flagged.length} flag${flagged.length > 1 ? "s" : ""}`}</b>
<span>trust checks: ${checks.length - open.length} run${open.length > 0 ? `, ${open.length} could not be` : ""}</span></div>
</div>
${flagged.length > 0 ? `<p class="alarm note">These figures should not be trusted before the flagged checks below are answered.</p>` : ""}
<h2>Accuracy under each attack</h2>
${attackChart(clean, attacks, robust)}
<p class="quiet">Of ${examples.length} examples; whiskers are ${percent(confidence)} Wilson intervals.
${cascade ? "Each attack was run on what those above it had not broken, and stands for all of them." : "The worst case takes for each example the attack that broke it, whichever it was."}</p>
${attackTable(evaluation)}
<h2>Accuracy by size of the change</h2>
${curveChart(curve, threat.epsilon, threat.norm)}
<p class="quiet">Right at every point that was found within the radius: an upper bound. Attacks of one radius say nothing about smaller ones.</p>
<h2>Trust checks</h2>
${checks.length === 0 ? "<p>None were run.</p>" : `<div class="checks">${[...flagged, ...open, ...checks.filter(({ flag }) => flag === false)].map(check).join("")}</div>`}
${images}
<h2>Work</h2>
${queriesChart(examples)}
<p class="quiet">Examples that were broken in <span class="key bad"></span>, that held in <span class="key good"></span>.</p>
<h2>What this does not show</h2>
<p>Attacks give an upper bound on robustness: a stronger one can find more. Other norms, larger changes and other kinds of change were not
looked at, and the intervals hold for examples drawn like these.</p>
<h2>How it was made</h2>
${facts(evaluation)}
</body>
</html>
`;
}

function card(name: string, { rate, low, high, count, total }: Rate, kind: string): string {
  return `<div class="card"><b class="${kind}">${percent(rate)}</b><span>${escapeHtml(name)}</span>
<small>${count} of ${total}; ${percent(low)} to ${percent(high)}</small></div>`;
}

function attackTable({ attacks }: RobustnessEvaluation): string {
  const head = ["attack", "ball", "run on", "broke", "first to break", "median distance", "queries", "gradients"];
  const rows = attacks.map((attack) => {
    const { name, norm, epsilon, goal, success, first, medianDistance, queries, gradients, parameters } = attack;
    const total = success?.total ?? 0;
    const details = Object.entries(parameters).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
    const cells = [
      `${escapeHtml(name)}${goal === "targeted" ? " (targeted)" : ""}${details.length > 0 ? `<small>${escapeHtml(details.join(", "))}</small>` : ""}`,
      `${norm} ${epsilon === null ? "any" : short(epsilon)}`,
      short(total),
      success === null ? "" : `${short(success.count)} (${percent(success.rate)})`,
      short(first),
      medianDistance === null ? "none" : short(medianDistance),
      total === 0 ? "" : `${short(queries / total)} each`,
      total === 0 ? "" : `${short(gradients / total)} each`,
    ];
    return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
  });
  return `<div class="scroll"><table><tr>${head.map((name) => `<th>${name}</th>`).join("")}</tr>${rows.join("")}</table></div>`;
}

function check({ name, flag, says, evidence, advice }: Finding): string {
  const [kind, sign, word] =
    flag === true ? ["alarm", "!", "flagged"] : flag === null ? ["open", "–", "not run"] : ["fine", "✓", "clear"];
  const facts = Object.entries(evidence)
    .map(([key, value]) => `<tr><th>${escapeHtml(key)}</th><td>${escapeHtml(plainly(value))}</td></tr>`)
    .join("");
  return `<details class="${kind}"${flag === true ? " open" : ""}><summary><i title="${word}">${sign}</i><b>${escapeHtml(name)}</b> ${escapeHtml(says)}</summary>
${advice === "" ? "" : `<p>${escapeHtml(advice)}</p>`}${facts === "" ? "" : `<table class="facts">${facts}</table>`}</details>`;
}

/** Evidence as people read it: rates as "3 of 8", numbers with the digits that count. */
function plainly(value: Json): string {
  if (typeof value === "number") return short(value);
  if (value === null || typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.map(plainly).join(", ");
  const { count, total, rate, ...rest } = value as { readonly [name: string]: Json };
  if (typeof count === "number" && typeof total === "number" && typeof rate === "number" && "low" in rest) {
    return `${count} of ${total} (${percent(rate)})`;
  }
  return Object.entries(value)
    .map(([name, each]) => `${name} ${plainly(each)}`)
    .join(", ");
}

/** Clean, adversarial and difference, for the exhibits. */
function gallery({ exhibits, examples, model }: RobustnessEvaluation, { x, images }: HtmlOptions): string {
  const form = images ?? formOf(model.inputShape);
  if (x === undefined || form === undefined || exhibits.length === 0) return "";
  const size = sizeOf(model.inputShape);
  const { height, width, channels, layout = "last" } = form;
  if (height * width * channels !== size) {
    throw new RangeError(`"images" expected ${size} values, got ${height} x ${width} x ${channels}`);
  }
  const [lower, upper] = [model.bounds.lower[0] ?? 0, model.bounds.upper[0] ?? 1];
  const [black, white] = form.range ?? [lower, upper];
  const at = (y: number, column: number, c: number) =>
    layout === "last" ? (y * width + column) * channels + c : (c * height + y) * width + column;
  const shown = exhibits.flatMap(({ index, attack, answer, data }) => {
    const example = examples[index];
    if (example === undefined || (index + 1) * size > x.data.length) return [];
    const clean = x.data.subarray(index * size, (index + 1) * size);
    const adversarial = fromBase64(data);
    const grey = (value: number) =>
      Math.max(0, Math.min(255, Math.round((255 * (value - black)) / (white - black || 1))));
    const draw = (values: ArrayLike<number>) =>
      picture(width, height, (y, column) => {
        const channel = (c: number) => grey(values[at(y, column, channels === 1 ? 0 : c)]!);
        return [channel(0), channel(1), channel(2)];
      });
    let most = 0;
    for (let i = 0; i < size; i++) most = Math.max(most, Math.abs(adversarial[i]! - clean[i]!));
    // Red where a pixel became brighter, blue where darker, white where it stayed.
    const difference = picture(width, height, (y, column) => {
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += adversarial[at(y, column, c)]! - clean[at(y, column, c)]!;
      const part = most === 0 ? 0 : sum / channels / most;
      const pale = Math.round(255 * (1 - Math.abs(part)));
      return part > 0 ? [255, pale, pale] : [pale, pale, 255];
    });
    const figure = (source: string, text: string) => `<img alt="" src="${source}"><span>${text}</span>`;
    return `<figure>${figure(draw(clean), `${example.answer}`)}${figure(draw(adversarial), `<b>${answer}</b>`)}${figure(difference, "")}
<figcaption>${escapeHtml(attack)}<br>largest change ${short(most)}</figcaption></figure>`;
  });
  if (shown.length === 0) return "";
  return `<h2>Adversarial examples</h2>
<p class="quiet">The first examples that were broken: clean, adversarial, and the difference (red: brighter, blue: darker), with the model's answers.</p>
<div class="gallery">${shown.join("")}</div>`;
}

/** What an input shape says about pictures. */
function formOf(shape: readonly number[]): HtmlOptions["images"] {
  const [a, b, c] = shape;
  if (a === undefined || b === undefined || shape.length > 3 || Math.min(a, b) < 1) return undefined;
  if (c === undefined) return { height: a, width: b, channels: 1 };
  if (c === 1 || c === 3) return { height: a, width: b, channels: c };
  if (a === 1 || a === 3) return { height: b, width: c, channels: a, layout: "first" };
  return undefined;
}

function facts(evaluation: RobustnessEvaluation): string {
  const { schema, subject, data, model, randomness, threat, versions, command, examples } = evaluation;
  const entries: Record<string, string> = {
    ...(command === null ? {} : { command }),
    seed:
      randomness.seed === null ? `not given (fingerprint ${randomness.fingerprint})` : JSON.stringify(randomness.seed),
    ...(subject === null ? {} : { model: `${subject.name}, sha256 ${subject.digest.sha256}` }),
    inputs: `[${model.inputShape.join(", ")}], ${model.numClasses} classes`,
    examples: `${examples.length}, sha256 ${data.digest.sha256}`,
    ...(threat.masked ? { mask: "some features were not allowed to change" } : {}),
    ...versions,
    schema,
  };
  return `<table class="facts">${Object.entries(entries)
    .map(([name, value]) => `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`)
    .join("\n")}</table>`;
}
