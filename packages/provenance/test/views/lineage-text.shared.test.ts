import { createRecorder, lineageHtml, lineageText, memoryJournal } from "@parapet/provenance";
import { describe, expect, it } from "vitest";
import { hostileRun, largeRun, minimalRun, sampleIds, sampleRun } from "../helpers/sample-run.ts";

describe("a lineage as text", () => {
  it("goes down from the model to its sources", async () => {
    const now = () => new Date("2026-01-01T00:00:00Z");
    const recorder = await createRecorder(memoryJournal(), { name: "digits", now });
    const data = await recorder.artefact({
      kind: "dataset",
      name: "mnist",
      content: "d",
      records: 60_000,
      licence: "MIT",
    });
    const options = { kind: "train", name: "Train", parameters: { rate: 0.1 }, seeds: { shuffle: 7 } } as const;
    await recorder.step(options, (step) => {
      step.use(data, "training data", { count: 60_000, all: true });
      step.measure({ loss: 0.25 });
      step.make({ kind: "model", name: "digits", content: "weights" }, "weights");
    });
    const text = lineageText(await recorder.finish());
    const lines = text.split("\n");
    const at = (part: string) => lines.findIndex((line) => line.includes(part));
    expect(lines[0]).toMatch(/^Run digits · done/);
    expect([at("digits · model"), at("Train"), at("mnist")].every((line) => line > 0)).toBe(true);
    expect(at("Train")).toBeGreaterThan(at("digits · model"));
    expect(at("mnist")).toBeGreaterThan(at("Train"));
    for (const part of ["rate", "0.1", "shuffle", "7", "loss", "0.25", "60,000 records", "MIT"])
      expect(text).toContain(part);
  });

  it("keeps to its width, prints nothing twice, and obeys nothing that stands in names", () => {
    for (const run of [sampleRun, minimalRun, hostileRun, largeRun(10, 40)]) {
      for (const width of [40, 100]) {
        const text = lineageText(run, { width });
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is there
        expect(text.replaceAll("\n", "")).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
        for (const line of text.split("\n")) expect(Array.from(line).length).toBeLessThanOrEqual(width);
      }
    }
    expect(() => lineageText(sampleRun, { width: 10 })).toThrow('"width" expected');
    expect(() => lineageText(sampleRun, { artefact: "sha256:0" })).toThrow('"artefact" expected');
    expect(lineageText(sampleRun, { artefact: Object.values(sampleIds)[0]! }).length).toBeGreaterThan(50);
  });

  it("cuts 10,000 nodes, and says how many are left out", () => {
    const text = lineageText(largeRun(5000, 2500));
    expect(text.split("\n").length).toBeLessThan(3000);
    expect(text).toMatch(/[\d,]+ more artefacts and steps are left out/);
  });
});

describe("a lineage as a page", () => {
  it("allows its own script by its hash, and holds no markup of names", () => {
    const page = lineageHtml(hostileRun);
    expect(page).toMatch(/script-src 'sha256-[A-Za-z0-9+/]{43}='/);
    expect(page.match(/<script/g)).toHaveLength(2);
    expect(page).not.toMatch(/https?:\/\/(?!www\.w3\.org)[^"]*"?>/);
    expect(lineageHtml(sampleRun, { title: "<i>" })).toContain("<title>&lt;i&gt;</title>");
    expect(() => lineageHtml([])).toThrow('"runs" expected');
  });
});
