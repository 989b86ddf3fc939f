import { type Attack, type BallNorm, checkNumber, createRng, ndArray, untargeted } from "@parapet/core";
import { affineModel, attackLaws, quadraticModel, researchWeights } from "@parapet/testing";
import { describe, expect, it } from "vitest";

/** The laws, for a minimum-norm attack: its radius is what still counts. None but one draws random numbers. */
export function minimumNormLaws(
  name: string,
  norm: BallNorm,
  make: (epsilon: number) => Attack,
  { epsilon = { l0: 3, l1: 2, l2: 1, linf: 0.8 }[norm], masks = true, random = false } = {},
): void {
  describe(`${name}: laws`, () => {
    const checked = (radius: number) => make(checkNumber("epsilon", radius, { min: 0 }));
    for (const law of attackLaws(checked, { norm, epsilon, masks, random })) it(law.name, () => law.run());
  });
}

const wide = { lower: -3, upper: 3 };
/** Distances from (0.6, 0.7, 0.2) to the border of `researchWeights`. */
export const borders = { l0: 1, l1: 0.8, l2: 0.6145770237, linf: 0.3692307692 } as const;

/** On models with straight borders the distance has a closed form, to be reached within a share of it. */
export function closedForms(norm: BallNorm, attack: Attack, within: number): void {
  const near = (got: number | undefined, exact: number, rounding = 1e-6) => {
    expect(got).toBeGreaterThanOrEqual(exact * (1 - rounding));
    expect(got).toBeLessThanOrEqual(exact * (1 + within + rounding));
  };
  const rng = createRng(0);

  it(`${norm}: the border of an affine model within ${100 * within} %, in a batch of easy and hard examples`, async () => {
    const model = affineModel({ ...researchWeights, bounds: wide });
    // From the second example the border lies at a tenth of the distance, the third is wrong already.
    const x = ndArray([0.6, 0.7, 0.2, 0.31672131, 0.48754098, 0.62491803, -1, 0, 1], [3, 3]);
    const { distance, success, queries, gradients } = await attack(model, x, untargeted([0, 0, 0]), { rng });
    expect([...success.data]).toEqual([1, 1, 1]);
    near(distance.data[0], borders[norm]);
    if (norm === "l2") near(distance.data[1], 0.1 * borders.l2, 1e-5);
    expect([distance.data[2], queries.data[2], gradients.data[2]]).toEqual([0, 1, 0]);
  });

  it(`${norm}: the border of a quadratic model within ${100 * within} %`, async () => {
    const model = quadraticModel({ centres: [[0, 0], [1, 2]], bounds: wide }); // biome-ignore format: one line
    // z_0 - z_1 = 5/2 - x_0 - 2 x_1 = 2.1: over the dual norms of (1, 2).
    const exact = { l0: 1, l1: 2.1 / 2, l2: 2.1 / Math.sqrt(5), linf: 0.7 }[norm];
    const { distance, success } = await attack(model, ndArray([0.2, 0.1], [1, 2]), untargeted([0]), { rng });
    expect(success.data[0]).toBe(1);
    near(distance.data[0], exact);
  });

  it(`${norm}: adding a constant to all logits changes nothing, also where all are negative`, async () => {
    const run = async (shift: number) => {
      const bias = researchWeights.bias.map((b) => b + shift);
      const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
      return (await attack(affineModel({ ...researchWeights, bias, bounds: wide }), x, untargeted([0]), { rng }))
        .distance;
    };
    near((await run(-8)).data[0], borders[norm]);
  });

  it(`${norm}: an example at its bounds can leave them inwards`, async () => {
    // The border lies at x_0 - x_1 = 0; from (1, 0, 0) both features have to come in from a corner.
    const model = affineModel({ weights: [[1, -1, 0], [-1, 1, 0]], bias: [-0.4, 0.4] }); // biome-ignore format: one line
    const exact = { l0: 1, l1: 0.6, l2: 0.6 / Math.SQRT2, linf: 0.3 }[norm];
    const { distance, success } = await attack(model, ndArray([1, 0, 0], [1, 3]), untargeted([0]), { rng });
    expect(success.data[0]).toBe(1);
    near(distance.data[0], exact);
  });
}
