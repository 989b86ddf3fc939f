import fastCheck from "fast-check";
import { describe, expect, it } from "vitest";
import { exporters, lineageText, orderOf, type Run } from "../../src/index.ts";
import { groupsOf } from "../../src/views/lineage-groups.ts";
import { minimalRun } from "../helpers/sample-run.ts";

const numRuns = Number(process.env.PARAPET_FUZZ ?? 2_000) / 10;
const [step] = minimalRun.activities;
const idOf = (place: number) => `sha256:${place.toString(16).padStart(64, "0")}`;

/** Any graph: steps use and make any artefacts, also their own; names are any text. */
const anyRun = fastCheck
  .integer({ min: 1, max: 12 })
  .chain((count) =>
    fastCheck.record({
      names: fastCheck.array(fastCheck.string({ unit: "binary" }), { minLength: count, maxLength: count }),
      steps: fastCheck.array(
        fastCheck.record({
          name: fastCheck.string({ unit: "binary" }),
          kind: fastCheck.constantFrom("train" as const, "evaluate" as const),
          used: fastCheck.uniqueArray(fastCheck.nat(count - 1), { maxLength: 4 }),
          made: fastCheck.uniqueArray(fastCheck.nat(count - 1), { maxLength: 3 }),
        }),
        { maxLength: 10 },
      ),
    }),
  )
  .map(({ names, steps }): Run => {
    const uses = (places: readonly number[]) => places.map((place) => ({ artefact: idOf(place), role: names[place]! }));
    return {
      ...minimalRun,
      artefacts: names.map((name, place) => ({ id: idOf(place), kind: place % 2 === 0 ? "model" : "dataset", name })),
      activities: steps.map((one, i) => ({
        ...{ ...step!, id: String(i), name: one.name, kind: one.kind, status: "done" as const },
        ...{ used: uses(one.used), made: uses(one.made) },
      })),
    };
  });

/** By following every way, which is slow and plain. */
function hasCycle({ activities }: Run): boolean {
  const leadsTo = (id: string, seen: readonly string[]): boolean =>
    seen.includes(id) ||
    activities
      .filter(({ used }) => used.some(({ artefact }) => artefact === id))
      .some(({ made }) => made.some(({ artefact }) => leadsTo(artefact, [...seen, id])));
  return activities.some(({ used }) => used.some(({ artefact }) => leadsTo(artefact, [])));
}

describe("any graph", () => {
  it("has an order exactly when nothing was made from itself", () => {
    let [ordered, refused] = [0, 0];
    const property = fastCheck.property(anyRun, (run) => {
      if (hasCycle(run)) {
        expect(() => orderOf(run)).toThrow(expect.objectContaining({ code: "provenance/cycle" }));
        expect(() => lineageText(run)).toThrow(expect.objectContaining({ code: "provenance/cycle" }));
        refused++;
        return;
      }
      const order = orderOf(run);
      for (const [from, to] of order.edges) expect(from).toBeLessThan(to);
      const { groups, parents } = groupsOf(order);
      expect(parents).toHaveLength(order.nodes.length + groups.length);
      for (const line of lineageText(run, { width: 60 }).split("\n")) expect([...line].length).toBeLessThanOrEqual(60);
      ordered++;
    });
    fastCheck.assert(property, { numRuns, seed: 1 });
    expect(Math.min(ordered, refused)).toBeGreaterThan(numRuns / 20);
  });

  it("can be exported, with a cycle or without, the same each time", () => {
    const model = idOf(0);
    const all = (run: Run) => [
      exporters.cyclonedx(run, { version: "1.7", model }),
      exporters.spdx(run, { model }),
      ...[exporters.openlineage(run), exporters.prov(run), exporters.modelCard(run, { model })],
    ];
    const property = fastCheck.property(anyRun, (run) => {
      expect(JSON.stringify(all(run))).toBe(JSON.stringify(all(structuredClone(run))));
    });
    fastCheck.assert(property, { numRuns, seed: 2 });
  });
});
