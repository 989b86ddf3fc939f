import { describe, expect, it } from "vitest";
import { type ModelFacts, modelCard } from "../../src/index.ts";
import { hostileRun, minimalRun, sampleIds, sampleManifest, sampleRun } from "../helpers/sample-run.ts";

const card: ModelFacts = {
  ...{ description: "Reads one digit.", version: "1.0.0", task: "classification", approach: "supervised" },
  ...{ uses: ["lessons"], misuses: ["cheques"], limitations: ["one digit at a time"] },
  risks: [{ name: "adversarial examples", mitigation: "hardened at linf 0.3" }],
};

describe("a model card", () => {
  it("says in Markdown what the run and people know", () => {
    const { markdown } = modelCard(sampleRun, { card, datasets: [sampleManifest] });
    const lines = markdown.split("\n");
    expect(lines.slice(0, 3)).toEqual(["# digits.onnx", "", "Reads one digit."]);
    expect(lines).toContain(`| Digest | ${sampleIds["digits.onnx"]} |`);
    expect(lines).toContain("| accuracy | 0.9744 | mnist-test | Evaluate what is shipped |");
    expect(lines).toContain(`| mnist-train | 60000 | CC-BY-SA-3.0 |  | ${sampleIds["mnist-train"]} |`);
    expect(lines).toContain(
      "| Adversarial training | harden | done | 1140 s | epsilon = 0.3, steps = 40 | attack = 11 |",
    );
    expect(lines).toContain("- adversarial examples: hardened at linf 0.3");
    expect(lines).toContain(`- digits-int8 (${sampleIds["digits-int8"]})`);
    // what did not lead to it
    expect(markdown).not.toContain("TensorFlow Lite");
  });

  it("says in HTML the same", () => {
    const { html, markdown } = modelCard(sampleRun, { card });
    for (const title of markdown.match(/(?<=^## ).*$/gm)!) expect(html).toContain(`<h2>${title}</h2>`);
    expect(html).toContain(
      "<tr><td>accuracy</td><td>0.9744</td><td>mnist-test</td><td>Evaluate what is shipped</td></tr>",
    );
    expect(html).not.toMatch(/<(script|img|link|iframe)|https?:\/\/(?!example\.org)/);
  });

  it("leaves out what nobody said", () => {
    const { markdown } = modelCard(minimalRun);
    expect(markdown.match(/^## .*$/gm)).toEqual(["## Details", "## How it came about"]);
    expect(markdown).not.toMatch(/undefined|null|Licence|Architecture/);
  });

  it("keeps hostile texts as text", () => {
    for (const { id } of hostileRun.artefacts.filter(({ kind }) => kind === "model")) {
      const { html, markdown } = modelCard(hostileRun, { model: id });
      const tags = new Set([...html.matchAll(/<\/?([a-zA-Z!]+)/g)].map(([, tag]) => tag));
      const known = [
        "!doctype",
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h",
        "p",
        "div",
        "table",
        "thead",
        "tbody",
      ];
      for (const tag of tags) expect([...known, "tr", "th", "td", "ul", "li"]).toContain(tag);
      expect(html.match(/\son\w+=(?!&quot;)/g)).toBeNull();
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is there
      expect(html + markdown).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u2028\u2029\0\u001b]/);
      expect(markdown).not.toMatch(/[<>]/);
      // no link, and no table that ends early: every row has the cells of its head
      expect(markdown).not.toMatch(/(?<!\\)\[/);
      let cells = 0;
      for (const line of markdown.split("\n").filter((one) => one.startsWith("|"))) {
        const count = line.match(/(?<!\\)\|/g)!.length;
        if (/^\| (Metric|Dataset|Step| ) /.test(line) || line.startsWith("|  |")) cells = count;
        expect(count).toBe(cells);
      }
    }
  });

  it("refuses what is no model of the run", () => {
    expect(() => modelCard(sampleRun, { model: sampleIds.mnist! })).toThrow(RangeError);
    expect(() => modelCard(sampleRun, { model: "sha256:none" })).toThrow(RangeError);
    expect(() => modelCard({ ...sampleRun, activities: [] })).toThrow(RangeError);
  });
});
