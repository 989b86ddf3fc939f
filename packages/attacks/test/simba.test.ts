import { simba } from "@parapet/attacks";
import { createRng, ndArray, untargeted } from "@parapet/core";
import { affineModel, researchWeights, tinyMlp } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { checked, known, lawsOf } from "./black-box.ts";

lawsOf("pixel", (epsilon) => simba({ epsilon: checked(epsilon), queries: 200, stepSize: 0.1 }), {
  norm: "l2",
  epsilon: 1.2,
});
lawsOf(
  "cosine",
  (epsilon) => simba({ epsilon: checked(epsilon), queries: 200, stepSize: 0.1, basis: "cosine", frequencies: 1 }),
  {
    norm: "l2",
    epsilon: 1.2,
    // Its model's inputs are no images.
    without: "where the border is near, it is crossed",
    model: () => tinyMlp({ inputShape: [3, 2], hidden: 12, numClasses: 3, rng: createRng("the network under attack") }),
  },
);

it("takes the steps that lead towards the border, and no others", async () => {
  // From (0.6, 0.7, 0.2) cross-entropy falls with the first two features and grows with the third.
  const { adversarial, distance } = await simba({ stepSize: 0.1 })(
    affineModel(researchWeights),
    known,
    untargeted([0]),
    { rng: createRng(0) },
  );
  const moved = [...adversarial.data].map((value, j) => Math.round((value - known.data[j]!) * 10));
  expect(moved.map(Math.sign)).toEqual([-1, -1, 1]);
  expect(distance.data[0]).toBeLessThan(1);
});

it("waves of the lowest frequency only move all features alike", async () => {
  const model = affineModel({
    weights: [new Array(64).fill(0.1), new Array(64).fill(0)],
    bias: [-2, 0],
    inputShape: [8, 8],
  });
  const x = ndArray(new Float32Array(64).fill(0.5), [1, 8, 8]);
  const attack = simba({ basis: "cosine", frequencies: 1 / 8, stepSize: 0.25 });
  const { adversarial, success, queries } = await attack(model, x, untargeted([0]), { rng: createRng(0) });
  expect(success.data[0]).toBe(1);
  expect(queries.data[0]).toBeLessThan(20);
  expect(Math.max(...adversarial.data) - Math.min(...adversarial.data)).toBeLessThan(1e-6);
});

describe("options are refused when they make no sense", () => {
  it.each([
    [() => simba({ basis: "wavelet" as "pixel" }), '"basis" expected "pixel" or "cosine", got "wavelet"'],
    [() => simba({ stepSize: 0 }), '"stepSize" expected a number > 0, got 0'],
    [() => simba({ frequencies: 2 }), '"frequencies" expected a number > 0 and <= 1, got 2'],
  ])("%#", (make, message) => {
    expect(make).toThrow(message);
  });

  it("waves where inputs are no images", async () => {
    const attack = simba({ basis: "cosine" });
    await expect(attack(affineModel(researchWeights), known, untargeted([0]), { rng: createRng(0) })).rejects.toThrow(
      '"basis" expected "pixel" for inputs that are no images',
    );
  });
});
