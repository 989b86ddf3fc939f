import { createRng, linear, type NdArray, ndArray, untargeted } from "@parapet/core";
import { affineModel, quadraticModel } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { borderNormal, fillNormal, fillSigns, MOST_NORMAL, pairedGradient } from "../src/shared/gradient-estimates.ts";
import type { Script } from "../src/shared/questions.ts";
import { openRun } from "../src/shared/run.ts";

const wide = { lower: -100, upper: 100 };

/** Runs a script whose questions are answered by functions of a point. */
function answered<T>(script: Script<T>, width: number, value: (point: Float32Array) => number): T {
  let step = script.next({ reached: new Uint8Array(0), value: new Float32Array(0) });
  while (!step.done) {
    const points = step.value;
    const values = Float32Array.from({ length: points.length / width }, (_, i) =>
      value(points.subarray(i * width, (i + 1) * width)),
    );
    step = script.next({ reached: Uint8Array.from(values, (one) => Number(one > 0)), value: values });
  }
  return step.value;
}

const problem = (x: NdArray, bounds: { lower: number; upper: number }, mask?: NdArray<"bool">) => {
  const width = x.data.length;
  const weights = [new Array<number>(width).fill(0), new Array<number>(width).fill(1)];
  const context = { rng: createRng(0), ...(mask === undefined ? {} : { mask }) };
  return openRun("test", affineModel({ weights, bounds }), x, untargeted([0]), context);
};
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, j) => sum + value * b[j]!, 0);

describe("numbers that are nearly normal", () => {
  const draw = new Float32Array(200_000);
  fillNormal(createRng(0), draw);
  const moment = (k: number) => draw.reduce((sum, value) => sum + value ** k, 0) / draw.length;

  it("have the moments of the normal distribution, but for the tails", () => {
    // Standard errors of the moments of 200,000: 0.0022, 0.0032, 0.0087, 0.022; five of them, one failure in 400,000 seeds.
    expect(Math.abs(moment(1))).toBeLessThan(0.011);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.016);
    expect(Math.abs(moment(3))).toBeLessThan(0.044);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.13);
    expect(draw.reduce((most, value) => Math.max(most, Math.abs(value)), 0)).toBeLessThan(MOST_NORMAL);
  });

  it("are independent of their neighbours", () => {
    // The covariance of neighbours has a standard error of 0.0022.
    for (const lag of [1, 2, 3, 4]) {
      let sum = 0;
      for (let j = lag; j < draw.length; j++) sum += draw[j]! * draw[j - lag]!;
      expect(Math.abs(sum / draw.length)).toBeLessThan(0.011);
    }
  });

  it("signs are independent and balanced", () => {
    const signs = new Float32Array(100_000);
    fillSigns(createRng(1), signs);
    expect(new Set(signs)).toEqual(new Set([1, -1]));
    for (const lag of [0, 1, 31, 32]) {
      let sum = 0;
      for (let j = lag; j < signs.length; j++) sum += lag === 0 ? signs[j]! : signs[j]! * signs[j - lag]!;
      // Five standard errors of 0.0032.
      expect(Math.abs(sum / signs.length)).toBeLessThan(0.016);
    }
  });
});

describe("the normal of a half-space's border", () => {
  // E|u_1| of a random unit vector, and the expected cosine with B samples, m sqrt(B) / sqrt(1 + (B - 1) m^2).
  const cases = [
    [2, 0.6366197724, 100, 0.9967],
    [3, 0.5, 100, 0.9853],
    [10, 0.2586899392, 100, 0.9368],
    [100, 0.0799881734, 1000, 0.9304],
    [784, 0.0285049653, 1000, 0.6697],
  ] as const;
  it.each(cases)("d = %i: length %f along it, and with %i samples a cosine of %f", (d, m, count, cosine) => {
    const rng = createRng(d);
    const w = new Float32Array(d).map(() => rng.normal());
    const length = Math.sqrt(dot(w, w));
    const x = ndArray(new Float32Array(d), [1, d]);
    const run = problem(x, wide);
    const repeats = 40;
    let along = 0;
    let meanCosine = 0;
    for (let repeat = 0; repeat < repeats; repeat++) {
      const script = borderNormal(run, 0, x.data, 0.01, count, (u) => fillNormal(rng, u));
      const v = answered(script, d, (point) => dot(w, point));
      along += dot(v, w) / length / repeats;
      meanCosine += dot(v, w) / length / Math.sqrt(dot(v, v)) / repeats;
    }
    // |u_1| has a standard deviation below m, so the mean of 40 x count samples lies within 5 m / sqrt(40 count); the
    // baseline takes a share of about 1 / count away. Cosines of single estimates spread by less than 0.05: 5 x 0.05 / 6.3.
    expect(Math.abs(along - m)).toBeLessThan(m * (5 / Math.sqrt(repeats * count) + 2 / count));
    expect(Math.abs(meanCosine - cosine)).toBeLessThan(0.04);
  });

  it("all answers the same: their side", () => {
    const x = ndArray(new Float32Array(5), [1, 5]);
    const estimate = (value: number) =>
      answered(
        borderNormal(problem(x, wide), 0, x.data, 0.1, 10, (u) => fillNormal(createRng(3), u)),
        5,
        () => value,
      );
    expect(estimate(1)).toEqual(estimate(-1).map((v) => -v));
  });
});

describe("the gradient by pairs", () => {
  const fills = [
    ["normal", fillNormal, MOST_NORMAL],
    ["signs", fillSigns, 1],
  ] as const;

  /** Mean and standard error of many estimates. */
  function estimates(
    fill: (typeof fills)[number][1],
    most: number,
    x: NdArray,
    bounds: typeof wide,
    f: (p: Float32Array) => number,
    radius: number,
  ) {
    const d = x.data.length;
    const rng = createRng("pairs");
    const run = problem(x, bounds);
    const all = Array.from({ length: 400 }, () =>
      answered(
        pairedGradient(run, 0, x.data, radius, 5, most, (u) => fill(rng, u)),
        d,
        f,
      ),
    );
    return Array.from({ length: d }, (_, j) => {
      const mean = all.reduce((sum, one) => sum + one[j]!, 0) / all.length;
      const variance = all.reduce((sum, one) => sum + (one[j]! - mean) ** 2, 0) / (all.length - 1);
      return { mean, error: Math.sqrt(variance / all.length) };
    });
  }

  // Five standard errors: one failure in about a million seeds.
  it.each(fills)("%s: its mean on a linear loss is w = (4, 3), not a quarter of it", (_, fill, most) => {
    const w = [4, 3];
    estimates(fill, most, ndArray([0, 0], [1, 2]), wide, (p) => dot(w, p), 0.125).forEach(({ mean, error }, j) => {
      expect(Math.abs(mean - w[j]!)).toBeLessThan(5 * error + 1e-4);
      expect(error).toBeLessThan(0.2);
    });
  });

  it.each(fills)("%s: at the bounds, too, where clipped steps would halve it", (_, fill, most) => {
    const w = [4, 3, -2];
    const box = { lower: 0, upper: 1 };
    estimates(fill, most, ndArray([0, 1, 0.5], [1, 3]), box, (p) => dot(w, p), 0.0625).forEach(({ mean, error }, j) => {
      expect(Math.abs(mean - w[j]!)).toBeLessThan(5 * error + 1e-4);
    });
  });

  it.each(fills)("%s: on a quadratic loss it is the gradient at the point", async (_, fill, most) => {
    const model = quadraticModel({
      centres: [
        [0, 0],
        [1, 2],
      ],
      bounds: wide,
    });
    const x = ndArray([0.25, -0.5], [1, 2]);
    const { gradient } = await model.gradient(x, linear(ndArray([0, 1], [1, 2])));
    const { data: at } = await model.logits(x);
    // The model's loss at a point, without waiting for it: -||p - c||^2 / 2 or -||p - c||^2, as the value at x tells.
    const square = (0.25 - 1) ** 2 + (-0.5 - 2) ** 2;
    const scale = at[1]! / square;
    const f = (p: Float32Array) => scale * ((p[0]! - 1) ** 2 + (p[1]! - 2) ** 2);
    estimates(fill, most, x, wide, f, 0.25).forEach(({ mean, error }, j) => {
      expect(Math.abs(mean - gradient.data[j]!)).toBeLessThan(5 * error + 1e-4);
    });
  });

  it("masked features are not moved and get 0", () => {
    const x = ndArray([0, 0, 0], [1, 3]);
    const mask = { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) } as const;
    const moved = new Set<number>();
    const script = pairedGradient(problem(x, wide, mask), 0, x.data, 0.1, 20, 1, (u) => fillSigns(createRng(0), u));
    const gradient = answered(script, 3, (p) => {
      moved.add(p[1]!);
      return dot([1, 1, 1], p);
    });
    expect([...moved]).toEqual([0]);
    expect(gradient[1]).toBe(0);
  });

  it("a pair without a number does not count", () => {
    const x = ndArray([0, 0], [1, 2]);
    const rng = createRng(0);
    const script = pairedGradient(problem(x, wide), 0, x.data, 0.1, 200, 1, (u) => fillSigns(rng, u));
    const gradient = answered(script, 2, (p) => (p[0]! > 0 ? Number.NEGATIVE_INFINITY : p[1]!));
    expect([...gradient]).toEqual([0, 0]);
  });
});
