import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { describe, expect, it } from "vitest";
import { openlineage, type Run } from "../../src/index.ts";
import { hostileRun, minimalRun, sampleIds, sampleRun } from "../helpers/sample-run.ts";
import { hasOpenLineage, openLineageVector } from "../helpers/vectors.ts";

// biome-ignore lint/suspicious/noExplicitAny: looked into at will
const eventsOf = (run: Run): any[] => openlineage(run) as any[];
const { minimal, ...runs } = { sample: sampleRun, hostile: hostileRun, minimal: minimalRun };

// The schemas of the specification: of the events, and of each facet by the address that the facet itself names.
function validator() {
  const ajv = new Ajv2020({ strict: false });
  formats.default(ajv);
  ajv.addSchema(JSON.parse(readFileSync(openLineageVector("OpenLineage.json"), "utf8")));
  for (const file of readdirSync(openLineageVector("facets"))) {
    ajv.addSchema(JSON.parse(readFileSync(openLineageVector("facets", file), "utf8")));
  }
  return (value: unknown, address: string): string[] => {
    const validate = ajv.getSchema(address);
    if (validate === undefined) return [`${address} is not known`];
    return validate(value) ? [] : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
  };
}

/** Every facet, wherever it stands. */
function facetsIn(value: unknown): { _schemaURL: string }[] {
  if (typeof value !== "object" || value === null) return [];
  const inside = Object.values(value).flatMap(facetsIn);
  return "_schemaURL" in value ? [value as { _schemaURL: string }, ...inside] : inside;
}

describe.skipIf(!hasOpenLineage)("OpenLineage by its schemas", () => {
  it.each(Object.entries({ ...runs, minimal }))("the %s run: all events, all facets", (_, run) => {
    const faults = validator();
    const events = eventsOf(run);
    for (const event of events) expect(faults(event, event.schemaURL)).toEqual([]);
    const facets = facetsIn(events);
    expect(facets.length).toBeGreaterThan(events.length);
    for (const facet of facets) expect(faults(facet, facet._schemaURL)).toEqual([]);
  });

  it("finds faults", () => {
    const [event] = eventsOf(sampleRun);
    const faults = validator();
    expect(faults({ ...event, run: { runId: "1" } }, event.schemaURL)).not.toEqual([]);
    expect(
      faults({ ...event.run.facets.processing_engine, version: 1 }, event.run.facets.processing_engine._schemaURL),
    ).not.toEqual([]);
  });
});

describe("OpenLineage", () => {
  it("starts and ends every step and the run, in the order of time", () => {
    const events = eventsOf(sampleRun);
    expect(events).toHaveLength(2 * (sampleRun.activities.length + 1));
    const times = events.map(({ eventTime }) => Date.parse(eventTime));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect([events[0], events.at(-1)].map(({ eventType, run }) => [eventType, run.runId])).toEqual([
      ["START", sampleRun.id],
      ["COMPLETE", sampleRun.id],
    ]);
    for (const id of new Set(events.map(({ run }) => run.runId))) {
      const both = events.filter(({ run }) => run.runId === id).map(({ eventType }) => eventType);
      expect(both).toHaveLength(2);
      expect(both[0]).toBe("START");
    }
    const types = events.map(({ eventType }) => eventType);
    expect(types.filter((type) => type === "FAIL")).toHaveLength(1);
    expect(types.filter((type) => type === "COMPLETE")).toHaveLength(sampleRun.activities.length);
  });

  it("says what a step used and made, and with what outcome", () => {
    const end = eventsOf(sampleRun).find(
      ({ job, eventType }) => job.name === "digits.Epoch 2" && eventType === "COMPLETE",
    );
    const name = (artefact: string) => `${artefact}@${sampleIds[artefact]!.slice(7, 19)}`;
    expect(end.inputs.map((one: { name: string }) => one.name)).toEqual([
      ...[name("digits-epoch-1"), name("mnist-train-shifted"), name("train.ts")],
    ]);
    expect(end.inputs[1].inputFacets.inputStatistics).toMatchObject({ rowCount: 120_000 });
    expect(end.inputs[1].inputFacets.parapet_use.records).toEqual(sampleRun.activities[4]!.used[1]!.records);
    expect(end.outputs[0].facets.version.datasetVersion).toBe(sampleIds["digits-epoch-2"]);
    expect(end.run.facets.parapet_metrics.metrics).toEqual([
      { name: "loss", value: 0.25 },
      { name: "accuracy", value: 0.94 },
    ]);
    expect(end.run.facets.executionParameters.parameters).toContainEqual({
      key: "layers",
      name: "layers",
      value: "[784,128,10]",
    });
    expect(end.run.facets.parent.run.runId).toBe(sampleRun.id);
    const failed = eventsOf(sampleRun).find(({ eventType }) => eventType === "FAIL");
    expect(failed.run.facets.errorMessage.message).toBe('the operator "GatherNd" is not known');
  });

  it("leaves open what still runs, and aborts what was cut off", () => {
    expect(eventsOf(minimalRun).map(({ eventType }) => eventType)).toEqual(["START", "START"]);
    const [step] = minimalRun.activities;
    const cut: Run = { ...minimalRun, status: "interrupted", activities: [{ ...step!, status: "interrupted" }] };
    expect(eventsOf(cut).map(({ eventType }) => eventType)).toEqual(["START", "START", "ABORT", "ABORT"]);
  });

  it("is the same each time, and refuses a time that is none", () => {
    expect(JSON.stringify(eventsOf(sampleRun))).toBe(JSON.stringify(eventsOf(structuredClone(sampleRun))));
    expect(() => openlineage({ ...sampleRun, started: "now" })).toThrow(RangeError);
  });
});
