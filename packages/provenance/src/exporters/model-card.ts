import { indexRun } from "../index-run.ts";
import type { Artefact, Run } from "../run.ts";
import { type ModelFacts, type ModelStory, modelStory } from "./model-story.ts";
import { textOf, utc } from "./shared.ts";

/** What `modelCard` can be told. */
export interface ModelCardOptions {
  /** The id of the model. By default the one that came out. */
  readonly model?: string;
  /** What people say of it, and no run can know. */
  readonly card?: ModelFacts;
}

/** A model card, twice. */
export interface ModelCard {
  readonly markdown: string;
  /** A page in one file, which asks nobody for anything. */
  readonly html: string;
}

/** A part of the card: paragraphs, a list, or a table whose first row is its head. All of it plain text. */
type Block =
  | { readonly paragraph: string }
  | { readonly list: readonly string[] }
  | { readonly table: readonly (readonly string[])[] };
interface Section {
  readonly title: string;
  readonly blocks: readonly Block[];
}

/**
 * A model card from a run: what was measured, on what it was trained and tested, by which steps, under which licences, and where
 * it comes from. What people must say (uses, limits, risks) comes from `card`; what nobody said stands there as not said.
 *
 * What it cannot express: steps that led elsewhere, and which records a step saw other than their number.
 *
 * @param run - done or not
 * @param options - which model, and what is said of it
 * @returns the card as Markdown and as a page
 * @throws RangeError when several models came out and none is chosen, or the run is not consistent
 *
 * @example
 * ```ts
 * import { createRecorder, memoryJournal, modelCard } from "@parapet/provenance";
 * const recorder = await createRecorder(memoryJournal(), { name: "digits" });
 * await recorder.step({ kind: "train", name: "Train" }, (step) => {
 *   step.make({ kind: "model", name: "digits", content: "weights" }, "weights");
 * });
 * const { markdown } = modelCard(await recorder.finish(), { card: { task: "digits" } });
 * console.log(markdown.split("\n")[0]); // => # Model card: digits
 * ```
 *
 * Source: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019: the sections of its figure 1, as far as a run knows them.
 */
export function modelCard(run: Run, options: ModelCardOptions = {}): ModelCard {
  const story = modelStory(indexRun(run), options.model);
  const sections = sectionsOf(run, story, options.card ?? {});
  const title = `Model card: ${story.model.name}`;
  return { markdown: asMarkdown(title, sections), html: asHtml(title, sections) };
}

const unsaid = "Not said.";
const listOr = (list: readonly string[] | undefined): Block =>
  list === undefined || list.length === 0 ? { paragraph: unsaid } : { list };

function sectionsOf(run: Run, story: ModelStory, card: ModelFacts): readonly Section[] {
  const { model, parents, steps, trainingData, testData, measured } = story;
  const facts = [
    ["name", model.name],
    ["version", card.version],
    ["task", card.task],
    ["approach", card.approach],
    ["architecture", card.architecture ?? card.architectureFamily],
    ["inputs", card.inputs?.join("; ")],
    ["outputs", card.outputs?.join("; ")],
    ["licence", model.licence ?? "not said"],
    ["made from", parents.map(({ name }) => name).join(", ") || undefined],
    ["digest", model.id],
    ["date", utc(run.finished ?? run.started, "run.finished")],
  ].filter((row): row is [string, string] => row[1] !== undefined);
  const description = card.description ?? model.description;
  return [
    {
      title: "Model",
      blocks: [...(description === undefined ? [] : [{ paragraph: description }]), { table: [["", ""], ...facts] }],
    },
    {
      title: "Intended use",
      blocks: [
        { paragraph: "For:" },
        listOr(card.uses),
        { paragraph: "By:" },
        listOr(card.users),
        { paragraph: "Not for:" },
        listOr(card.misuses),
      ],
    },
    { title: "Figures", blocks: [figures(measured)] },
    { title: "Training data", blocks: [data(trainingData)] },
    { title: "Evaluation data", blocks: [data(testData)] },
    { title: "How it was made", blocks: [procedure(steps)] },
    {
      title: "Limits and risks",
      blocks: [
        listOr([...(card.limitations ?? []), ...(card.tradeoffs ?? [])]),
        listOr(card.risks?.map(({ name, mitigation }) => (mitigation === undefined ? name : `${name}: ${mitigation}`))),
      ],
    },
    { title: "Where it comes from", blocks: [{ table: [["", ""], ...origin(run)] }] },
  ];
}

function figures(measured: ModelStory["measured"]): Block {
  if (measured.length === 0) return { paragraph: "Nothing was measured of it." };
  const rows = measured.map(({ name, value, step, on }) => [name, String(value), on.join(", "), step.name]);
  return { table: [["what", "value", "on", "by"], ...rows] };
}

function data(datasets: readonly Artefact[]): Block {
  if (datasets.length === 0) return { paragraph: "None is recorded." };
  const rows = datasets.map(({ name, records, licence, uri, id }) => [
    ...[name, records === undefined ? "" : String(records), licence ?? "not said", uri ?? "", id],
  ]);
  return { table: [["dataset", "records", "licence", "address", "digest"], ...rows] };
}

function procedure(steps: ModelStory["steps"]): Block {
  const given = (record: object) =>
    Object.entries(record)
      .map(([name, value]) => `${name} ${textOf(value)}`)
      .join(", ");
  const rows = steps.map(({ name, kind, status, parameters, seeds }) => [
    ...[name, status === "done" ? kind : `${kind}, ${status}`, given(parameters), given(seeds)],
  ]);
  return { table: [["step", "kind", "parameters", "seeds"], ...rows] };
}

function origin({ id, name, code, environment }: Run): readonly (readonly [string, string])[] {
  const { repository, commit, modified, entry } = code;
  const rows = [
    ["run", `${name} (${id})`],
    ["repository", repository],
    ["commit", commit === undefined ? undefined : `${commit}${modified === true ? ", with changes" : ""}`],
    ["script", entry],
    ["runtime", environment.runtime],
    ["platform", environment.platform],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== undefined);
}

/** Text of which Markdown obeys nothing: no markup, no line, no cell ends in it. */
const plain = (text: string): string =>
  text
    .replace(/[\p{Cc}\u2028\u2029]+/gu, " ")
    .replace(/[\\`*_{}[\]<>()#+!|~&:.@-]/g, (one) => (/[.:@-]/.test(one) ? `&#${one.charCodeAt(0)};` : `\\${one}`));

function asMarkdown(title: string, sections: readonly Section[]): string {
  const block = (one: Block): string => {
    if ("paragraph" in one) return plain(one.paragraph);
    if ("list" in one) return one.list.map((item) => `- ${plain(item)}`).join("\n");
    const [head, ...rows] = one.table.map((row) => `| ${row.map(plain).join(" | ")} |`);
    return [head, `| ${one.table[0]!.map(() => "---").join(" | ")} |`, ...rows].join("\n");
  };
  const parts = sections.map(({ title: name, blocks }) => [`## ${name}`, ...blocks.map(block)].join("\n\n"));
  return `${[`# ${title.startsWith("Model card: ") ? `Model card: ${plain(title.slice(12))}` : plain(title)}`, ...parts].join("\n\n")}\n`;
}

const escaped = (text: string): string =>
  text.replace(/[&<>"'\u202a-\u202e\u2066-\u2069]/g, (one) => `&#${one.charCodeAt(0)};`);

function asHtml(title: string, sections: readonly Section[]): string {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join("");
  const block = (one: Block): string => {
    if ("paragraph" in one) return `<p>${escaped(one.paragraph)}</p>`;
    if ("list" in one) return `<ul>${one.list.map((item) => `<li>${escaped(item)}</li>`).join("")}</ul>`;
    const [head, ...rows] = one.table;
    const isNamed = head!.some((cell) => cell !== "");
    return `<div><table>${isNamed ? `<tr>${cells(head!, "th")}</tr>` : ""}${rows.map((row) => `<tr>${cells(row, "td")}</tr>`).join("")}</table></div>`;
  };
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, td, th, p, li { overflow-wrap: anywhere; } div { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #8884; }
td:first-child { white-space: nowrap; }
</style>
<h1>${escaped(title)}</h1>
${sections.map(({ title: name, blocks }) => `<section><h2>${name}</h2>\n${blocks.map(block).join("\n")}</section>`).join("\n")}
</html>
`;
}
