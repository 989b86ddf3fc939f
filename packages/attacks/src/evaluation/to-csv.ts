import type { RobustnessEvaluation } from "./evaluation.ts";

/**
 * An evaluation as a table: one line an example, with its worst case and every attack's outcome.
 *
 * Distances that were not found are empty. Text that a spreadsheet would take for a formula gets an apostrophe in
 * front.
 *
 * @param evaluation - what `evaluateRobustness` gives
 * @returns RFC 4180: a header, `\r\n` after each line
 *
 * @example
 * ```ts
 * import { createRng, ndArray } from "@parapet/core";
 * import { evaluateRobustness, fgsm, toCsv } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const evaluation = await evaluateRobustness(affineModel(researchWeights), ndArray([0.6, 0.7, 0.2], [1, 3]), [0], {
 *   attacks: { fgsm: fgsm({ epsilon: 0.1 }) },
 *   norm: "linf",
 *   epsilon: 0.1,
 *   rng: createRng(0),
 *   checks: false,
 * });
 * console.log(toCsv(evaluation).split("\r\n")[1]!.slice(0, 17)); // => 0,0,0,true,true,,
 * ```
 *
 * Source: Y. Shafranovich, RFC 4180, 2005, https://www.rfc-editor.org/rfc/rfc4180. Differences: none known.
 */
export function toCsv(evaluation: RobustnessEvaluation): string {
  const own = ["index", "label", "answer", "clean", "robust", "brokenBy", "nearest", "nearestBy"] as const;
  const sums = ["queries", "gradients", "key"] as const;
  const each = ["broken", "distance", "answer", "queries", "gradients"] as const;
  const header = [...own, ...sums, ...evaluation.attacks.flatMap(({ name }) => each.map((what) => `${name}: ${what}`))];
  const lines = evaluation.examples.map((example) => [
    ...own.map((what) => example[what]),
    ...sums.map((what) => example[what]),
    ...evaluation.attacks.flatMap((_, a) => each.map((what) => example.attacks[a]?.[what] ?? null)),
  ]);
  return [header, ...lines].map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

function cell(value: string | number | boolean | null): string {
  if (value === null) return "";
  if (typeof value !== "string") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
