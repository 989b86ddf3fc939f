import type { Rate } from "@parapet/core";
import { escapeHtml, percent, short } from "./escape.ts";
import type { AttackSummary, CurvePoint, ExampleRecord } from "./evaluation.ts";

const size = { width: 720, height: 320, left: 56, right: 24, top: 16, bottom: 48 };

const tip = (name: string, { count, total, rate, low, high }: Rate) =>
  `<title>${escapeHtml(name)}: ${count} of ${total}, ${percent(rate)} [${percent(low)}, ${percent(high)}]</title>`;

/** Lines at the quarters, with their names at the left. */
function grid(y: (rate: number) => string, to: number): string {
  return [0, 0.25, 0.5, 0.75, 1]
    .map(
      (rate) =>
        `<line class="grid" x1="${size.left}" x2="${to}" y1="${y(rate)}" y2="${y(rate)}"/>` +
        `<text x="${size.left - 8}" y="${y(rate)}" dy="4" text-anchor="end">${100 * rate} %</text>`,
    )
    .join("");
}

const frame = (label: string, height: number, content: string) =>
  `<svg viewBox="0 0 ${size.width} ${height}" role="img" aria-label="${escapeHtml(label)}">${content}</svg>`;

/** Accuracy against radius: a line, the band of its intervals, a point with a tooltip for each figure. */
export function curveChart(curve: readonly CurvePoint[], epsilon: number, norm: string): string {
  const { width, height, left, right, top, bottom } = size;
  const limit = Math.max(...curve.map((point) => point.epsilon)) || 1;
  const x = (radius: number) => (left + (radius / limit) * (width - left - right)).toFixed(1);
  const y = (rate: number) => (top + (1 - rate) * (height - top - bottom)).toFixed(1);
  const path = (points: readonly CurvePoint[], of: (rate: Rate) => number) =>
    points.map((point) => `${x(point.epsilon)},${y(of(point.accuracy))}`).join(" ");
  const back = [...curve].reverse();
  const marks = [0, 0.25, 0.5, 0.75, 1].map(
    (part) =>
      `<text x="${x(part * limit)}" y="${height - bottom + 20}" text-anchor="middle">${short(part * limit)}</text>`,
  );
  const dots = curve.map(
    (point) =>
      `<circle class="mark" cx="${x(point.epsilon)}" cy="${y(point.accuracy.rate)}" r="4">` +
      `${tip(`radius ${short(point.epsilon)}`, point.accuracy)}</circle>`,
  );
  const here =
    epsilon > 0 && epsilon <= limit
      ? `<line class="limit" x1="${x(epsilon)}" x2="${x(epsilon)}" y1="${top}" y2="${height - bottom}"/>`
      : "";
  return frame(
    "Accuracy against radius",
    height,
    `${grid(y, width - right)}${marks.join("")}${here}` +
      `<polygon class="band" points="${path(curve, ({ high }) => high)} ${path(back, ({ low }) => low)}"/>` +
      `<polyline class="line" points="${path(curve, ({ rate }) => rate)}"/>${dots.join("")}` +
      `<text x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">` +
      `radius (${escapeHtml(norm)})${here === "" ? "" : `; dashed: epsilon ${short(epsilon)}`}</text>`,
  );
}

/** Accuracy under each attack as bars, with clean accuracy first and the worst case last. */
export function attackChart(clean: Rate, attacks: readonly AttackSummary[], robust: Rate): string {
  const rows = [
    { name: "clean", rate: clean, kind: "good" },
    ...attacks.map(({ name, accuracy }) => ({ name, rate: accuracy, kind: "bar" })),
    { name: "worst case", rate: robust, kind: "bad" },
  ];
  const [names, end, step] = [190, size.width - 150, 34];
  const x = (rate: number) => (names + rate * (end - names)).toFixed(1);
  const height = rows.length * step + 8;
  const bars = rows.map(({ name, rate, kind }, i) => {
    const y = i * step + 8;
    const label = name.length > 24 ? `${name.slice(0, 23)}…` : name;
    return (
      `<text x="${names - 10}" y="${y + 12}" dy="4" text-anchor="end">${escapeHtml(label)}</text>` +
      `<rect class="rail" x="${names}" y="${y}" width="${end - names}" height="24" rx="3"/>` +
      `<rect class="${kind}" x="${names}" y="${y}" width="${(rate.rate * (end - names)).toFixed(1)}" height="24" rx="3">${tip(name, rate)}</rect>` +
      `<line class="whisker" x1="${x(rate.low)}" x2="${x(rate.high)}" y1="${y + 12}" y2="${y + 12}"/>` +
      `<line class="whisker" x1="${x(rate.low)}" x2="${x(rate.low)}" y1="${y + 7}" y2="${y + 17}"/>` +
      `<line class="whisker" x1="${x(rate.high)}" x2="${x(rate.high)}" y1="${y + 7}" y2="${y + 17}"/>` +
      `<text class="figure" x="${end + 10}" y="${y + 12}" dy="4">${percent(rate.rate)}</text>` +
      `<text class="quiet" x="${end + 64}" y="${y + 12}" dy="4">${rate.count}/${rate.total}</text>`
    );
  });
  return frame("Accuracy under each attack", height, bars.join(""));
}

/** How many queries the attacks spent on an example: a histogram, broken examples apart from those that held. */
export function queriesChart(examples: readonly ExampleRecord[]): string {
  const spent = examples.filter(({ clean }) => clean);
  const most = Math.max(0, ...spent.map(({ queries }) => queries));
  if (most === 0) return "";
  const { width, left, right, top, bottom } = size;
  const height = 240;
  const bins = Math.min(24, most);
  const held = new Array<number>(bins).fill(0);
  const broken = new Array<number>(bins).fill(0);
  for (const { queries, robust } of spent) {
    const bin = Math.min(bins - 1, Math.floor((queries / most) * bins));
    (robust ? held : broken)[bin]!++;
  }
  const tallest = Math.max(...held.map((count, i) => count + broken[i]!));
  const x = (bin: number) => left + (bin / bins) * (width - left - right);
  const y = (count: number) => top + (1 - count / tallest) * (height - top - bottom);
  const bars = held.map((count, i) => {
    const part = (kind: string, from: number, to: number) =>
      to === from
        ? ""
        : `<rect class="${kind}" x="${(x(i) + 1).toFixed(1)}" width="${(x(i + 1) - x(i) - 2).toFixed(1)}" ` +
          `y="${y(to).toFixed(1)}" height="${(y(from) - y(to)).toFixed(1)}"/>`;
    const range = `${short(Math.ceil((i * most) / bins))} to ${short(Math.floor(((i + 1) * most) / bins))} queries`;
    const says = `${range}: ${broken[i]} broken, ${count} held`;
    return `<g><title>${says}</title>${part("bad", 0, broken[i]!)}${part("good", broken[i]!, broken[i]! + count)}</g>`;
  });
  const marks = [0, 0.25, 0.5, 0.75, 1].map(
    (part) =>
      `<text x="${x(part * bins).toFixed(1)}" y="${height - bottom + 20}" text-anchor="middle">${short(Math.round(part * most))}</text>`,
  );
  const lines = [0, tallest].map(
    (count) =>
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${y(count)}" y2="${y(count)}"/>` +
      `<text x="${left - 8}" y="${y(count)}" dy="4" text-anchor="end">${short(count)}</text>`,
  );
  return frame(
    "Queries spent on each example",
    height,
    `${lines.join("")}${bars.join("")}${marks.join("")}` +
      `<text x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">queries of all attacks on one example</text>`,
  );
}
