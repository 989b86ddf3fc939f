import { zoo } from "@parapet/attacks";
import { createRng, targeted, untargeted } from "@parapet/core";
import { affineModel, researchWeights } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { borders, checked, known, lawsOf } from "./black-box.ts";

lawsOf(
  "laws",
  (epsilon) => zoo({ epsilon: checked(epsilon), queries: 500, searchSteps: 2, coordinates: 4, stepSize: 0.05 }),
  {
    norm: "l2",
    epsilon: 1.2,
  },
);

it("finds the border of the affine classifier", async () => {
  for (const [goal, border] of [
    [untargeted([0]), borders.l2],
    [targeted([2]), 0.7483314774],
  ] as const) {
    const { distance, queries } = await zoo()(affineModel(researchWeights), known, goal, { rng: createRng(0) });
    expect(distance.data[0]).toBeGreaterThan(0.999999 * border);
    expect(distance.data[0]).toBeLessThan(1.01 * border);
    expect(queries.data[0]).toBeLessThanOrEqual(20_000);
  }
});

describe("options are refused when they make no sense", () => {
  it.each([
    [() => zoo({ searchSteps: 0 }), '"searchSteps" expected a whole number >= 1, got 0'],
    [() => zoo({ constant: 0 }), '"constant" expected a number > 0, got 0'],
    [() => zoo({ coordinates: 1.5 }), '"coordinates" expected a whole number >= 1, got 1.5'],
    [() => zoo({ radius: 0 }), '"radius" expected a number > 0, got 0'],
  ])("%#", (make, message) => {
    expect(make).toThrow(message);
  });
});
