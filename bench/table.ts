export type Row = Readonly<Record<string, string | number | null>>;

const show = (value: string | number | null | undefined) => {
  if (typeof value !== "number") return value ?? "";
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(4);
};

/** Rows as aligned text, one column per key; columns of numbers to the right. */
export function formatTable(rows: readonly Row[]): string {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const columns = keys.map((key) => {
    const cells = [key, ...rows.map((row) => show(row[key]))];
    const width = Math.max(...cells.map((cell) => cell.length));
    const numeric = rows.every((row) => typeof row[key] !== "string");
    return cells.map((cell) => (numeric ? cell.padStart(width) : cell.padEnd(width)));
  });
  const lines = [0, ...rows.map((_, i) => i + 1)].map((i) => columns.map((column) => column[i]).join("  "));
  const rule = columns.map((column) => "-".repeat(column[0]?.length ?? 0)).join("  ");
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

/** A text as it is, a record as `name: value` lines. */
export function formatSummary(summary: unknown): string {
  if (typeof summary !== "object" || summary === null) return String(summary);
  return Object.entries(summary)
    .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join("\n");
}
