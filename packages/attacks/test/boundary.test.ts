import { boundary } from "@parapet/attacks";
import { describe, expect, it } from "vitest";
import { borders, checked, expectBorder, lawsOf } from "./black-box.ts";

const make = (epsilon: number) => boundary({ epsilon: checked(epsilon), queries: 250 });
lawsOf("laws", make, { norm: "l2", epsilon: 1.2, labelsOnly: true });

it("finds the border of the affine classifier", async () => {
  await expectBorder(boundary({ queries: 1500 }), borders.l2, 1500);
});

describe("options are refused when they make no sense", () => {
  it.each([
    [() => boundary({ sphericalStep: 0 }), '"sphericalStep" expected a number > 0, got 0'],
    [() => boundary({ sourceStep: 1 }), '"sourceStep" expected a number > 0 and < 1, got 1'],
    [() => boundary({ epsilon: Number.NaN }), '"epsilon" expected a number >= 0, got NaN'],
  ])("%#", (make, message) => {
    expect(make).toThrow(message);
  });
});
