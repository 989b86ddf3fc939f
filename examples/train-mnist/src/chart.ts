import type { Rate } from "@parapet/core";

export interface Series {
  readonly name: string;
  readonly color: string;
  readonly points: readonly { readonly epsilon: number; readonly accuracy: Rate }[];
}

/** Accuracy against epsilon as an SVG: a line, its 95 % band, and a point with a tooltip for each figure. */
export function accuracyChart(series: readonly Series[]): string {
  const [width, height, left, right, top, bottom] = [720, 360, 56, 130, 16, 48];
  const limit = Math.max(...series.flatMap(({ points }) => points.map(({ epsilon }) => epsilon)));
  const x = (epsilon: number) => (left + (epsilon / limit) * (width - left - right)).toFixed(1);
  const y = (rate: number) => (top + (1 - rate) * (height - top - bottom)).toFixed(1);
  const path = (points: readonly (readonly [number, number])[]) =>
    points.map(([epsilon, rate]) => `${x(epsilon)},${y(rate)}`).join(" ");
  const grid = [0, 0.25, 0.5, 0.75, 1].map(
    (rate) =>
      `<line x1="${left}" x2="${width - right}" y1="${y(rate)}" y2="${y(rate)}" class="grid"/>` +
      `<text x="${left - 8}" y="${y(rate)}" dy="4" text-anchor="end">${100 * rate} %</text>`,
  );
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const epsilon = part * limit;
    return `<text x="${x(epsilon)}" y="${height - bottom + 20}" text-anchor="middle">${epsilon.toFixed(2)}</text>`;
  });
  // The names stand at the ends of the lines, at least a line of text apart; the first series is the higher one.
  const ends = series.map(({ points }) => Number(y(points.at(-1)!.accuracy.rate)));
  for (let i = series.length - 2; i >= 0; i--) ends[i] = Math.min(ends[i]!, ends[i + 1]! - 18);
  const lines = series.map(({ name, color, points }, i) => {
    const band = [
      ...points.map(({ epsilon, accuracy }) => [epsilon, accuracy.high] as const),
      ...[...points].reverse().map(({ epsilon, accuracy }) => [epsilon, accuracy.low] as const),
    ];
    const dots = points.map(({ epsilon, accuracy: { rate, low, high, count, total } }) => {
      const tip = `${name}, epsilon ${epsilon}: ${count} of ${total}, ${percent(rate)} [${percent(low)}, ${percent(high)}]`;
      return `<circle cx="${x(epsilon)}" cy="${y(rate)}" r="4" fill="${color}"><title>${tip}</title></circle>`;
    });
    return (
      `<polygon points="${path(band)}" fill="${color}" opacity="0.18"/>` +
      `<polyline points="${path(points.map(({ epsilon, accuracy }) => [epsilon, accuracy.rate]))}" ` +
      `fill="none" stroke="${color}" stroke-width="2"/>${dots.join("")}` +
      `<text x="${width - right + 12}" y="${ends[i]}" dy="4" fill="${color}" class="name">${name}</text>`
    );
  });
  return (
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Accuracy under attack against epsilon">` +
    `${grid.join("")}${ticks.join("")}${lines.join("")}` +
    `<text x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">epsilon (largest change of a pixel)</text></svg>`
  );
}

/** A share as people read it. */
export function percent(rate: number): string {
  return `${(100 * rate).toFixed(1)} %`;
}
