import { geoda } from "@parapet/attacks";
import { createRng, ndArray, untargeted } from "@parapet/core";
import { affineModel } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { borders, checked, expectBorder, known, labelsOnly, lawsOf } from "./black-box.ts";

const epsilons = { l2: 1.2, linf: 0.9, l1: 1.8 } as const;

for (const norm of ["l2", "linf", "l1"] as const) {
  const make = (epsilon: number) => geoda({ norm, epsilon: checked(epsilon), queries: 300 });
  lawsOf(norm, make, { norm, epsilon: epsilons[norm], labelsOnly: true });

  it(`${norm}: finds the border of the affine classifier`, async () => {
    await expectBorder(geoda({ norm, queries: 4000 }), borders[norm], 4000);
  });
}

describe("the subspace", () => {
  it("holds low frequencies: a border with a smooth normal is found with few queries", async () => {
    // The normal is the mean over the image; 64 directions of which one matters, against 4.
    const image = affineModel({
      weights: [new Array(256).fill(0.01), new Array(256).fill(-0.01)],
      bias: [-1.18, 1.18],
      inputShape: [16, 16, 1],
    });
    const x = ndArray(new Float32Array(256).fill(0.5), [1, 16, 16, 1]);
    const run = async (subspace?: number) => {
      const attack = geoda({ queries: 600, ...(subspace === undefined ? {} : { subspace }) });
      return (await attack(image, x, untargeted([0]), { rng: createRng(0) })).distance.data[0]!;
    };
    const border = (2 * (2.56 / 2 - 1.18)) / (0.02 * 16);
    expect(await run(2)).toBeLessThan(1.01 * border);
    expect(await run(2)).toBeGreaterThan(0.99999 * border);
    expect(await run()).toBeGreaterThan(1.05 * border);
  });

  it("is refused where inputs are no images", async () => {
    const attack = geoda({ subspace: 2 });
    await expect(attack(labelsOnly, known, untargeted([0]), { rng: createRng(0) })).rejects.toThrow(
      '"subspace" expected inputs that are images, got [3]',
    );
  });
});

describe("options are refused when they make no sense", () => {
  it.each([
    [() => geoda({ norm: "l0" as "l2" }), '"norm" expected "l1", "l2" or "linf", got "l0"'],
    [() => geoda({ shrinking: 1 }), '"shrinking" expected a number > 0 and < 1, got 1'],
    [() => geoda({ radius: 0 }), '"radius" expected a number > 0, got 0'],
    [() => geoda({ subspace: 0 }), '"subspace" expected a whole number >= 1, got 0'],
  ])("%#", (make, message) => {
    expect(make).toThrow(message);
  });
});
