// Controls, what turns the direction of text, what has no width, tags, and halves of surrogate pairs. The joiner of emoji stays.
const HIDDEN =
  /[\p{Cc}\p{Cs}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}-\u{202e}\u{2060}-\u{2069}\u{feff}\u{fff9}-\u{fffb}\u{e0000}-\u{e007f}]/gu;

/** Text of which nothing is hidden: what a terminal or a browser would obey instead of show stands there as its number. */
export const visible = (text: string): string =>
  text.replace(HIDDEN, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);

/** How many columns a terminal gives to a character: 0 for what stands above another, 2 for wide ones, as far as that is settled. */
const columnsOf = (character: string): number => {
  if (/^[\p{Mn}\p{Me}\u{200d}]$/u.test(character)) return 0;
  return /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u{3000}-\u{303f}\u{ff01}-\u{ff60}]$/u.test(
    character,
  )
    ? 2
    : 1;
};

/** How many columns of a terminal a text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += columnsOf(character);
  return width;
}

/** A text in so many columns, with an ellipsis where it was longer. */
export function cut(text: string, width: number): string {
  let used = 0;
  let kept = "";
  let before = "";
  for (const character of text) {
    used += columnsOf(character);
    if (used > width) return `${before}…`;
    kept += character;
    if (used < width) before = kept;
  }
  return kept;
}

/** Text for HTML, between tags and in attributes with quotes. */
export const escapeHtml = (text: string): string =>
  visible(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");

/** A name, or a word for none. */
export const nameOr = (name: string): string => (name.trim() === "" ? "(no name)" : name);

/** The first part of a text, with an ellipsis where there was more; never half a character. */
export function shortened(text: string, length: number): string {
  if (text.length <= length) return text;
  const characters = [...text.slice(0, 2 * length + 2)];
  return characters.length <= length
    ? characters.join("")
    : `${characters.slice(0, Math.max(0, length - 1)).join("")}…`;
}

/** A whole number with commas between thousands. */
export const counted = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ",");
