import { describe, expect, it } from "vitest";
import {
  crossEntropy,
  differenceOfLogitsRatio,
  klDivergence,
  klDivergenceFrom,
  type Loss,
  linear,
  margin,
  ndArray,
  onPart,
  weightedSum,
} from "../src/index.ts";

const valuesOf = (loss: Loss, ...rows: number[][]) =>
  loss.value(ndArray(rows.flat(), [rows.length, rows[0]!.length])).data;
const cotangentOf = (loss: Loss, ...rows: number[][]) =>
  loss.cotangent(ndArray(rows.flat(), [rows.length, rows[0]!.length])).data;

function expectClose(got: Float32Array, expected: readonly number[], relative = 2e-7): void {
  expect(got.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(Math.abs(got[i]! - value), `element ${i}: ${got[i]}`).toBeLessThanOrEqual(relative * Math.abs(value));
  });
}

describe("analytic vectors", () => {
  // Logits of W = [[1, 2, -1], [-1, .5, 2], [0, -1, 1]], b = [.5, -.25, 0] at x = [.6, .7, .2], worked out in float64.
  it("cross-entropy of the affine model", () => {
    expectClose(valuesOf(crossEntropy([0]), [2.3, -0.1, -0.5]), [0.1410897699], 5e-7);
    expectClose(cotangentOf(crossEntropy([0]), [2.3, -0.1, -0.5]), [-0.131588649, 0.0787805004, 0.0528081486], 5e-7);
  });

  it("difference of logits ratio at (3, 1, 0.5, -1)", () => {
    const z = [3, 1, 0.5, -1];
    expectClose(valuesOf(differenceOfLogitsRatio([0]), z), [-0.8]);
    expectClose(valuesOf(differenceOfLogitsRatio([1]), z), [0.8]);
    expectClose(valuesOf(differenceOfLogitsRatio([0], [1]), z), [-0.6153846154]);
    expectClose(valuesOf(differenceOfLogitsRatio([0], [3]), z), [-1.2307692308]);
  });

  it("KL divergence and TRADES at (2, 0, -1) and (1, 1, -1)", () => {
    const [p, q] = [
      [2, 0, -1],
      [1, 1, -1],
    ];
    expectClose(valuesOf(klDivergence(1), p!, q!), [0.31837719122]);
    expectClose(valuesOf(klDivergenceFrom(ndArray(p!, [1, 3])), q!), [0.31837719122]);
    expectClose(valuesOf(crossEntropy([0]), p!), [0.169846019556]);
    const trades = weightedSum([
      [1, onPart(crossEntropy([0]), 0, 2)],
      [6, klDivergence(1)],
    ]);
    expectClose(valuesOf(trades, p!, q!), [2.080109166876]);
  });

  it("a distilled network's gradient at temperature 20 is a twentieth of its softmax's error", () => {
    const z = [10, 0, -5].map((value) => value / 20);
    const gradient = cotangentOf(crossEntropy([0]), z).map((c) => c / 20);
    expectClose(gradient, [-0.0259487868, 0.0145877982, 0.0113609887], 5e-7);
  });
});

describe("margin", () => {
  // A known mistake elsewhere: one-hot times logits, then the maximum, lets the masked 0 win over negative logits.
  it("of negative logits is their difference, and its cotangent is not zero", () => {
    expect(valuesOf(margin([0]), [-1, -5, -6])).toEqual(Float32Array.of(-4));
    expect(cotangentOf(margin([0]), [-1, -5, -6])).toEqual(Float32Array.of(-1, 1, 0));
  });

  it("is positive exactly where the label is not the answer, zero on a tie", () => {
    expect(valuesOf(margin([1, 1, 1]), [2, 1, 0], [1, 2, 0], [2, 2, 0])).toEqual(Float32Array.of(1, -1, 0));
  });

  it("of two classes written [0, z] is -z for class 1 and z for class 0", () => {
    expect(valuesOf(margin([1, 0]), [0, 3], [0, 3])).toEqual(Float32Array.of(-3, 3));
  });
});

describe("cross-entropy where the softmax saturates", () => {
  it("keeps its digits in a confident row: value and every entry of the cotangent", () => {
    const [a, b] = [Math.exp(-40), Math.exp(-45)];
    expectClose(valuesOf(crossEntropy([0]), [0, -40, -45]), [a + b]);
    expectClose(cotangentOf(crossEntropy([0]), [0, -40, -45]), [-(a + b), a, b]);
  });

  it("is exact in a row that is confidently wrong", () => {
    expectClose(valuesOf(crossEntropy([1]), [0, -40, -45]), [40]);
    expectClose(cotangentOf(crossEntropy([1]), [0, -40, -45]), [1, -1, Math.exp(-45)]);
  });

  it("does not overflow at logits of any finite size", () => {
    expectClose(valuesOf(crossEntropy([0, 1]), [3e38, 0, 0], [3e38, 0, 0]), [0, 3e38]);
    expect(cotangentOf(crossEntropy([1]), [3e38, 0, 0])).toEqual(Float32Array.of(1, -1, 0));
  });

  it("does not change when a constant is added to the logits", () => {
    expect(valuesOf(crossEntropy([1]), [1, 2, 4])).toEqual(valuesOf(crossEntropy([1]), [257, 258, 260]));
  });

  it("of [0, z] is the binary cross-entropy log(1 + exp(-z))", () => {
    expectClose(valuesOf(crossEntropy([1, 0]), [0, 3], [0, 3]), [Math.log1p(Math.exp(-3)), Math.log1p(Math.exp(3))]);
  });

  it("the divergence keeps its sign and stays finite in confident rows", () => {
    const value = valuesOf(klDivergence(2), [0, -90, -95], [80, 0, 0], [0, -91, -94], [0, 80, 0]);
    expect(value.every(Number.isFinite)).toBe(true);
    expect(value[0]).toBeGreaterThanOrEqual(0);
    expectClose(value.slice(1), [80]);
  });
});

describe("difference of logits ratio", () => {
  it("does not change when logits are shifted and scaled", () => {
    const [got] = valuesOf(differenceOfLogitsRatio([2]), [1, -2, 0.5, 3]);
    const [other] = valuesOf(differenceOfLogitsRatio([2]), [1e6 + 5e5, -2e6 + 5e5, 0.5e6 + 5e5, 3e6 + 5e5]);
    expect(other).toBeCloseTo(got!, 6);
  });

  it("is 0, with cotangent 0, where its denominator is", () => {
    expect(valuesOf(differenceOfLogitsRatio([0]), [1, 1, 1])).toEqual(Float32Array.of(0));
    expect(cotangentOf(differenceOfLogitsRatio([0]), [1, 1, 1])).toEqual(new Float32Array(3));
  });

  it("is 1, with cotangent exactly 0, where the label is third: no rounding whose sign an attack would follow", () => {
    const z = [0.1, 0.02, 0.031, 0.07];
    expect(valuesOf(differenceOfLogitsRatio([2]), z)).toEqual(Float32Array.of(1));
    expect([...cotangentOf(differenceOfLogitsRatio([2]), z)].map(Math.abs)).toEqual([0, 0, 0, 0]);
  });

  it("says that it needs three classes, and four with targets", () => {
    expect(() => valuesOf(differenceOfLogitsRatio([0]), [0, 1])).toThrow(
      '"logits" expected at least 3 classes for differenceOfLogitsRatio, got 2',
    );
    expect(() => valuesOf(differenceOfLogitsRatio([0], [1]), [0, 1, 2])).toThrow("at least 4 classes");
    expect(valuesOf(differenceOfLogitsRatio([0]), [0, 1, 2])).toEqual(Float32Array.of(1));
  });

  it("refuses targets that are the label, no class, or too few", () => {
    expect(() => differenceOfLogitsRatio([0, 1], [1, 1])).toThrow(
      '"targets" expected classes other than the labels, got 1',
    );
    expect(() => differenceOfLogitsRatio([0, 1], [1])).toThrow('"targets" expected 2 classes, one a label, got 1');
    expect(() => valuesOf(differenceOfLogitsRatio([0], [4]), [3, 2, 1, 0])).toThrow(
      '"targets" expected classes below 4',
    );
  });
});

describe("labels", () => {
  const makers = { crossEntropy, margin, differenceOfLogitsRatio };

  it.each(Object.entries(makers))("%s refuses labels that are no class", (_, make) => {
    expect(() => make([0, -1])).toThrow('"labels" expected whole numbers >= 0, got -1');
    expect(() => make([0.5])).toThrow(RangeError);
    expect(() => make([Number.NaN])).toThrow(RangeError);
    expect(() => make("01" as never)).toThrow(TypeError);
    expect(() => make(Float32Array.of(1) as never)).toThrow(TypeError);
    expect(() => valuesOf(make([3]), [1, 2, 3])).toThrow('"labels" expected classes below 3, got 3');
    expect(() => cotangentOf(make([3]), [1, 2, 3])).toThrow(RangeError);
  });

  it("are copied, and may be plain, typed or an array of the contract", () => {
    const labels = Int32Array.of(1);
    const loss = margin(labels);
    labels[0] = 0;
    expect(valuesOf(loss, [0, 5])).toEqual(Float32Array.of(-5));
    expect(valuesOf(margin(ndArray(Int32Array.of(1))), [0, 5])).toEqual(Float32Array.of(-5));
  });
});

describe("forms", () => {
  it("say what the closures compute, and go along with take", () => {
    const rows = Int32Array.of(1, 1);
    expect(crossEntropy([2, 0]).take(rows).form).toEqual({ kind: "cross-entropy", labels: Int32Array.of(0, 0) });
    expect(margin([2, 0]).take(rows).form).toEqual({ kind: "margin", labels: Int32Array.of(0, 0) });
    const weights = ndArray([1, 2, 3, 4], [2, 2]);
    expect(linear(weights).take(rows).form).toEqual({ kind: "linear", cotangent: ndArray([3, 4, 3, 4], [2, 2]) });
    expect(weightedSum([[2, margin([0])]]).form).toBeUndefined();
    expect(differenceOfLogitsRatio([0]).form).toBeUndefined();
  });

  it("a linear loss keeps its own copy of the weights and its number of classes", () => {
    const weights = ndArray([1, 2], [1, 2]);
    const loss = linear(weights);
    weights.data.fill(0);
    expect(valuesOf(loss, [1, 1])).toEqual(Float32Array.of(3));
    expect(() => valuesOf(loss, [1, 1, 1])).toThrow(/"logits" expected 2 classes as in the cotangent, got 3|at least/);
  });
});
