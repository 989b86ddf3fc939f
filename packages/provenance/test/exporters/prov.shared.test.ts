import { describe, expect, it } from "vitest";
import { prov, type Run } from "../../src/index.ts";
import { hostileRun, minimalRun, sampleIds, sampleRun } from "../helpers/sample-run.ts";

// biome-ignore lint/suspicious/noExplicitAny: looked into at will
const documentOf = (run: Run): any => prov(run);
const entity = (name: string) => `artefact:${sampleIds[name]!.slice(7)}`;

describe("PROV-JSON", () => {
  it("has artefacts, steps, and what they had to do with each other", () => {
    const document = documentOf(sampleRun);
    expect(Object.keys(document.entity)).toHaveLength(sampleRun.artefacts.length + 1);
    expect(Object.keys(document.activity)).toHaveLength(sampleRun.activities.length + 1);
    const count = (way: "used" | "made") => sampleRun.activities.reduce((sum, one) => sum + one[way].length, 0);
    expect(Object.keys(document.used)).toHaveLength(count("used"));
    expect(Object.keys(document.wasGeneratedBy)).toHaveLength(count("made"));
    expect(Object.values(document.used)).toContainEqual({
      ...{ "prov:activity": "step:distil", "prov:entity": entity("digits-hardened"), "prov:role": "teacher" },
    });
    expect(Object.values(document.wasDerivedFrom)).toContainEqual({
      ...{ "prov:generatedEntity": entity("digits.onnx"), "prov:usedEntity": entity("digits-int8") },
      "prov:activity": "step:export",
    });
    expect(document.activity["step:train-1"]).toMatchObject({
      ...{ "prov:startTime": "2026-03-01T09:10:00Z", "prov:endTime": "2026-03-01T09:19:00Z" },
      "parapet:seed": ["shuffle=1", "initialisation=7"],
    });
    expect(document.activity["step:export-lite"]["parapet:error"]).toContain("GatherNd");
  });

  it("refers only to what it has, whatever steps are called", () => {
    for (const run of [sampleRun, minimalRun, hostileRun]) {
      const document = documentOf(run);
      const known = new Set([document.entity, document.activity, document.agent].flatMap((part) => Object.keys(part)));
      for (const name of known) expect(name).toMatch(/^(artefact|step|run):[A-Za-z0-9%_-]*$/);
      for (const relation of ["used", "wasGeneratedBy", "wasDerivedFrom", "wasAssociatedWith"]) {
        for (const record of Object.values<Record<string, string>>(document[relation] ?? {})) {
          for (const part of ["activity", "entity", "agent", "plan", "generatedEntity", "usedEntity"]) {
            if (`prov:${part}` in record) expect(known).toContain(record[`prov:${part}`]);
          }
        }
      }
    }
  });

  it("does not write out what grows with the square", () => {
    const artefacts = Array.from({ length: 4_000 }, (_, i) => ({
      id: `sha256:${i.toString(16).padStart(64, "0")}`,
      ...{ kind: "file" as const, name: `${i}` },
    }));
    const uses = artefacts.map(({ id }) => ({ artefact: id, role: "" }));
    const step = {
      ...minimalRun.activities[0]!,
      status: "done" as const,
      used: uses.slice(0, 2_000),
      made: uses.slice(2_000),
    };
    const document = documentOf({ ...minimalRun, artefacts, activities: [step] });
    expect(document.wasDerivedFrom).toBeUndefined();
    expect(Object.keys(document.used)).toHaveLength(2_000);
  });
});
