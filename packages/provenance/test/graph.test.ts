import { describe, expect, it } from "vitest";
import { orderOf, type Run } from "../src/index.ts";
import { largeRun, minimalRun, sampleIds, sampleRun } from "./helpers/sample-run.ts";

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).name;
  }
  return "nothing";
};

describe("the order of a graph", () => {
  it("has everything after what it was made from, and depths that grow along every edge", () => {
    for (const run of [sampleRun, minimalRun, largeRun(500, 3_000)]) {
      const { nodes, edges, depths } = orderOf(run);
      expect(nodes).toHaveLength(run.artefacts.length + run.activities.length);
      for (const [from, to] of edges) {
        expect(from).toBeLessThan(to);
        expect(depths[from]!).toBeLessThan(depths[to]!);
      }
    }
  });

  it("has the depths of the sample, counted by hand", () => {
    const { nodes, depths } = orderOf(sampleRun);
    const depth = (key: string) => depths[nodes.findIndex((node) => node.key === key)];
    // mnist, split, train, augment, shifted, then three epochs with their weights, then harden ... export
    expect(depth(sampleIds.mnist!)).toBe(0);
    expect(depth(sampleIds["mnist-train-shifted"]!)).toBe(4);
    expect(depth(sampleIds["digits-epoch-3"]!)).toBe(10);
    expect(depth(sampleIds["digits.onnx"]!)).toBe(18);
  });

  it("joins runs by what they share", () => {
    const onnx = sampleRun.artefacts.find(({ name }) => name === "digits.onnx")!;
    const later: Run = {
      ...minimalRun,
      artefacts: [onnx, ...minimalRun.artefacts],
      activities: [{ ...minimalRun.activities[0]!, used: [{ artefact: onnx.id, role: "base model" }] }],
    };
    const { nodes, depths } = orderOf([later, sampleRun]);
    expect(nodes).toHaveLength(sampleRun.artefacts.length + sampleRun.activities.length + 2);
    expect(Math.max(...depths)).toBe(20);
    expect(codeOf(() => orderOf([sampleRun, sampleRun]))).toBe("RangeError");
  });

  it("refuses what was made from itself, in one step, in one run, and across runs", () => {
    const [step] = minimalRun.activities;
    const both = { ...step!, used: step!.made };
    expect(codeOf(() => orderOf({ ...minimalRun, activities: [both] }))).toBe("provenance/cycle");
    const deep = largeRun(1, 20_000);
    const last = deep.artefacts.at(-1)!.id;
    const activities = deep.activities.map((one, i) =>
      i === 0 ? { ...one, used: [...one.used, { artefact: last, role: "weights" }] } : one,
    );
    expect(codeOf(() => orderOf({ ...deep, activities }))).toBe("provenance/cycle");
    const [a, b] = deep.artefacts;
    const half = (id: string, used: string, made: string): Run => ({
      ...{ ...minimalRun, id, artefacts: [a!, b!] },
      activities: [{ ...step!, used: [{ artefact: used, role: "" }], made: [{ artefact: made, role: "" }] }],
    });
    const runs = [half(minimalRun.id, a!.id, b!.id), half(sampleRun.id, b!.id, a!.id)];
    expect(codeOf(() => orderOf(runs))).toBe("provenance/cycle");
    expect(codeOf(() => orderOf(runs[0]!))).toBe("nothing");
  });

  it("refuses what is not there, stands twice, or has no digest", () => {
    const [model] = minimalRun.artefacts;
    expect(codeOf(() => orderOf({ ...minimalRun, artefacts: [] }))).toBe("RangeError");
    expect(codeOf(() => orderOf({ ...minimalRun, artefacts: [model!, model!] }))).toBe("RangeError");
    expect(codeOf(() => orderOf({ ...minimalRun, artefacts: [{ ...model!, id: "sha256:1" }] }))).toBe("RangeError");
    const [step] = minimalRun.activities;
    expect(codeOf(() => orderOf({ ...minimalRun, activities: [step!, step!] }))).toBe("RangeError");
    const odd = { ...step!, metrics: { loss: Number.NaN } };
    expect(codeOf(() => orderOf({ ...minimalRun, activities: [odd] }))).toBe("RangeError");
    expect(codeOf(() => orderOf(undefined as unknown as Run))).toBe("TypeError");
  });
});
