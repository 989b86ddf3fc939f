import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { describe, expect, it } from "vitest";
import { type CycloneDxOptions, cyclonedx, type ModelFacts, type Run } from "../../src/index.ts";
import { hostileRun, largeRun, minimalRun, sampleIds, sampleManifest, sampleRun } from "../helpers/sample-run.ts";

const versions = { "1.6": Spec.Version.v1dot6, "1.7": Spec.Version.v1dot7 } as const;
// The official schemas, as the library ships them.
const faults = async (document: unknown, version: CycloneDxOptions["version"]) =>
  new Validation.JsonValidator(versions[version]).validate(JSON.stringify(document));

const card: ModelFacts = {
  approach: "supervised",
  ...{ description: "Reads one digit", version: "1.0.0", task: "classification" },
  ...{ architectureFamily: "dense network", architecture: "784-128-10", inputs: ["float32 [n, 784]"] },
  ...{ outputs: ["float32 [n, 10]"], users: ["teachers"], uses: ["lessons"], misuses: ["cheques"] },
  ...{ limitations: ["one digit at a time"], tradeoffs: ["8 bits cost 0.7 % of accuracy"] },
  risks: [{ name: "adversarial examples", mitigation: "hardened at linf 0.3" }, { name: "writers are known" }],
};
const onnx = sampleIds["digits.onnx"]!;

// biome-ignore lint/suspicious/noExplicitAny: looked into at will
const bom = (run: Run, options: Partial<CycloneDxOptions> = {}): any => cyclonedx(run, { version: "1.6", ...options });

describe.each(["1.6", "1.7"] as const)("CycloneDX %s", (version) => {
  it("holds against the official schema", async () => {
    const model = hostileRun.artefacts[0]!.id;
    for (const document of [
      bom(sampleRun, { version }),
      bom(sampleRun, { version, card, datasets: [sampleManifest] }),
      bom(minimalRun, { version }),
      bom(hostileRun, { version, model }),
    ]) {
      expect(await faults(document, version)).toBeNull();
    }
  });

  it("is checked by something that finds faults", async () => {
    const document = bom(sampleRun, { version });
    document.components[0].hashes[0].content = "none";
    expect(await faults(document, version)).not.toBeNull();
    const second = bom(sampleRun, { version });
    second.formulation[0].workflows[0].tasks[0].outcome = 1;
    expect(await faults(second, version)).not.toBeNull();
  });
});

describe("CycloneDX", () => {
  it("is about the model, with its hash, parents, data and figures", () => {
    const { metadata, serialNumber } = bom(sampleRun, { card });
    const { component } = metadata;
    expect(serialNumber).toBe(`urn:uuid:${sampleRun.id}`);
    expect(metadata.timestamp).toBe("2026-03-01T10:20:00Z");
    expect(component).toMatchObject({ type: "machine-learning-model", "bom-ref": onnx, name: "digits.onnx" });
    expect(component.hashes).toEqual([{ alg: "SHA-256", content: onnx.slice(7) }]);
    expect(component.pedigree.ancestors.map(({ name }: { name: string }) => name)).toEqual(["digits-int8"]);
    expect(component.pedigree.commits).toEqual([{ uid: sampleRun.code.commit, url: sampleRun.code.repository }]);
    const { modelParameters, quantitativeAnalysis, considerations, properties } = component.modelCard;
    expect(modelParameters).toEqual({
      approach: { type: "supervised" },
      ...{ task: "classification", architectureFamily: "dense network", modelArchitecture: "784-128-10" },
      datasets: [{ ref: sampleIds["mnist-train-shifted"] }, { ref: sampleIds["mnist-train"] }],
      ...{ inputs: [{ format: "float32 [n, 784]" }], outputs: [{ format: "float32 [n, 10]" }] },
    });
    expect(quantitativeAnalysis.performanceMetrics).toEqual([
      { type: "accuracy", value: "0.9744", slice: "mnist-test" },
      { type: "robust accuracy (linf 0.3)", value: "0.912", slice: "mnist-test" },
    ]);
    expect(considerations.technicalLimitations).toEqual(["one digit at a time", "cheques"]);
    expect(considerations.ethicalConsiderations[1]).toEqual({ name: "writers are known" });
    expect(properties).toContainEqual({ name: "parapet:parameter:train-2:learningRate", value: "0.0005" });
    expect(properties).toContainEqual({ name: "parapet:seed:harden:attack", value: "11" });
  });

  it("names every artefact and every step once, and refers to nothing else", () => {
    const document = bom(sampleRun, { datasets: [sampleManifest] });
    const named = [document.metadata.component, ...document.components].map((one) => one["bom-ref"]);
    expect([...named].sort()).toEqual(sampleRun.artefacts.map(({ id }) => id).sort());
    const [workflow] = document.formulation[0].workflows;
    expect(workflow.tasks.map(({ uid }: { uid: string }) => uid)).toEqual(sampleRun.activities.map(({ id }) => id));
    const text = JSON.stringify(document);
    const all = [...text.matchAll(/"bom-ref":"((?:[^"\\]|\\.)*)"/g)].map(([, ref]) => ref!);
    expect(new Set(all).size).toBe(all.length);
    for (const [, ref] of text.matchAll(/"ref":"((?:[^"\\]|\\.)*)"/g)) expect(all).toContain(ref);
    expect(workflow.taskDependencies.find(({ ref }: { ref: string }) => ref === "step:train-1").dependsOn).toEqual([
      "step:augment",
    ]);
    expect(
      document.dependencies.find(({ ref }: { ref: string }) => ref === sampleIds["digits-student"]).dependsOn,
    ).toEqual([sampleIds["digits-hardened"], sampleIds["mnist-train"]]);
  });

  it("says of the data who owns it and what is personal", () => {
    const { components } = bom(sampleRun, { datasets: [sampleManifest] });
    const [data] = components.find((one: { name: string }) => one.name === "mnist").data;
    expect(data).toMatchObject({ type: "dataset", classification: "personal", sensitiveData: ["writer"] });
    expect(data.governance.owners).toEqual([
      { organization: { name: "Yann LeCun" } },
      { organization: { name: "Corinna Cortes" } },
    ]);
    expect(data.contents.properties).toContainEqual({ name: "parapet:consent:basis", value: "licence" });
  });

  it("is the same each time, and refuses what it cannot name", () => {
    expect(JSON.stringify(bom(sampleRun))).toBe(JSON.stringify(bom(structuredClone(sampleRun))));
    expect(() => bom(sampleRun, { model: "sha256:none" })).toThrow(RangeError);
    expect(() => bom(sampleRun, { model: sampleIds.mnist! })).toThrow(RangeError);
    expect(() => bom(sampleRun, { version: "1.5" as never })).toThrow(RangeError);
    expect(() => bom(sampleRun, { serialNumber: "urn:uuid:x" })).toThrow(RangeError);
    expect(() => bom(sampleRun, { datasets: [{ ...sampleManifest, records: 1 }] })).toThrow(RangeError);
    const [step] = sampleRun.activities;
    const used = [{ artefact: `sha256:${"0".repeat(64)}`, role: "" }];
    expect(() => bom({ ...sampleRun, activities: [{ ...step!, used }] })).toThrow(RangeError);
  });
});

describe("the size", () => {
  it("grows with the run, not with its square", () => {
    const size = (depth: number) => JSON.stringify(bom(largeRun(10, depth))).length;
    expect(size(2_000) / size(1_000)).toBeLessThan(2.2);
  });
});
