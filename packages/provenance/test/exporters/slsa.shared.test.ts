import { fromBase64, fromUtf8, type Json } from "@parapet/attestation";
import { describe, expect, it } from "vitest";
import { manifestId } from "../../src/datasets/read-manifest.ts";
import { utc, uuidFor } from "../../src/exporters/shared.ts";
import { slsa } from "../../src/index.ts";
import {
  digestFor,
  hostileNames,
  hostileRun,
  minimalRun,
  sampleIds,
  sampleManifest,
  sampleRun,
} from "../helpers/sample-run.ts";

const builder = "https://example.org/trainer/v1";
// biome-ignore lint/suspicious/noExplicitAny: looked into at will
const predicateOf = (run = sampleRun, options = {}) => slsa(run, { builder, ...options }).predicate as any;

describe("SLSA provenance", () => {
  it("is about the model that came out, and names what it was made from", () => {
    const statement = slsa(sampleRun, { builder });
    expect(statement.subject).toEqual([{ name: "digits.onnx", digest: { sha256: digestFor("digits.onnx") } }]);
    const { buildDefinition, runDetails } = predicateOf();
    expect(buildDefinition.buildType).toBe("urn:parapet:buildtype:training:v1");
    expect(buildDefinition.externalParameters).toMatchObject({
      name: "digits",
      entry: "src/train.ts",
      steps: { "train-2": { kind: "train", parameters: { learningRate: 0.0005 }, seeds: { shuffle: 2 } } },
    });
    expect(buildDefinition.resolvedDependencies.map(({ name }: { name: string }) => name)).toEqual([
      ...["source", "mnist", "train.ts", "strokes-base"],
    ]);
    expect(buildDefinition.resolvedDependencies[0]).toEqual({
      ...{ name: "source", uri: "git+https://example.org/digits.git" },
      digest: { gitCommit: sampleRun.code.commit },
    });
    expect(buildDefinition.resolvedDependencies[1].annotations).toMatchObject({
      licence: "CC-BY-SA-3.0",
      roles: ["source"],
      recordsSeen: [
        { step: "load", count: 70_000, all: true },
        { step: "split", count: 70_000, all: true },
      ],
    });
    expect(runDetails.metadata).toEqual({
      invocationId: `urn:uuid:${sampleRun.id}`,
      ...{ startedOn: "2026-03-01T09:00:00Z", finishedOn: "2026-03-01T10:20:00Z" },
    });
    expect(runDetails.builder).toEqual({ id: builder, version: sampleRun.environment.packages });
    const metrics = runDetails.byproducts.at(-1);
    expect(JSON.parse(fromUtf8(fromBase64(metrics.content)))["train-3"]).toEqual({ loss: 0.5 / 3, accuracy: 0.96 });
    // 3 sets, 3 epochs, 3 later models, 1 report, 1 list of figures
    expect(runDetails.byproducts).toHaveLength(11);
  });

  it("has every artefact once, as subject, dependency or byproduct", () => {
    const { buildDefinition, runDetails } = predicateOf();
    const digests = [
      ...buildDefinition.resolvedDependencies,
      ...runDetails.byproducts,
      ...slsa(sampleRun, { builder }).subject,
    ]
      .map(({ digest }) => digest?.sha256)
      .filter((digest) => digest !== undefined);
    expect(digests.sort()).toEqual(sampleRun.artefacts.map(({ id }) => id.slice(7)).sort());
  });

  it("can be about other artefacts, and about none that the run did not make", () => {
    const subjects = [sampleIds["evaluation.json"]!];
    expect(slsa(sampleRun, { builder, subjects }).subject[0]!.name).toBe("evaluation.json");
    expect(() => slsa(sampleRun, { builder, subjects: [sampleIds.mnist!] })).toThrow(RangeError);
    expect(() => slsa(sampleRun, { builder, subjects: ["sha256:no"] })).toThrow(RangeError);
    expect(() => slsa({ ...minimalRun, activities: [] }, { builder })).toThrow(RangeError);
    expect(() => slsa(sampleRun, { builder: "me" })).toThrow(TypeError);
    expect(() => slsa(sampleRun, undefined as never)).toThrow(TypeError);
  });

  it("keeps hostile texts as they are, and takes nothing from prototypes", () => {
    const { buildDefinition } = JSON.parse(JSON.stringify(predicateOf(hostileRun))) as {
      buildDefinition: {
        externalParameters: { name: string; steps: Record<string, { parameters: Record<string, Json> }> };
      };
    };
    expect(buildDefinition.externalParameters.name).toBe(hostileNames[0]);
    const steps = buildDefinition.externalParameters.steps;
    expect(Object.keys(steps)).toHaveLength(hostileNames.length);
    expect(Object.hasOwn(steps["__proto__#8"]!.parameters, "__proto__")).toBe(true);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(predicateOf(minimalRun).runDetails.metadata.finishedOn).toBeUndefined();
  });
});

describe("what the formats share", () => {
  it("has the UUID of RFC 9562, appendix B.2", () => {
    expect(uuidFor("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com")).toBe(
      "5c146b14-3c52-8afd-938a-375d0df1fbf6",
    );
  });

  it("writes times in UTC, and refuses what is none", () => {
    expect(utc("2026-03-01T09:00:00+02:00")).toBe("2026-03-01T07:00:00Z");
    expect(utc("2026-03-01T09:00:00.25Z")).toBe("2026-03-01T09:00:00.250Z");
    for (const time of ["", "1", "yesterday", "2026-13-01T00:00:00Z"]) expect(() => utc(time)).toThrow(RangeError);
  });

  it("knows a manifest by its digest", () => {
    expect(manifestId(sampleManifest)).toBe(sampleIds.mnist);
  });
});
