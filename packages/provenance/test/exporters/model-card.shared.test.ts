import { modelCard } from "@parapet/provenance";
import { describe, expect, it } from "vitest";
import { hostileRun, minimalRun, sampleIds, sampleRun } from "../helpers/sample-run.ts";

describe("a model card", () => {
  const card = {
    task: "digits",
    limitations: ["grey images only"],
    risks: [{ name: "adversarial examples", mitigation: "hardened" }],
  };

  it("says what was measured, on what, and where the model comes from", () => {
    const { markdown, html } = modelCard(sampleRun, { card });
    for (const text of [markdown, html]) {
      for (const part of ["Figures", "Training data", "grey images only", "hardened", sampleRun.name])
        expect(text).toContain(part);
    }
    const evaluated = sampleRun.activities.filter(({ kind }) => kind === "evaluate").at(-1)!;
    for (const value of Object.values(evaluated.metrics)) expect(html).toContain(`<td>${value}</td>`);
    expect(html).toContain("Not said.");
    expect(modelCard(minimalRun).markdown).toMatch(/^# Model card: /);
  });

  it("is deterministic, and refuses models that are not there", () => {
    expect(modelCard(sampleRun, { card })).toEqual(modelCard(sampleRun, { card }));
    expect(() => modelCard(sampleRun, { model: `sha256:${"0".repeat(64)}` })).toThrow(RangeError);
    const dataset = Object.entries(sampleIds).find(([name]) => /mnist/i.test(name))![1];
    expect(() => modelCard(sampleRun, { model: dataset })).toThrow("model");
  });

  it("shows hostile names as the text that they are", () => {
    for (const { id, kind } of hostileRun.artefacts.filter((one) => one.kind === "model").map((one) => one)) {
      expect(kind).toBe("model");
      const { markdown, html } = modelCard(hostileRun, { model: id });
      expect(html).not.toMatch(/<script|<img|<iframe|javascript:[^&]*"/i);
      expect(html.match(/<\/table>/g)!.length).toBe(html.match(/<table>/g)!.length);
      // Outside of this card's own lines nothing begins a heading, a cell or a tag.
      expect(markdown).not.toMatch(/(^|[^\\])<[a-z/!]/im);
      expect(markdown.split("\n").filter((line) => line.startsWith("# "))).toHaveLength(1);
      const rows = markdown.split("\n").filter((line) => line.startsWith("|"));
      for (const row of rows)
        expect([2, 4, 5]).toContain(row.replaceAll("\\\\", "").replaceAll("\\|", "").split("|").length - 2);
    }
  });
});
