import { toBase64, toUtf8 } from "@parapet/attestation";
import { portableHash } from "../merkle/tree.ts";
import { escapeHtml, nameOr, visible } from "../views/visible.ts";

/** A list or a table under a title. */
export type Section =
  | { readonly title: string; readonly list: readonly string[] }
  | {
      readonly title: string;
      readonly table: { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };
    };

/** Nothing in a text is taken for Markdown or HTML. */
const escapeMarkdown = (text: string): string =>
  visible(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replace(/[\\`*_{}[\]#!|~]/g, "\\$&")
    // What would begin a list, a heading or a rule, or become a link by itself.
    .replace(/^(\s*)([-+]|\d+\.)(?=\s|-|$)/, (_, space: string, mark: string) => `${space}\\${mark}`)
    .replace(
      /\b(https?|ftp|mailto|www)([:.])/gi,
      (_, scheme: string, sign: string) => `${scheme}&#${sign.charCodeAt(0)};`,
    )
    .replaceAll("@", "&#64;");

/** A card as Markdown. */
export function sectionsToMarkdown(name: string, intro: readonly string[], sections: readonly Section[]): string {
  const row = (cells: readonly string[]) => `| ${cells.map(escapeMarkdown).join(" | ")} |`;
  const parts = sections.map((section) => {
    if ("list" in section) {
      return [`## ${section.title}`, "", ...section.list.map((item) => `- ${escapeMarkdown(item)}`), ""];
    }
    const { head, rows } = section.table;
    return [`## ${section.title}`, "", row(head), `| ${head.map(() => "---").join(" | ")} |`, ...rows.map(row), ""];
  });
  return [
    `# ${escapeMarkdown(nameOr(name))}`,
    "",
    ...intro.flatMap((text) => [escapeMarkdown(text), ""]),
    ...parts.flat(),
  ].join("\n");
}

const STYLE = `
:root { color-scheme: light dark; --text: #1c2330; --quiet: #5b6575; --line: #d8dde6; --page: #ffffff; --head: #f3f5f9; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6eaf2; --quiet: #9aa5b8; --line: #333c4d; --page: #12161f; --head: #1b2130; }
}
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); min-width: 5rem; }
thead th { background: var(--head); color: var(--quiet); font-weight: 600; }
tbody th { color: var(--quiet); font-weight: 600; width: 9rem; }
`;

/** A card as a page. */
export function sectionsToHtml(name: string, intro: readonly string[], sections: readonly Section[]): string {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join("");
  const parts = sections.map((section) => {
    const title = `<h2>${escapeHtml(section.title)}</h2>`;
    if ("list" in section) {
      return `${title}\n<ul>\n${section.list.map((item) => `<li>${escapeHtml(item)}</li>`).join("\n")}\n</ul>`;
    }
    const { head, rows } = section.table;
    const hasHead = head.some((cell) => cell !== "");
    const top = hasHead ? `<thead><tr>${cells(head, "th")}</tr></thead>\n` : "";
    const body = rows.map((row) =>
      hasHead ? `<tr>${cells(row, "td")}</tr>` : `<tr>${cells(row.slice(0, 1), "th")}${cells(row.slice(1), "td")}</tr>`,
    );
    return `${title}\n<div class="table"><table>\n${top}<tbody>\n${body.join("\n")}\n</tbody>\n</table></div>`;
  });
  const hash = toBase64(portableHash(toUtf8(STYLE)));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(nameOr(name))}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeHtml(nameOr(name))}</h1>
${intro.map((text) => `<p>${escapeHtml(text)}</p>`).join("\n")}
${parts.join("\n")}
</body>
</html>
`;
}
