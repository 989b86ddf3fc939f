import { elasticNet } from "@parapet/attacks";
import { createRng, distance, ndArray, targeted, untargeted } from "@parapet/core";
import { affineModel } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { bestMedian, digitsModel, firstDigits, medianOf } from "./helpers/digits.ts";
import { closedForms, minimumNormLaws } from "./helpers/minimum-norm.ts";

const rng = createRng(0);
for (const norm of ["l1", "l2"] as const) {
  minimumNormLaws(`elasticNet, ${norm}`, norm, (epsilon) =>
    elasticNet({ norm, epsilon, steps: 20, stepSize: 0.05, searchSteps: 3, initialConstant: 1, batchSize: 5 }),
  );
}

describe("closed forms", () => {
  // One feature alone moves where the weight of l1, regularization / rate, exceeds what a second would save in l2.
  closedForms("l1", elasticNet({ steps: 1000, regularization: 0.05 }), 0.01);
  closedForms("l2", elasticNet({ norm: "l2", steps: 1000, regularization: 0 }), 0.01);

  it("a larger weight of l1 gives fewer changes", async () => {
    const { x, labels } = firstDigits(10);
    const changes = async (regularization: number) => {
      const attack = elasticNet({ steps: 50, searchSteps: 6, initialConstant: 0.1, regularization });
      const { adversarial } = await attack(digitsModel, x, untargeted(labels), { rng });
      return distance(adversarial, x, "l0").data.reduce((sum, d) => sum + d, 0);
    };
    expect(await changes(0.05)).toBeLessThan(0.5 * (await changes(0)));
  });

  it("confidence: the margin is exceeded by so much", async () => {
    const model = affineModel({ weights: [[1, 0], [0, 0]], bias: [-0.4, 0] }); // biome-ignore format: one line
    const { adversarial } = await elasticNet({ confidence: 0.2 })(model, ndArray([0.9, 0], [1, 2]), untargeted([0]), {
      rng,
    });
    expect((await model.logits(adversarial)).data[0]).toBeLessThanOrEqual(-0.2);
    expect(adversarial.data[0]).toBeCloseTo(0.2, 2);
  });
});

it.each([
  { norm: "l1", peers: ["foolbox", "art", "torchattacks"] },
  { norm: "l2", peers: ["art"] },
] as const)("$norm: as near as other libraries on digits", async ({ norm, peers }) => {
  const { x, labels } = firstDigits(30);
  const result = await elasticNet({ norm, steps: 100 })(digitsModel, x, untargeted(labels), { rng });
  for (const peer of peers) {
    expect(medianOf(result)).toBeLessThanOrEqual(1.01 * bestMedian(`ead ${peer} ${norm}`, 30));
  }
});

it("targeted: digits become their targets", async () => {
  const { x, targets } = firstDigits(10);
  const attack = elasticNet({ steps: 50, searchSteps: 5, initialConstant: 1 });
  const { adversarial } = await attack(digitsModel, x, targeted(targets), { rng });
  expect([...(await digitsModel.labels(adversarial)).data]).toEqual(targets);
});

it.each([
  [() => elasticNet({ norm: "linf" as "l2" }), '"norm" expected "l1" or "l2", got "linf"'],
  [() => elasticNet({ steps: 0 }), '"steps" expected a whole number >= 1, got 0'],
  [() => elasticNet({ stepSize: 0 }), '"stepSize" expected a number > 0, got 0'],
  [() => elasticNet({ regularization: -1 }), '"regularization" expected a number >= 0, got -1'],
  [() => elasticNet({ searchSteps: 0 }), '"searchSteps" expected a whole number >= 1, got 0'],
  [() => elasticNet({ initialConstant: 0 }), '"initialConstant" expected a number > 0, got 0'],
  [() => elasticNet({ confidence: -1 }), '"confidence" expected a number >= 0, got -1'],
])("misuse %#", (make, message) => {
  expect(make).toThrow(message);
});
