import { fgsm, pgd } from "@parapet/attacks";
import {
  createRng,
  type DifferentiableClassifier,
  distance,
  linear,
  margin,
  ndArray,
  targeted,
  untargeted,
} from "@parapet/core";
import { affineModel, quadraticModel, scaledLogits } from "@parapet/testing";
import { describe, expect, it } from "vitest";

// Each of these went wrong in a library that people use.

describe("the random start is uniform in the ball", () => {
  const n = 2000;
  const x = ndArray(
    new Float32Array(3 * n).map((_, i) => i / (3 * n)),
    [n, 3],
  );
  const model = affineModel({
    weights: [
      [0, 0, 0],
      [0, 0, 0],
    ],
    bounds: { lower: -10, upper: 10 },
  });

  // A radius drawn uniformly crowds the middle. Of uniform points, (radius / epsilon)^d is uniform on [0, 1]; the
  // Kolmogorov-Smirnov distance of 2,000 exceeds 1.95 / sqrt(n) in one of 1,000 seeds. The seed is fixed.
  it.each(["l2", "l1", "linf"] as const)("%s", async (norm) => {
    const attack = pgd({ norm, epsilon: 0.5, steps: 1, stepSize: 0 });
    const { adversarial } = await attack(model, x, untargeted(new Int32Array(n)), { rng: createRng(4) });
    const volumes = distance(adversarial, x, norm)
      .data.map((radius) => (radius / 0.5) ** 3)
      .sort();
    const gap = volumes.reduce((most, v, i) => Math.max(most, Math.abs(v - i / n), Math.abs(v - (i + 1) / n)), 0);
    expect(gap).toBeLessThan(1.95 / Math.sqrt(n));
  });
});

describe("the gradient is taken at the projected point, not through the projection", () => {
  it("a pixel at its bound gets the derivative that the model has there", async () => {
    const seen: number[] = [];
    const base = affineModel({
      weights: [
        [0, 0],
        [1, 1],
      ],
    });
    const watching: DifferentiableClassifier = {
      ...base,
      gradient(points, loss, options) {
        seen.push(...points.data);
        return base.gradient(points, loss, options);
      },
    };
    const goal = untargeted([0, 0, 0, 0], linear(ndArray([0, 1, 0, 1, 0, 1, 0, 1], [4, 2])));
    const x = ndArray([0, 0, 0, 0.01, 0.02, 0, 0.03, 0], [4, 2]);
    const attack = fgsm({ epsilon: 0.3, stepSize: 0.3, randomStart: true });
    const { adversarial } = await attack(watching, x, goal, { rng: createRng(1) });
    // The model was only ever asked about points inside its bounds ...
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(0);
    // ... many of them on the border, where the derivative of clipping is zero; every pixel moved up all the same.
    expect(seen.filter((value) => value === 0).length).toBeGreaterThan(1);
    expect([...adversarial.data].every((value, i) => value >= x.data[i]!)).toBe(true);
  });
});

describe("goals mean what they say", () => {
  const model = affineModel({
    weights: [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ],
  });
  const x = ndArray([0.6, 0.5, 0.4], [1, 3]);

  it("targeted success is the target, not just any other class", async () => {
    // From here class 1 is nearer than class 2: reaching 1 is an untargeted success and a targeted failure.
    const rng = createRng(0);
    const near = await fgsm({ epsilon: 0.06 })(model, x, untargeted([0]), { rng });
    expect(near.success.data[0]).toBe(1);
    const wrong = await fgsm({ epsilon: 0.06 })(model, x, targeted([2]), { rng });
    expect((await model.labels(wrong.adversarial)).data[0]).not.toBe(2);
    expect(wrong.success.data[0]).toBe(0);
    const right = await fgsm({ epsilon: 0.2 })(model, x, targeted([2]), { rng });
    expect(right.success.data[0]).toBe(1);
  });

  it("an example that is wrong already is never reported as robust, wherever the steps lead", async () => {
    // Wrong only in a thin shell around 0.5 +- 0.1: from 0.52 a step of 0.3 leads to where the label is right.
    const shell = quadraticModel({ centres: [[0.5], [0.5]] });
    const thin: DifferentiableClassifier = {
      ...shell,
      logits: async (points) => {
        const { data } = points;
        return ndArray(data.length === 0 ? [] : Array.from(data).flatMap((v) => [(v - 0.5) ** 2 - 0.01, 0]), [
          data.length,
          2,
        ]);
      },
      async gradient(points, loss) {
        const logits = await thin.logits(points);
        const cotangent = loss.cotangent(logits).data;
        const gradient = ndArray(
          points.data.map((v, i) => 2 * (v - 0.5) * cotangent[2 * i]!),
          points.shape,
        );
        return { logits, value: loss.value(logits), gradient };
      },
    };
    const x = ndArray([0.52], [1, 1]);
    for (const attack of [
      fgsm({ epsilon: 0.3 }),
      pgd({ epsilon: 0.3, steps: 3 }),
      pgd({ epsilon: 0.3, steps: 3, earlyStop: true }),
    ]) {
      for (let seed = 0; seed < 20; seed++) {
        const { success } = await attack(thin, x, untargeted([0]), { rng: createRng(seed) });
        expect(success.data[0]).toBe(1);
      }
    }
  });

  it("scores that saturate the softmax do not hide from the margin loss", async () => {
    const saturated = scaledLogits(model, 1e6);
    const byMargin = await fgsm({ epsilon: 0.1 })(saturated, x, untargeted([0], margin([0])), { rng: createRng(0) });
    expect(byMargin.success.data[0]).toBe(1);
  });

  it("confident answers still give cross-entropy a direction", async () => {
    // Softmax in float32 is exactly (1, 0, 0) from a gap of 17; losses on clipped probabilities are flat from there on.
    const confident = scaledLogits(model, 500);
    const { success } = await fgsm({ epsilon: 0.1 })(confident, x, untargeted([0]), { rng: createRng(0) });
    expect(success.data[0]).toBe(1);
  });
});

describe("options are refused when they make no sense", () => {
  it.each([
    [() => fgsm({ epsilon: -1 }), '"epsilon" expected a number >= 0, got -1'],
    [() => pgd({ epsilon: Number.NaN }), '"epsilon" expected a number >= 0, got NaN'],
    [() => pgd({ epsilon: 1, steps: 0 }), '"steps" expected a whole number >= 1, got 0'],
    [() => pgd({ epsilon: 1, steps: 1.5 }), '"steps" expected a whole number >= 1, got 1.5'],
    [() => pgd({ epsilon: 1, norm: "l3" as "l2" }), '"norm" expected "l1", "l2" or "linf", got "l3"'],
    [() => pgd({ epsilon: 1, restarts: 0 }), '"restarts" expected a whole number >= 1, got 0'],
    [() => pgd({ epsilon: "1" as unknown as number }), '"epsilon" expected a number >= 0, got "1"'],
  ])("%#", (make, message) => {
    expect(make).toThrow(message);
  });
});
