import { deepFool } from "@parapet/attacks";
import { createRng, ndArray, targeted, untargeted } from "@parapet/core";
import { affineModel, researchWeights } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { bestMedian, digitsModel, firstDigits, medianOf } from "./helpers/digits.ts";
import { closedForms, minimumNormLaws } from "./helpers/minimum-norm.ts";

const rng = createRng(0);
for (const norm of ["l2", "linf"] as const) {
  minimumNormLaws(`deepFool, ${norm}`, norm, (epsilon) => deepFool({ norm, epsilon, batchSize: 5 }));
}

describe("closed forms", () => {
  for (const norm of ["l2", "linf"] as const) closedForms(norm, deepFool({ norm, overshoot: 0 }), 1e-6);

  it("a targeted attack crosses the border of the target", async () => {
    const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
    const attack = deepFool({ overshoot: 0 });
    const { distance, adversarial, gradients } = await attack(affineModel(researchWeights), x, targeted([2]), { rng });
    expect((await affineModel(researchWeights).labels(adversarial)).data[0]).toBe(2);
    // Class 2 is reached across the border with class 0, then that with class 1.
    expect(distance.data[0]).toBeGreaterThan(0.748331);
    expect(gradients.data[0]).toBeGreaterThan(1);
  });

  it("the overshoot lengthens the perturbation", async () => {
    const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
    const { distance } = await deepFool({ overshoot: 0.1 })(affineModel(researchWeights), x, untargeted([0]), { rng });
    expect(distance.data[0]! / 0.6145770237).toBeCloseTo(1.1, 5);
  });

  it("only the likeliest classes count", async () => {
    // Class 2 is less likely than class 1, but its border is nearer.
    const model = affineModel({ weights: [[1, 0], [0, 0], [0, 9]], bias: [0, 0.1, -5] }); // biome-ignore format: one line
    const x = ndArray([0.5, 0.5], [1, 2]);
    const run = async (candidates: number) => deepFool({ candidates })(model, x, untargeted([0]), { rng });
    const [two, three] = [await run(2), await run(3)];
    expect(three.distance.data[0]! / (1 / Math.hypot(1, 9))).toBeCloseTo(1.02, 4);
    expect(two.distance.data[0]).toBeCloseTo(1.02 * 0.4, 5);
    expect([two.gradients.data[0], three.gradients.data[0]]).toEqual([1, 2]);
  });
});

describe("what went wrong in libraries that people use", () => {
  it("no constant is added to distances: a border at a thousandth is as exact (Foolbox)", async () => {
    const weights = researchWeights.weights.map((row) => row.map((w) => 1000 * w));
    const model = affineModel({ weights, bias: researchWeights.bias, bounds: { lower: -1, upper: 1 } });
    const x = ndArray([0.6e-3, 0.7e-3, 0.2e-3], [1, 3]);
    const { distance } = await deepFool({ overshoot: 0 })(model, x, untargeted([0]), { rng });
    expect(distance.data[0]! / 0.6145770237e-3).toBeCloseTo(1, 5);
  });

  it("steps do not grow with the width of the bounds (ART)", async () => {
    const weights = researchWeights.weights.map((row) => row.map((w) => w / 255));
    const model = affineModel({ weights, bias: researchWeights.bias, bounds: { lower: 0, upper: 255 } });
    const x = ndArray([0.6 * 255, 0.7 * 255, 0.2 * 255], [1, 3]);
    const { distance } = await deepFool({ overshoot: 0 })(model, x, untargeted([0]), { rng });
    expect(distance.data[0]! / 255 / 0.6145770237).toBeCloseTo(1, 5);
  });
});

it.each(["l2", "linf"] as const)("%s: as near as the best of other libraries on digits", async (norm) => {
  const { x, labels } = firstDigits(100);
  const peers = norm === "l2" ? ["foolbox", "art", "torchattacks"] : ["foolbox"];
  const result = await deepFool({ norm })(digitsModel, x, untargeted(labels), { rng });
  expect(medianOf(result)).toBeLessThanOrEqual(
    1.01 * Math.min(...peers.map((peer) => bestMedian(`deepfool ${peer} ${norm}`, 100))),
  );
});

it.each([
  [() => deepFool({ norm: "l1" as "l2" }), '"norm" expected "l2" or "linf", got "l1"'],
  [() => deepFool({ steps: 0 }), '"steps" expected a whole number >= 1, got 0'],
  [() => deepFool({ candidates: 1 }), '"candidates" expected a whole number >= 2, got 1'],
  [() => deepFool({ overshoot: -1 }), '"overshoot" expected a number >= 0, got -1'],
  [() => deepFool({ epsilon: -1 }), '"epsilon" expected a number >= 0, got -1'],
  [() => deepFool({ batchSize: 0 }), '"batchSize" expected a whole number >= 1, got 0'],
])("misuse %#", (make, message) => {
  expect(make).toThrow(message);
});
