import { signOpt } from "@parapet/attacks";
import { describe, expect, it } from "vitest";
import { borders, checked, expectBorder, lawsOf } from "./black-box.ts";

const epsilons = { l2: 1.2, linf: 0.9 } as const;

for (const norm of ["l2", "linf"] as const) {
  const make = (epsilon: number) => signOpt({ norm, epsilon: checked(epsilon), queries: 300, samples: 20 });
  lawsOf(norm, make, { norm, epsilon: epsilons[norm], labelsOnly: true });

  it(`${norm}: finds the border of the affine classifier`, async () => {
    await expectBorder(signOpt({ norm, queries: 3000 }), borders[norm], 3000);
  });
}

describe("options are refused when they make no sense", () => {
  it.each([
    [() => signOpt({ norm: "l0" as "l2" }), '"norm" expected "l2" or "linf", got "l0"'],
    [() => signOpt({ smoothing: 0 }), '"smoothing" expected a number > 0, got 0'],
    [() => signOpt({ samples: 0 }), '"samples" expected a whole number >= 1, got 0'],
  ])("%#", (make, message) => {
    expect(make).toThrow(message);
  });
});
