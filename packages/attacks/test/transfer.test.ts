import { pgd, transfer } from "@parapet/attacks";
import { createRng, type Labeler, linear, margin, ndArray, targeted, untargeted } from "@parapet/core";
import { affineModel, assertClose, attackLaws, countingModel, researchWeights, tinyMlp } from "@parapet/testing";
import { describe, expect, it } from "vitest";

describe("from one network to another", () => {
  // The laws' own network: what breaks it here breaks it there.
  const surrogate = tinyMlp({ inputShape: [6], hidden: 12, numClasses: 3, rng: createRng("the network under attack") });
  const make = (epsilon: number) => transfer({ surrogate, attack: pgd({ epsilon, steps: 4 }) });
  const skipped = [
    "where the border is near, it is crossed", // this law's model has three features, the surrogate six
    // It keeps its `labels`: a Labeler has no way to say NaN
    "a model that never answers a number is not a success",
  ];
  for (const law of attackLaws(make, { norm: "linf", epsilon: 0.3 })) {
    if (!skipped.includes(law.name)) it(law.name, () => law.run());
  }
});

describe("transfer", () => {
  const rng = createRng(0);
  const wide = { lower: -100, upper: 100 };

  it("between linear models whose weights have cosine c, the gain is c times the greatest", async () => {
    const [ws, wt] = [
      [3, 4],
      [4, 3],
    ]; // cosine 24/25
    const model = (w: number[]) => affineModel({ weights: [[0, 0], w], bounds: wide });
    const goal = untargeted([0], linear(ndArray([0, 1], [1, 2])));
    const attack = transfer({ surrogate: model(ws!), attack: pgd({ epsilon: 2, norm: "l2", randomStart: false }) });
    const x = ndArray([-9, -9], [1, 2]);
    const { adversarial, distance } = await attack(model(wt!), x, goal, { rng });
    const gain = [0, 1].reduce((sum, j) => sum + wt![j]! * (adversarial.data[j]! - x.data[j]!), 0);
    expect(gain).toBeCloseTo(2 * 5 * (24 / 25), 4);
    assertClose(distance, [2], { absolute: 1e-5 });
  });

  it("judges by the model, not by the surrogate", async () => {
    const surrogate = affineModel({ ...researchWeights, bias: [-1.5, -0.25, 0] });
    const model = affineModel(researchWeights);
    const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
    const attack = transfer({ surrogate, attack: pgd({ epsilon: 0.1, steps: 5 }) });
    const goal = untargeted([0], margin([0]));
    expect((await pgd({ epsilon: 0.1, steps: 5 })(surrogate, x, goal, { rng })).success.data[0]).toBe(1);
    expect((await attack(model, x, goal, { rng })).success.data[0]).toBe(0);
  });

  it("asks a model that only answers with classes, once where it succeeds and twice where not", async () => {
    const { model, counts } = countingModel(affineModel(researchWeights));
    const blackBox: Labeler = {
      inputShape: model.inputShape,
      numClasses: model.numClasses,
      bounds: model.bounds,
      labels: model.labels,
    };
    const x = ndArray([0.6, 0.7, 0.2, 0, 1, 0], [2, 3]);
    const attack = transfer({ surrogate: affineModel(researchWeights), attack: pgd({ epsilon: 0.4 }) });
    const { success, queries, gradients } = await attack(blackBox, x, untargeted([0, 0]), { rng });
    expect([...success.data, ...queries.data, ...gradients.data]).toEqual([1, 0, 1, 2, 0, 0]);
    expect(counts()).toEqual({ queries: 3, gradients: 0 });
  });

  it("finds an example that is wrong already, where the surrogate leads away from it", async () => {
    // Wrong for the model only near x itself.
    const model: Labeler = {
      inputShape: [1],
      numClasses: 2,
      bounds: wide,
      labels: async ({ data }) =>
        ndArray(
          Int32Array.from(data, (value) => Number(Math.abs(value) < 0.1)),
          [data.length],
        ),
    };
    const surrogate = affineModel({ weights: [[0], [1]], bias: [5, 0], bounds: wide });
    const attack = transfer({ surrogate, attack: pgd({ epsilon: 1 }) });
    const { success, distance, adversarial } = await attack(model, ndArray([0.05], [1, 1]), untargeted([0]), { rng });
    expect([success.data[0], distance.data[0]]).toEqual([1, 0]);
    assertClose(adversarial, [0.05], { absolute: 1e-7 });
  });

  it("stays inside the model's bounds where the surrogate has others", async () => {
    const attack = transfer({
      surrogate: affineModel({ ...researchWeights, bounds: wide }),
      attack: pgd({ epsilon: 5 }),
    });
    const { adversarial } = await attack(
      affineModel(researchWeights),
      ndArray([0.6, 0.7, 0.2], [1, 3]),
      targeted([1]),
      {
        rng,
      },
    );
    expect(Math.min(...adversarial.data)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...adversarial.data)).toBeLessThanOrEqual(1);
  });

  it("refuses another kind of surrogate, and what is no attack", async () => {
    const attack = transfer({ surrogate: affineModel(researchWeights), attack: pgd({ epsilon: 0.1 }) });
    const other = affineModel({ weights: [[1], [2]] });
    await expect(attack(other, ndArray([0], [1, 1]), untargeted([0]), { rng })).rejects.toThrow(
      '"surrogate" expected a model of [1] to 2 classes, got "[3] to 3 classes"',
    );
    expect(() => transfer({ surrogate: other, attack: undefined as never })).toThrow('"attack" expected an attack');
    expect(() => transfer({ surrogate: {} as typeof other, attack: pgd({ epsilon: 1 }) })).toThrow('"surrogate"');
  });
});
