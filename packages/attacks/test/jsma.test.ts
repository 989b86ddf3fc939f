import { jsma } from "@parapet/attacks";
import { createRng, ndArray, targeted, untargeted } from "@parapet/core";
import { affineModel, researchWeights } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { bestMedian, digitsModel, firstDigits, medianOf } from "./helpers/digits.ts";
import { closedForms, minimumNormLaws } from "./helpers/minimum-norm.ts";

const rng = createRng(0);
minimumNormLaws("jsma", "l0", (epsilon) => jsma({ epsilon, batchSize: 5 }), { epsilon: 6 });
minimumNormLaws(
  "jsma, Jacobian, pairs, small steps",
  "l0",
  (epsilon) => jsma({ epsilon, saliency: "jacobian", features: 2, stepSize: 0.4, steps: 8, batchSize: 5 }),
  // With so few features left, the others' sum leads nowhere; that masks hold is checked above.
  { epsilon: 6, masks: false },
);

describe("closed forms", () => {
  closedForms("l0", jsma(), 0);
  closedForms("l0", jsma({ saliency: "jacobian" }), 0);

  it("the map of the paper, by hand", async () => {
    // dz_1 = (1, 3, 2, 4), sum of the others (-4, -1, -2, 5): products 4, 3, 4 and none; pairs (0, 1) 20, (0, 2) 18, (1, 2) 15.
    const model = affineModel({ weights: [[-4, -1, -2, 5], [1, 3, 2, 4]], bias: [9, 0] }); // biome-ignore format: one line
    const x = ndArray([0.1, 0.1, 0.1, 0.1], [1, 4]);
    const run = async (features: 1 | 2, steps = 1) => {
      const attack = jsma({ saliency: "jacobian", direction: "increase", features, steps });
      return attack(model, x, targeted([1]), { rng });
    };
    // One pair: logits 4.3 and 4.3 would tie at a bias of 9; three features are enough.
    const pair = await run(2, 2);
    expect([...pair.adversarial.data.slice(0, 2)]).toEqual([1, 1]);
    expect((await run(1, 1)).success.data[0]).toBe(0);
  });

  it("features go down as well, unless they may only increase", async () => {
    const model = affineModel({ weights: [[1, 0], [0, 0]], bias: [-0.4, 0] }); // biome-ignore format: one line
    const run = async (direction: "increase" | "decrease" | "both") =>
      jsma({ direction })(model, ndArray([0.9, 0.5], [1, 2]), untargeted([0]), { rng });
    expect((await run("both")).adversarial.data[0]).toBe(0);
    expect((await run("increase")).success.data[0]).toBe(0);
    expect((await run("decrease")).adversarial.data[0]).toBe(0);
  });

  it("untargeted: towards the likeliest other class", async () => {
    const { distance, success } = await jsma()(
      affineModel({ ...researchWeights, bounds: { lower: -3, upper: 3 } }),
      ndArray([0.6, 0.7, 0.2], [1, 3]),
      untargeted([0]),
      { rng },
    );
    expect([success.data[0], distance.data[0]]).toEqual([1, 1]);
  });

  it("features without bounds need a step of some size", async () => {
    const bounds = { lower: Number.NEGATIVE_INFINITY, upper: Number.POSITIVE_INFINITY };
    const model = affineModel({ ...researchWeights, bounds });
    const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
    await expect(jsma()(model, x, untargeted([0]), { rng })).rejects.toThrow(/"stepSize" expected a finite number/);
    expect((await jsma({ stepSize: 1 })(model, x, untargeted([0]), { rng })).success.data[0]).toBe(1);
  });
});

describe("as few features as other libraries on digits", () => {
  const { x, targets } = firstDigits(100);

  it("the default needs fewer", async () => {
    const result = await jsma()(digitsModel, x, targeted(targets), { rng });
    expect(medianOf(result)).toBeLessThanOrEqual(0.8 * bestMedian("jsma art", 100));
    expect(result.success.data.every(Boolean)).toBe(true);
  });

  it("the map of the paper", async () => {
    const attack = jsma({ saliency: "jacobian", direction: "increase", features: 2 });
    const result = await attack(digitsModel, x, targeted(targets), { rng });
    expect(medianOf(result)).toBeLessThanOrEqual(1.01 * bestMedian("jsma torchattacks", 100));
  });
});

it.each([
  [() => jsma({ saliency: "paper" as "target" }), '"saliency" expected "target" or "jacobian", got "paper"'],
  [() => jsma({ features: 3 as 2 }), '"features" expected 1 or 2, got 3'],
  [() => jsma({ direction: "up" as "both" }), '"direction" expected "increase", "decrease" or "both", got "up"'],
  [() => jsma({ stepSize: 0 }), '"stepSize" expected a number > 0, got 0'],
  [() => jsma({ steps: 0 }), '"steps" expected a whole number >= 1, got 0'],
  [() => jsma({ epsilon: -1 }), '"epsilon" expected a number >= 0, got -1'],
])("misuse %#", (make, message) => {
  expect(make).toThrow(message);
});
