import { describe, expect, it } from "vitest";
import { type Run, type SpdxOptions, spdx } from "../../src/index.ts";
import { hostileRun, largeRun, minimalRun, sampleIds, sampleManifest, sampleRun } from "../helpers/sample-run.ts";

// biome-ignore lint/suspicious/noExplicitAny: looked into at will
const graphOf = (run: Run, options: SpdxOptions = {}): any[] => (spdx(run, options) as any)["@graph"];
const idOf = (name: string) => `urn:parapet:spdx:${sampleRun.id}:artefact-${sampleIds[name]!.slice(7)}`;

describe("SPDX 3.0.1", () => {
  it("has models, datasets, files and steps, and how they relate", () => {
    const graph = graphOf(sampleRun, { datasets: [sampleManifest], card: { task: "digits", misuses: ["cheques"] } });
    const count = (type: string) => graph.filter((one) => one.type === type).length;
    expect([
      count("ai_AIPackage"),
      count("dataset_DatasetPackage"),
      count("software_File"),
      count("build_Build"),
    ]).toEqual([8, 4, 2, 13]);
    const related = (from: string, type: string): string[] =>
      graph.find((one) => one.from === idOf(from) && one.relationshipType === type)?.to;
    expect(related("digits-epoch-2", "trainedOn")).toEqual([idOf("mnist-train-shifted")]);
    expect(related("digits.onnx", "testedOn")).toEqual([idOf("mnist-test")]);
    expect(related("digits-student", "descendantOf")).toEqual([idOf("digits-hardened")]);
    expect(graph.find((one) => one.type === "SpdxDocument").rootElement).toEqual([idOf("digits.onnx")]);
    const model = graph.find((one) => one.spdxId === idOf("digits.onnx"));
    expect(model.ai_metric[1]).toEqual({
      ...{ type: "DictionaryEntry", key: "robust accuracy (linf 0.3) on mnist-test", value: "0.912" },
    });
    expect(model.ai_limitation).toBe("not for cheques");
    expect(model.ai_hyperparameter).toContainEqual({ type: "DictionaryEntry", key: "harden: epsilon", value: "0.3" });
    const data = graph.find((one) => one.spdxId === idOf("mnist"));
    expect(data).toMatchObject({ dataset_datasetSize: 70_000, dataset_hasSensitivePersonalInformation: "yes" });
  });

  it("gives every model and dataset both licences, as its profiles demand", () => {
    for (const run of [sampleRun, minimalRun, hostileRun]) {
      const graph = graphOf(run);
      for (const { spdxId } of graph.filter(({ type }) => /Package$/.test(type))) {
        const types = graph.filter((one) => one.from === spdxId).map((one) => one.relationshipType as string);
        expect(types.filter((type) => /License/.test(type)).sort()).toEqual([
          "hasConcludedLicense",
          "hasDeclaredLicense",
        ]);
      }
    }
  });

  it("refers only to what it has, each once", () => {
    for (const run of [sampleRun, minimalRun, hostileRun]) {
      const graph = graphOf(run);
      const ids = graph.flatMap(({ spdxId }) => spdxId ?? []);
      expect(new Set(ids).size).toBe(ids.length);
      const [, document] = graph;
      expect([...document.element].sort()).toEqual(ids.filter((id) => id !== document.spdxId).sort());
      for (const { from, to = [] } of graph.filter(({ type }) => type === "Relationship")) {
        for (const id of [from, ...to]) if (!/NoAssertionLicense$/.test(id)) expect(ids).toContain(id);
      }
    }
  });

  it("is about what was chosen, grows with the run, and refuses what is not there", () => {
    const roots = graphOf(sampleRun, { model: sampleIds["digits-hardened"]! })[1].rootElement;
    expect(roots).toEqual([idOf("digits-hardened")]);
    const size = (depth: number) => JSON.stringify(graphOf(largeRun(10, depth))).length;
    expect(size(1_000) / size(500)).toBeLessThan(2.2);
    expect(() => spdx(sampleRun, { model: sampleIds.mnist! })).toThrow(RangeError);
    expect(() => spdx(sampleRun, { namespace: "none" })).toThrow(RangeError);
    expect(() => spdx(sampleRun, { datasets: [{ ...sampleManifest, name: "other" }] })).toThrow(RangeError);
  });
});
