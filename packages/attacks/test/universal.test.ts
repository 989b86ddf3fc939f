import { applyUniversal, universal } from "@parapet/attacks";
import {
  createRng,
  type DifferentiableClassifier,
  distance,
  linear,
  type Norm,
  ndArray,
  untargeted,
} from "@parapet/core";
import { affineModel, assertClose, attackLaws, countingModel, tinyMlp } from "@parapet/testing";
import { describe, expect, it } from "vitest";

// One perturbation for all: an example's result depends on its companions, by nature.
const shared = /size of the batch|given twice|others that stop early/;
for (const norm of ["linf", "l2", "l1"] as const) {
  describe(`laws, ${norm}`, () => {
    const make = (epsilon: number) => universal({ epsilon, norm, steps: 8, minibatch: 3, batchSize: 5 });
    for (const law of attackLaws(make, { norm, epsilon: 0.5, random: true })) {
      if (!shared.test(law.name)) it(law.name, () => law.run());
    }
  });
}

const rng = createRng(0);
const wide = { lower: -100, upper: 100 };

describe("universal", () => {
  it.each([
    ["linf", [0.3, -0.3, 0]],
    ["l2", [0.3 * 0.6, -0.3 * 0.8, 0]],
    ["l1", [0, -0.3, 0]],
  ] as [Norm, number[]][])("on a linear model, %s: the ball's farthest point along w", async (norm, farthest) => {
    const model = affineModel({
      weights: [
        [0, 0, 0],
        [3, -4, 0],
      ],
      bounds: wide,
    });
    const draw = createRng("points");
    const x = ndArray(
      Float32Array.from({ length: 30 }, () => draw.normal()),
      [10, 3],
    );
    const goal = untargeted(
      new Int32Array(10),
      linear(
        ndArray(
          Float32Array.from({ length: 20 }, (_, i) => i % 2),
          [10, 2],
        ),
      ),
    );
    const { perturbation } = await universal({ epsilon: 0.3, norm, lossLimit: 1e9 })(model, x, goal, { rng });
    expect(perturbation.shape).toEqual([3]);
    assertClose(perturbation, farthest, { absolute: 1e-6 });
  });

  it("what is lost already does not outvote the rest", async () => {
    const model = affineModel({ weights: [[0], [1]], bounds: wide });
    // The first is wrong by a loss of 20, and its loss climbs upwards with slope 1. The others are right, and theirs climb
    // downwards with slope 0.05 each.
    const x = ndArray([20, 3, 3.1], [3, 1]);
    const run = async (lossLimit: number) =>
      (await universal({ epsilon: 4, lossLimit })(model, x, untargeted([0, 1, 1]), { rng })).success.data;
    expect([...(await run(1e9))]).toEqual([1, 0, 0]);
    expect([...(await run(9))]).toEqual([1, 1, 1]);
  });

  it("the perturbation carries over to other examples", async () => {
    const model = tinyMlp({ inputShape: [20], hidden: 20, numClasses: 3, rng: createRng(8) });
    const draw = createRng("train and test");
    const points = () =>
      ndArray(
        Float32Array.from({ length: 200 * 20 }, () => draw.next()),
        [200, 20],
      );
    const [train, test] = [points(), points()];
    const labels = (await model.labels(train)).data;
    const truth = (await model.labels(test)).data;
    const { perturbation } = await universal({ epsilon: 0.3 })(model, train, untargeted(labels), { rng });
    const fooled = async (v: typeof perturbation) =>
      (await model.labels(applyUniversal(model, test, v))).data.filter((label, i) => label !== truth[i]).length;
    const random = ndArray(Float32Array.from({ length: 20 }, () => (draw.next() < 0.5 ? -0.3 : 0.3)));
    expect(await fooled(perturbation)).toBeGreaterThan(150); // 185 of 200; random signs fool 9
    expect(await fooled(random)).toBeLessThan(50);
  });

  it("counts what each example had a part in", async () => {
    const counting = countingModel(
      affineModel({
        weights: [
          [0, 0],
          [1, 1],
        ],
        bias: [9, 0],
      }),
    );
    const x = ndArray(
      Float32Array.from({ length: 10 }, (_, i) => i / 10),
      [5, 2],
    );
    const attack = universal({ epsilon: 0.1, steps: 6, minibatch: 2 });
    const { queries, gradients } = await attack(counting.model, x, untargeted([0, 0, 0, 0, 0]), { rng });
    // Two epochs of minibatches of 2, 2 and 1; then two looks at what resists.
    expect([...gradients.data]).toEqual([2, 2, 2, 2, 2]);
    expect([...queries.data]).toEqual([4, 4, 4, 4, 4]);
    expect(counting.counts()).toEqual({ queries: 20, gradients: 10 });
  });

  it("an example that is wrong alone is found though the perturbation would right it", async () => {
    const model: DifferentiableClassifier = affineModel({ weights: [[0], [1]], bounds: wide });
    // The first two are class 0 and pushed up; the third is class 1, wrong at -0.1, and pushed over to its class.
    const x = ndArray([-0.2, -0.3, -0.1], [3, 1]);
    const {
      success,
      distance: told,
      adversarial,
    } = await universal({ epsilon: 0.5 })(model, x, untargeted([0, 0, 1]), { rng });
    expect([...success.data]).toEqual([1, 1, 1]);
    assertClose(told, distance(adversarial, x, "linf"));
    expect(told.data[2]).toBe(0);
  });

  it.each([
    [{ epsilon: -1 }, '"epsilon" expected a number >= 0, got -1'],
    [{ epsilon: 1, steps: 0 }, '"steps" expected a whole number >= 1, got 0'],
    [{ epsilon: 1, minibatch: 0 }, '"minibatch" expected a whole number >= 1, got 0'],
    [{ epsilon: 1, lossLimit: Number.NaN }, '"lossLimit" expected a number, got NaN'],
  ])("%o is refused", (options, message) => {
    expect(() => universal(options)).toThrow(message);
  });

  it("applyUniversal refuses another shape", () => {
    const model = affineModel({
      weights: [
        [0, 0],
        [1, 1],
      ],
    });
    expect(() => applyUniversal(model, ndArray([0, 0], [1, 2]), ndArray([1]))).toThrow(
      '"perturbation" expected shape [2]',
    );
    expect(() => applyUniversal(model, ndArray([0, 2], [1, 2]), ndArray([1, 1]))).toThrow(
      '"x" expected values in [0, 1]',
    );
  });
});
