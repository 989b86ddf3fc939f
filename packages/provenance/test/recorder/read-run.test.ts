import { createRng, ParapetError } from "@parapet/core";
import { readRun } from "@parapet/provenance";
import { describe, expect, it } from "vitest";
import { hostileRun, minimalRun, sampleRun } from "../helpers/sample-run.ts";

const runs = Number(process.env.PARAPET_FUZZ ?? 2000);

describe("a run that comes from outside", () => {
  it.each([sampleRun, minimalRun, hostileRun])("is read when it is one", (run) => {
    expect(readRun(JSON.stringify(run))).toEqual(JSON.parse(JSON.stringify(run)));
  });

  it.each<[string, (run: never) => unknown, string]>([
    ["another schema", (run) => ({ ...(run as object), schema: "urn:x" }), "malformed"],
    ["an unknown field", (run) => ({ ...(run as object), more: 1 }), "malformed"],
    ["no activities", (run) => ({ ...(run as object), activities: undefined }), "malformed"],
    ["a day that no calendar has", (run) => ({ ...(run as object), started: "2026-02-30T00:00:00Z" }), "malformed"],
  ])("%s", (_, change, code) => {
    expect(() => readRun(JSON.stringify(change(sampleRun as never)))).toThrow(
      expect.objectContaining({ code: `provenance/${code}` }),
    );
  });

  it("is refused when something was made from itself, however long the way", () => {
    const id = (i: number) => `sha256:${i.toString(16).padStart(64, "0")}`;
    const length = 5000;
    const artefacts = Array.from({ length }, (_, i) => ({ id: id(i), kind: "file", name: "f" }));
    const activities = artefacts.map((_, i) => ({
      ...{ id: `s${i}`, kind: "other", name: "s", started: "2026-01-01T00:00:00Z", status: "done" },
      ...{ parameters: {}, seeds: {}, metrics: {}, used: [{ artefact: id(i), role: "" }] },
      made: [{ artefact: id((i + 1) % length), role: "" }],
    }));
    const circle = { ...minimalRun, artefacts, activities };
    expect(() => readRun(JSON.stringify(circle))).toThrow(expect.objectContaining({ code: "provenance/cycle" }));
    const line = { ...circle, activities: activities.slice(1) };
    expect(readRun(JSON.stringify(line)).activities).toHaveLength(length - 1);
  });

  it("gets a typed error, whatever was done to it", () => {
    const rng = createRng(5);
    const source = new TextEncoder().encode(JSON.stringify(minimalRun));
    let refused = 0;
    for (let i = 0; i < runs; i++) {
      const bytes = Array.from(source);
      for (let edits = 1 + Math.floor(rng.next() * 3); edits > 0; edits--) {
        const at = Math.floor(rng.next() * bytes.length);
        const kind = Math.floor(rng.next() * 4);
        if (kind === 0) bytes[at] = Math.floor(rng.next() * 256);
        else if (kind === 1) bytes.splice(at, Math.floor(rng.next() * 20));
        else if (kind === 2) bytes.splice(at, 0, ...bytes.slice(Math.floor(rng.next() * bytes.length)).slice(0, 30));
        else bytes.length = at;
      }
      try {
        readRun(Uint8Array.from(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(ParapetError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(runs / 2);
  });
});
