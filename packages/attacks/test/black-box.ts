import { type Attack, checkNumber, createRng, type Labeler, ndArray, untargeted } from "@parapet/core";
import { type AttackLawOptions, affineModel, attackLaws, researchWeights } from "@parapet/testing";
import { describe, expect, it } from "vitest";

/** Refuses a radius as the laws demand it of attacks for which one is optional. */
export const checked = (epsilon: number): number => checkNumber("epsilon", epsilon, { min: 0 });

/** Registers the laws of attacks. A labeler answers with a class whatever its scores are: it cannot say that it has none. */
export function lawsOf(
  name: string,
  make: (epsilon: number) => Attack,
  options: AttackLawOptions & { readonly labelsOnly?: boolean; readonly without?: string },
): void {
  const { labelsOnly = false, without, ...rest } = options;
  const silent = "a model that never answers a number is not a success";
  describe(name, () => {
    for (const law of attackLaws(make, rest))
      if (!(labelsOnly && law.name === silent) && law.name !== without) it(law.name, () => law.run());
  });
}

export const borders = { l2: 0.6145770237, linf: 0.3692307692, l1: 0.8 } as const;

/** The affine classifier of known distances, answering with classes only. */
export const labelsOnly: Labeler = (() => {
  const { inputShape, numClasses, bounds, labels } = affineModel(researchWeights);
  return { inputShape, numClasses, bounds, labels };
})();
export const known = ndArray([0.6, 0.7, 0.2], [1, 3]);

/** The distance found on the affine classifier lies within 1 % above the border's, from each of five seeds. */
export async function expectBorder(attack: Attack<Labeler>, border: number, budget: number): Promise<void> {
  for (let seed = 0; seed < 5; seed++) {
    const { distance, queries } = await attack(labelsOnly, known, untargeted([0]), { rng: createRng(seed) });
    expect(distance.data[0]).toBeGreaterThan(0.999999 * border);
    expect(distance.data[0]).toBeLessThan(1.01 * border);
    expect(queries.data[0]).toBeLessThanOrEqual(budget);
  }
}
