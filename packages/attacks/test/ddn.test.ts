import { ddn } from "@parapet/attacks";
import { createRng, untargeted } from "@parapet/core";
import { scaledLogits } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { bestMedian, digitsModel, firstDigits, medianOf } from "./helpers/digits.ts";
import { closedForms, minimumNormLaws } from "./helpers/minimum-norm.ts";

minimumNormLaws("ddn", "l2", (epsilon) => ddn({ epsilon, steps: 25, batchSize: 5 }));

describe("closed forms", () => closedForms("l2", ddn({ steps: 200 }), 0.01));

it.each([30, 100])("%i steps: as near as other libraries on digits", async (steps) => {
  const { x, labels } = firstDigits(100);
  const result = await ddn({ steps })(digitsModel, x, untargeted(labels), { rng: createRng(0) });
  expect(medianOf(result)).toBeLessThanOrEqual(1.01 * bestMedian(`ddn foolbox l2 ${steps}`, 100));
});

it("a saturated softmax does not hide the way", async () => {
  const { x, labels } = firstDigits(10);
  const run = async (model: typeof digitsModel) =>
    ddn({ steps: 30 })(model, x, untargeted(labels), { rng: createRng(0) });
  const [plain, saturated] = [await run(digitsModel), await run(scaledLogits(digitsModel, 1e6))];
  expect(medianOf(saturated) / medianOf(plain)).toBeCloseTo(1, 2);
});

it.each([
  [() => ddn({ steps: 0 }), '"steps" expected a whole number >= 1, got 0'],
  [() => ddn({ stepSize: 0 }), '"stepSize" expected a number > 0, got 0'],
  [() => ddn({ radius: 0 }), '"radius" expected a number > 0, got 0'],
  [() => ddn({ gamma: 0 }), '"gamma" expected a number > 0 and < 1, got 0'],
  [() => ddn({ epsilon: -1 }), '"epsilon" expected a number >= 0, got -1'],
])("misuse %#", (make, message) => {
  expect(make).toThrow(message);
});
