import { pointwise } from "@parapet/attacks";
import { createRng, ndArray, untargeted } from "@parapet/core";
import { affineModel } from "@parapet/testing";
import { expect, it } from "vitest";
import { checked, lawsOf } from "./black-box.ts";

const make = (epsilon: number) => pointwise({ epsilon: checked(epsilon), queries: 120 });
lawsOf("laws", make, { norm: "l0", epsilon: 3, labelsOnly: true });

it("finds the fewest features that can cross the border", async () => {
  // Class 1 wins where the sum of w_j x_j exceeds 1.4: in [0, 1] the features 2 and 5 together suffice, no single one does.
  const w = [0.1, 0.2, 0.8, 0.1, 0.3, 0.7, 0.2, 0.1, 0.4, 0.1];
  const model = affineModel({ weights: [w.map(() => 0), w], bias: [1.4, 0] });
  for (let seed = 0; seed < 5; seed++) {
    const attack = pointwise({ queries: 1000 });
    const { distance, adversarial } = await attack(model, ndArray(new Float32Array(10), [1, 10]), untargeted([0]), {
      rng: createRng(seed),
    });
    expect(distance.data[0]).toBe(2);
    expect([...adversarial.data].flatMap((value, j) => (value === 0 ? [] : [j]))).toEqual([2, 5]);
  }
});

it("an impossible budget is refused", () => {
  expect(() => pointwise({ queries: -5 })).toThrow('"queries" expected a whole number >= 1, got -5');
});
