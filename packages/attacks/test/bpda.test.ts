import { bpda, pgd } from "@parapet/attacks";
import { createRng, crossEntropy, margin, type NdArray, ndArray, untargeted } from "@parapet/core";
import { affineModel, assertClose, assertSameBytes, quantisedInput, researchWeights } from "@parapet/testing";
import { describe, expect, it } from "vitest";

const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
const base = affineModel(researchWeights);
const rounded = (points: NdArray) =>
  ndArray(
    points.data.map((value) => Math.round(value * 7) / 7),
    points.shape,
  );

describe("bpda", () => {
  it("answers as the model behind the preprocessing, and gives the gradient at what it saw", async () => {
    const model = bpda(base, rounded);
    const hidden = quantisedInput(base, 8);
    assertClose(await model.logits(x), await hidden.logits(x), { absolute: 1e-6 });
    expect((await model.labels(x)).data[0]).toBe(0);
    const { gradient, value } = await model.gradient(x, crossEntropy([0]));
    const seen = await base.gradient(rounded(x), crossEntropy([0]));
    assertSameBytes(gradient, seen.gradient);
    assertSameBytes(value, seen.value);
    const pass = await model.linearize(x);
    assertClose(await pass.pullback(ndArray([-1, 1, 0], [1, 3])), [-2, -1.5, 3]);
    pass.release();
    await expect(pass.pullback(ndArray([-1, 1, 0], [1, 3]))).rejects.toThrow();
  });

  it("breaks the quantised model that PGD itself cannot", async () => {
    // The nearest other class lies at 0.369; quantised to 8 levels, below 0.44 (half a level more).
    const goal = untargeted([0], margin([0]));
    const attack = pgd({ epsilon: 0.45, steps: 20, randomStart: false });
    const run = async (model: typeof base) => (await attack(model, x, goal, { rng: createRng(0) })).success.data[0];
    expect(await run(quantisedInput(base, 8))).toBe(0);
    expect(await run(bpda(base, rounded))).toBe(1);
  });

  it("goes back through the approximation it is given, and hands the call's options to the preprocessing", async () => {
    const doubled = (points: NdArray, gradient: NdArray) =>
      ndArray(
        gradient.data.map((value, i) => 2 * value * points.data[i]!),
        points.shape,
      );
    let keys: Uint32Array | undefined;
    const model = bpda(
      base,
      async (points, options) => {
        keys = options?.keys;
        return ndArray(
          points.data.map((value) => value ** 2),
          points.shape,
        );
      },
      { backward: async (points, gradient) => doubled(points, gradient) },
    );
    const { gradient } = await model.gradient(x, margin([0]), { keys: Uint32Array.of(9) });
    assertClose(gradient, [-2 * 1.2, -1.5 * 1.4, 3 * 0.4], { absolute: 1e-6 });
    expect(keys).toEqual(Uint32Array.of(9));
  });

  it("refuses what is no function and what changes the shape", async () => {
    expect(() => bpda(base, undefined as never)).toThrow('"preprocess" expected a function, got undefined');
    const flat = bpda(base, (points) => ndArray(points.data.slice(), [points.data.length]));
    await expect(flat.logits(x)).rejects.toThrow('"preprocess" expected a float32 result of shape [1, 3], got [3]');
    const back = bpda(base, (points) => points, { backward: () => ndArray([1]) });
    await expect(back.gradient(x, margin([0]))).rejects.toThrow('"backward" expected a float32 result of shape [1, 3]');
  });
});
