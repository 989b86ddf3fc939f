import { onePixel } from "@parapet/attacks";
import { createRng, ndArray, untargeted } from "@parapet/core";
import { affineModel } from "@parapet/testing";
import { expect, it } from "vitest";
import { checked, lawsOf } from "./black-box.ts";

lawsOf("laws", (epsilon) => onePixel({ pixels: Math.floor(checked(epsilon)), queries: 400, population: 20 }), {
  norm: "l0",
  epsilon: 3,
});

it.each([
  ["rows, columns, channels", [8, 8, 3], (place: number, channel: number) => place * 3 + channel],
  ["channels, rows, columns", [3, 8, 8], (place: number, channel: number) => channel * 64 + place],
] as const)("finds the one pixel that matters: %s", async (_, inputShape, at) => {
  // All three channels of place 37 must be near 1; whoever takes features for pixels fails.
  const w = new Array<number>(192).fill(0);
  for (const channel of [0, 1, 2]) w[at(37, channel)] = 1;
  const model = affineModel({ weights: [w.map(() => 0), w], bias: [2.5, 0], inputShape });
  const x = ndArray(new Float32Array(192), [1, ...inputShape]);
  const { success, distance, adversarial } = await onePixel()(model, x, untargeted([0]), { rng: createRng(0) });
  expect(success.data[0]).toBe(1);
  expect(distance.data[0]).toBe(3);
  expect([0, 1, 2].every((channel) => adversarial.data[at(37, channel)]! > 0.5)).toBe(true);
});

it("a population too small to draw three others from is refused", () => {
  expect(() => onePixel({ population: 3 })).toThrow('"population" expected a whole number >= 4, got 3');
});
