import { constant, cyclic, fastRecipe, ramp } from "@parapet/adversarial-training";
import { fgsm } from "@parapet/attacks";
import { describe, expect, it } from "vitest";

describe("schedules", () => {
  it("cyclic: up to the peak at 0.4, down to 0 at the end", () => {
    const rate = cyclic(0.005);
    const values = [0, 0.2, 0.4, 0.7, 1].map(rate);
    for (const [i, value] of [0, 0.0025, 0.005, 0.0025, 0].entries()) expect(values[i]).toBeCloseTo(value, 15);
    expect(cyclic(1, 0.9)(0.45)).toBeCloseTo(0.5, 15);
  });

  it("ramp: up, then constant", () => {
    expect([0, 0.1, 0.2, 1].map(ramp(0.3, 0.2))).toEqual([0, 0.15, 0.3, 0.3]);
  });

  it("constant", () => expect([0, 0.5, 1].map(constant(7))).toEqual([7, 7, 7]));

  it.each([() => cyclic(0), () => cyclic(1, 1), () => ramp(-1, 0.5), () => ramp(1, 0), () => constant(Number.NaN)])(
    "refuses numbers that make no sense (%#)",
    (make) => expect(make).toThrow(RangeError),
  );
});

describe("the fast recipe", () => {
  it("is one step of 1.25 epsilon from a random start, batches of 100, a rate up to 5e-3", () => {
    const asked: unknown[] = [];
    const options = fastRecipe(
      (given) => {
        asked.push(given);
        return fgsm(given);
      },
      { epsilon: 0.3, epochs: 7 },
    );
    options.attack(0.2);
    expect(asked).toEqual([{ epsilon: 0.2, stepSize: 0.25, randomStart: true }]);
    expect(options.batchSize).toBe(100);
    expect((options.learningRate as (progress: number) => number)(0.4)).toBe(0.005);
  });

  it("gives way to what the caller asks for", () => {
    const options = fastRecipe(fgsm, { epsilon: 0.3, epochs: 7, batchSize: 32, learningRate: 0.01 });
    expect([options.batchSize, options.learningRate]).toEqual([32, 0.01]);
  });
});
