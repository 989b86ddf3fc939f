import { hopSkipJump } from "@parapet/attacks";
import { describe, expect, it } from "vitest";
import { borders, checked, expectBorder, lawsOf } from "./black-box.ts";

// In these problems the border of the target class lies up to 1 away where features are masked.
const epsilons = { l2: 1.2, linf: 0.9 } as const;

for (const norm of ["l2", "linf"] as const) {
  const make = (epsilon: number) => hopSkipJump({ norm, epsilon: checked(epsilon), queries: 250, samples: 20 });
  lawsOf(norm, make, { norm, epsilon: epsilons[norm], labelsOnly: true });

  it(`${norm}: finds the border of the affine classifier`, async () => {
    await expectBorder(hopSkipJump({ norm, queries: 3000 }), borders[norm], 3000);
  });
}

describe("options are refused when they make no sense", () => {
  it.each([
    [() => hopSkipJump({ norm: "l1" as "l2" }), '"norm" expected "l2" or "linf", got "l1"'],
    [() => hopSkipJump({ epsilon: -1 }), '"epsilon" expected a number >= 0, got -1'],
    [() => hopSkipJump({ queries: 0 }), '"queries" expected a whole number >= 1, got 0'],
    [() => hopSkipJump({ samples: 1 }), '"samples" expected a whole number >= 2, got 1'],
    [() => hopSkipJump({ batchSize: 0.5 }), '"batchSize" expected a whole number >= 1, got 0.5'],
    [() => hopSkipJump({ startDraws: -1 }), '"startDraws" expected a whole number >= 0, got -1'],
  ])("%#", (make, message) => {
    expect(make).toThrow(message);
  });
});
