import { describe, expect, it } from "vitest";
import { accuracy, labelsOf, ndArray } from "../src/index.ts";

const logits = ndArray([2, 1, 0, 0, 3, 0, 1, 1, 0], [3, 3]);

describe("labelsOf", () => {
  it("is the first of the largest", () => {
    expect(labelsOf(logits)).toEqual(ndArray(Int32Array.of(0, 1, 0)));
    expect(labelsOf(ndArray([-3, -2, -5], [1, 3])).data[0]).toBe(1);
  });

  it("refuses what are no logits", () => {
    expect(() => labelsOf(ndArray([1, 2]))).toThrow(TypeError);
    expect(() => labelsOf(ndArray([1, 2], [2, 1]))).toThrow("at least 2 classes");
  });
});

describe("accuracy", () => {
  it("counts right answers, from logits or labels", () => {
    expect(accuracy(logits, [0, 1, 1])).toMatchObject({ count: 2, total: 3, rate: 2 / 3 });
    expect(accuracy(labelsOf(logits), [0, 1, 1])).toEqual(accuracy(logits, [0, 1, 1]));
  });

  it("comes with its 95 % Wilson interval, or another", () => {
    // (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n) at p = 0.8, n = 100, z = 1.959964.
    const hundred = ndArray(Int32Array.from({ length: 100 }, (_, i) => Number(i < 80)));
    const ones = new Int32Array(100).fill(1);
    const z = 1.959963984540054;
    const half = z * Math.sqrt(0.16 / 100 + (z * z) / 40_000);
    const { low, high } = accuracy(hundred, ones);
    expect(low).toBeCloseTo((0.8 + (z * z) / 200 - half) / (1 + (z * z) / 100), 12);
    expect(high).toBeCloseTo((0.8 + (z * z) / 200 + half) / (1 + (z * z) / 100), 12);
    const wide = accuracy(hundred, ones, { confidence: 0.999 });
    expect(wide.low).toBeLessThan(low);
    expect(wide.high).toBeGreaterThan(high);
  });

  it("a row with NaN is wrong, whatever its label; its neighbours are not", () => {
    const broken = ndArray([Number.NaN, 0, 0, 1, 5, Number.NaN], [3, 2]);
    for (const label of [0, 1]) expect(accuracy(broken, [label, 1, label]).count).toBe(1);
  });

  it("refuses labels for another number of answers, and labels that are no class", () => {
    expect(() => accuracy(logits, [0, 1])).toThrow('"labels" expected 3 classes, got 2');
    expect(() => accuracy(logits, [0, 1, -1])).toThrow(RangeError);
    expect(() => accuracy(logits, [0, 1, 3])).toThrow('"labels" expected classes below 3, got 3');
  });
});
