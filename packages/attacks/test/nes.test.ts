import { nes } from "@parapet/attacks";
import { createRng, margin, ndArray, untargeted } from "@parapet/core";
import { affineModel, researchWeights } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { borders, known, lawsOf } from "./black-box.ts";

for (const norm of ["linf", "l2"] as const) {
  lawsOf(norm, (epsilon) => nes({ norm, epsilon, queries: 400, samples: 8 }), {
    norm,
    epsilon: norm === "linf" ? 0.9 : 1.2,
  });

  it.each([
    [0.99, 0],
    [1.02, 1],
  ])(`${norm}: at %f of the border's distance the affine classifier falls: %i`, async (factor, falls) => {
    const attack = nes({ norm, epsilon: factor * borders[norm], queries: 6000, samples: 16, stepSize: 0.02 });
    const { success, queries } = await attack(affineModel(researchWeights), known, untargeted([0], margin([0])), {
      rng: createRng(0),
    });
    expect(success.data[0]).toBe(falls);
    expect(queries.data[0]).toBeLessThanOrEqual(6000);
  });
}

it("scaling inputs, bounds and epsilon together changes nothing", async () => {
  const scale = 256;
  const scaled = affineModel({
    weights: researchWeights.weights.map((row) => row.map((w) => w / scale)),
    bias: researchWeights.bias,
    bounds: { lower: 0, upper: scale },
  });
  const keys = Uint32Array.of(7);
  const small = await nes({ epsilon: 0.4 })(affineModel(researchWeights), known, untargeted([0]), {
    rng: createRng(0),
    keys,
  });
  const large = await nes({ epsilon: 0.4 * scale })(
    scaled,
    ndArray(
      known.data.map((value) => value * scale),
      [1, 3],
    ),
    untargeted([0]),
    { rng: createRng(0), keys },
  );
  expect(large.queries.data[0]).toBe(small.queries.data[0]);
  for (const [j, value] of large.adversarial.data.entries()) {
    expect(value / scale).toBeCloseTo(small.adversarial.data[j]!, 4);
  }
});

describe("options are refused when they make no sense", () => {
  it.each([
    [() => nes({ epsilon: 1, norm: "l1" as "l2" }), '"norm" expected "l2" or "linf", got "l1"'],
    [() => nes({ epsilon: 1, samples: 0 }), '"samples" expected a whole number >= 1, got 0'],
    [() => nes({ epsilon: 1, sigma: 0 }), '"sigma" expected a number > 0, got 0'],
    [() => nes({ epsilon: 1, stepSize: -1 }), '"stepSize" expected a number > 0, got -1'],
  ])("%#", (make, message) => {
    expect(make).toThrow(message);
  });
});
