import { carliniWagner } from "@parapet/attacks";
import { createRng, ndArray, targeted, untargeted } from "@parapet/core";
import { affineModel, researchWeights } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { bestMedian, digitsModel, firstDigits, medianOf } from "./helpers/digits.ts";
import { borders, closedForms, minimumNormLaws } from "./helpers/minimum-norm.ts";

const rng = createRng(0);
const norms = ["l2", "linf"] as const;
for (const norm of norms) {
  const quick = { norm, steps: 25, stepSize: 0.2, searchSteps: 3, initialConstant: 1, batchSize: 5 };
  minimumNormLaws(`carliniWagner, ${norm}`, norm, (epsilon) => carliniWagner({ ...quick, epsilon }), { epsilon: 1.2 });
}

describe("closed forms", () => {
  for (const norm of norms) closedForms(norm, carliniWagner({ norm, steps: 400 }), 0.01);

  it.each(norms)("%s: without bounds", async (norm) => {
    const bounds = { lower: Number.NEGATIVE_INFINITY, upper: Number.POSITIVE_INFINITY };
    const model = affineModel({ ...researchWeights, bounds });
    const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
    const { distance } = await carliniWagner({ norm, steps: 400 })(model, x, untargeted([0]), { rng });
    expect(distance.data[0]! / borders[norm]).toBeCloseTo(1, 2);
  });

  it("confidence: the margin is exceeded by so much", async () => {
    const model = affineModel({ ...researchWeights, bounds: { lower: -3, upper: 3 } });
    const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
    const attack = carliniWagner({ steps: 400, confidence: 0.5 });
    const { adversarial, distance } = await attack(model, x, untargeted([0]), { rng });
    const [label, other] = (await model.logits(adversarial)).data;
    expect(other! - label!).toBeGreaterThanOrEqual(0.5);
    expect(distance.data[0]! / ((2.4 + 0.5) / Math.sqrt(15.25))).toBeCloseTo(1, 2);
  });
});

describe("what went wrong in libraries that people use (torchattacks)", () => {
  it("the constant is searched for: weak logits need a large one, strong ones a small one", async () => {
    for (const scale of [1e-3, 1, 1e3]) {
      const scaled = {
        weights: researchWeights.weights.map((w) => w.map((v) => v * scale)),
        bias: researchWeights.bias.map((b) => b * scale),
      };
      const model = affineModel({ ...scaled, bounds: { lower: -3, upper: 3 } });
      const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
      const { distance } = await carliniWagner({ steps: 200, searchSteps: 12 })(model, x, untargeted([0]), { rng });
      expect(distance.data[0]! / borders.l2).toBeCloseTo(1, 2);
    }
  });

  it("an example's search does not end with that of the others in its batch", async () => {
    const { x, labels } = firstDigits(6);
    const attack = carliniWagner({ steps: 50, stepSize: 0.1, searchSteps: 4, initialConstant: 0.1 });
    const all = await attack(digitsModel, x, untargeted(labels), { rng });
    for (let i = 0; i < labels.length; i++) {
      const one = ndArray(x.data.slice(196 * i, 196 * (i + 1)), [1, 196]);
      const alone = await attack(digitsModel, one, untargeted([labels[i]!]), { rng });
      expect([alone.distance.data[0], alone.queries.data[0]]).toEqual([all.distance.data[i], all.queries.data[i]]);
    }
  });
});

// Most of a digit is exactly 0: where such pixels are slow to move, a small rate is far behind (Foolbox 0.90 at 0.01).
it.each([
  { stepSize: 0.01, n: 20 },
  { stepSize: 0.1, n: 50 },
])("l2, rate $stepSize: as near as other libraries on digits", async ({ stepSize, n }) => {
  const { x, labels } = firstDigits(n);
  const result = await carliniWagner({ steps: 100, stepSize })(digitsModel, x, untargeted(labels), { rng });
  expect(medianOf(result)).toBeLessThanOrEqual(1.01 * bestMedian(`cw foolbox l2 9 100 ${stepSize}`, n));
  expect(medianOf(result)).toBeLessThanOrEqual(1.01 * bestMedian(`cw art l2 9 100 ${stepSize}`, n));
  expect(medianOf(result)).toBeLessThanOrEqual(1.03 * bestMedian("cw foolbox l2 9 100 0.1", n));
});

it("linf: nearer than another library on digits, and near the best other attack", async () => {
  const { x, labels } = firstDigits(20);
  const result = await carliniWagner({ norm: "linf", steps: 100 })(digitsModel, x, untargeted(labels), { rng });
  expect(medianOf(result)).toBeLessThanOrEqual(1.01 * bestMedian("cw art linf", 20));
  expect(medianOf(result)).toBeLessThanOrEqual(1.05 * bestMedian("fmn foolbox linf 300", 20));
});

it("targeted: digits become their targets", async () => {
  const { x, targets } = firstDigits(10);
  const attack = carliniWagner({ steps: 50, stepSize: 0.1, searchSteps: 5, initialConstant: 1 });
  const { success, adversarial } = await attack(digitsModel, x, targeted(targets), { rng });
  expect(success.data.every(Boolean)).toBe(true);
  expect([...(await digitsModel.labels(adversarial)).data]).toEqual(targets);
});

it.each([
  [() => carliniWagner({ norm: "l1" as "l2" }), '"norm" expected "l2" or "linf", got "l1"'],
  [() => carliniWagner({ steps: 0 }), '"steps" expected a whole number >= 1, got 0'],
  [() => carliniWagner({ stepSize: 0 }), '"stepSize" expected a number > 0, got 0'],
  [() => carliniWagner({ searchSteps: 0 }), '"searchSteps" expected a whole number >= 1, got 0'],
  [() => carliniWagner({ initialConstant: 0 }), '"initialConstant" expected a number > 0, got 0'],
  [() => carliniWagner({ confidence: -1 }), '"confidence" expected a number >= 0, got -1'],
  [() => carliniWagner({ epsilon: -1 }), '"epsilon" expected a number >= 0, got -1'],
])("misuse %#", (make, message) => {
  expect(make).toThrow(message);
});
