/** Text for HTML, in elements and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** A share as people read it. */
export function percent(rate: number): string {
  const value = (100 * rate).toFixed(1);
  return `${value.endsWith(".0") ? value.slice(0, -2) : value} %`;
}

/** A number with as many digits as tell something. */
export function short(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
