import { brendelBethge, fmn } from "@parapet/attacks";
import { type Attack, createRng, type NdArray, ndArray, targeted, untargeted } from "@parapet/core";
import { affineModel, countingModel, researchWeights } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { bestMedian, digitsModel, firstDigits, medianOf } from "./helpers/digits.ts";
import { closedForms, minimumNormLaws } from "./helpers/minimum-norm.ts";

const rng = createRng(0);
const norms = ["l1", "l2", "linf"] as const;
for (const norm of norms) {
  minimumNormLaws(
    `brendelBethge, ${norm}`,
    norm,
    (epsilon) => brendelBethge({ norm, epsilon, steps: 15, batchSize: 5 }),
    {
      random: true,
    },
  );
}

describe("closed forms", () => {
  for (const norm of norms) closedForms(norm, brendelBethge({ norm, steps: 100 }), 1e-4);
});

/** An attack that answers with given points. */
const answer =
  (points: NdArray): Attack =>
  async (_model, x, goal) => {
    const n = goal.classes.length;
    const none: NdArray<"int32"> = { dtype: "int32", shape: [n], data: new Int32Array(n).fill(7) };
    const success: NdArray<"bool"> = { dtype: "bool", shape: [n], data: new Uint8Array(n).fill(1) };
    return {
      adversarial: { ...x, data: points.data },
      success,
      distance: ndArray(new Float32Array(n)),
      queries: none,
      gradients: none,
    };
  };

describe("starts", () => {
  it("another attack's queries and gradients count", async () => {
    const counting = countingModel(affineModel(researchWeights));
    const attack = brendelBethge({ start: fmn({ steps: 20 }), steps: 10 });
    const { queries, gradients, success } = await attack(
      counting.model,
      ndArray([0.6, 0.7, 0.2], [1, 3]),
      untargeted([0]),
      { rng },
    );
    expect(success.data[0]).toBe(1);
    expect({ queries: queries.data[0], gradients: gradients.data[0] }).toEqual(counting.counts());
  });

  it("a failed start is that example's failure", async () => {
    const x = ndArray([0.6, 0.7, 0.2, 0.6, 0.7, 0.2], [2, 3]);
    const start = answer(ndArray([0.6, 0.7, 0.2, 0, 0, 1], [2, 3]));
    const { success, distance } = await brendelBethge({ start, steps: 50 })(
      affineModel(researchWeights),
      x,
      untargeted([0, 0]),
      { rng },
    );
    expect([...success.data]).toEqual([0, 1]);
    expect(distance.data[1]).toBeCloseTo(0.6145770237, 5);
  });

  it("targeted digits start from another attack", async () => {
    const { x, targets } = firstDigits(10);
    const first = await fmn({ steps: 15 })(digitsModel, x, targeted(targets), { rng });
    const attack = brendelBethge({ start: answer(first.adversarial), steps: 30 });
    const result = await attack(digitsModel, x, targeted(targets), { rng });
    expect([...(await digitsModel.labels(result.adversarial)).data]).toEqual(targets);
    expect(medianOf(result)).toBeLessThan(medianOf(first));
  });
});

it.each(norms)("%s: as near as another library on digits, from the same starts", async (norm) => {
  const { x, labels } = firstDigits(30);
  const starts = ndArray(new Float32Array(x.data.length), [30, 196]);
  labels.forEach((label, i) => {
    const other = labels.findIndex((another) => another !== label);
    starts.data.set(x.data.subarray(196 * other, 196 * (other + 1)), 196 * i);
  });
  const attack = brendelBethge({ norm, steps: 100, start: answer(starts) });
  const result = await attack(digitsModel, x, untargeted(labels), { rng });
  expect(medianOf(result)).toBeLessThanOrEqual(1.01 * bestMedian(`bb foolbox ${norm} 100`, 30));
});

it.each([
  [() => brendelBethge({ norm: "l0" as "l2" }), '"norm" expected "l1", "l2" or "linf", got "l0"'],
  [() => brendelBethge({ steps: 0 }), '"steps" expected a whole number >= 1, got 0'],
  [() => brendelBethge({ stepSize: 2 }), '"stepSize" expected a number > 0 and <= 1, got 2'],
  [() => brendelBethge({ draws: 0 }), '"draws" expected a whole number >= 1, got 0'],
  [() => brendelBethge({ start: 1 as never }), '"start" expected an attack, got 1'],
  [() => brendelBethge({ epsilon: -1 }), '"epsilon" expected a number >= 0, got -1'],
])("misuse %#", (make, message) => {
  expect(make).toThrow(message);
});
