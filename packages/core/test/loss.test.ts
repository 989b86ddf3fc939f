import { describe, expect, it } from "vitest";
import {
  createRng,
  crossEntropy,
  differenceOfLogitsRatio,
  klDivergence,
  klDivergenceFrom,
  type Loss,
  linear,
  margin,
  type NdArray,
  ndArray,
  onPart,
  takeRows,
  weightedSum,
} from "../src/index.ts";
import { crossEntropyOf, differences, divergenceOf, marginOf, type Row, ratioOf } from "./loss-references.ts";

const N = 12;
const K = 5;
const rng = createRng("logits");
/** Rows of different size: nearly uniform, ordinary, confident. */
const logits = ndArray(
  Float32Array.from({ length: 2 * N * K }, (_, i) => rng.normal() * [0.1, 2, 8][Math.floor(i / K) % 3]!),
  [2 * N, K],
);
const first: NdArray = { ...logits, shape: [N, K], data: logits.data.slice(0, N * K) };
const rowOf = (array: NdArray, i: number): Row => [...array.data.subarray(i * K, (i + 1) * K)];
const labels = Array.from({ length: N }, (_, i) => i % K);
const targets = labels.map((label) => (label + 2) % K);
const reference = takeRows(
  logits,
  Int32Array.from(labels, (_, i) => N + i),
);

/** Every loss with one part, and its value as a formula in float64. */
const losses: Readonly<Record<string, { loss: Loss; of: (z: Row, i: number) => number }>> = {
  crossEntropy: { loss: crossEntropy(labels), of: (z, i) => crossEntropyOf(z, labels[i]!) },
  margin: { loss: margin(labels), of: (z, i) => marginOf(z, labels[i]!) },
  differenceOfLogitsRatio: { loss: differenceOfLogitsRatio(labels), of: (z, i) => ratioOf(z, labels[i]!) },
  "differenceOfLogitsRatio, targeted": {
    loss: differenceOfLogitsRatio(labels, targets),
    of: (z, i) => ratioOf(z, labels[i]!, targets[i]!),
  },
  klDivergenceFrom: { loss: klDivergenceFrom(reference), of: (z, i) => divergenceOf(rowOf(reference, i), z) },
  linear: {
    loss: linear(reference),
    of: (z, i) => z.reduce((sum, value, j) => sum + value * rowOf(reference, i)[j]!, 0),
  },
  weightedSum: {
    loss: weightedSum([
      [0.5, crossEntropy(labels)],
      [-2, margin(labels)],
    ]),
    of: (z, i) => 0.5 * crossEntropyOf(z, labels[i]!) - 2 * marginOf(z, labels[i]!),
  },
};

describe.each(Object.entries(losses))("%s", (_, { loss, of }) => {
  it("has the formula's value, to float32", () => {
    const value = loss.value(first);
    expect(value.shape).toEqual([N]);
    value.data.forEach((got, i) => {
      const expected = of(rowOf(first, i), i);
      expect(Math.abs(got - expected)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(expected)));
    });
  });

  it("has the formula's central differences as its cotangent, to float32", () => {
    const cotangent = loss.cotangent(first);
    expect(cotangent.shape).toEqual([N, K]);
    for (let i = 0; i < N; i++) {
      const slopes = differences((z) => of(z, i), rowOf(first, i));
      const scale = Math.max(1, ...slopes.map(Math.abs));
      slopes.forEach((expected, j) => {
        expect(Math.abs(cotangent.data[i * K + j]! - expected)).toBeLessThanOrEqual(1e-6 * scale);
      });
    }
  });

  it("take picks rows, in any order and more than once", () => {
    const rows = Int32Array.of(3, 0, 3, 11);
    const taken = loss.take(rows);
    expect([taken.count, taken.parts]).toEqual([4, 1]);
    const some = takeRows(first, rows);
    expect(taken.value(some)).toEqual(takeRows(loss.value(first), rows));
    expect(taken.cotangent(some)).toEqual(takeRows(loss.cotangent(first), rows));
    expect(taken.take(Int32Array.of(3)).value(takeRows(first, Int32Array.of(11)))).toEqual(
      takeRows(loss.value(first), Int32Array.of(11)),
    );
  });

  it("take may leave nothing, and refuses rows that are not there", () => {
    expect(loss.take(new Int32Array(0)).count).toBe(0);
    expect(() => loss.take(Int32Array.of(N))).toThrow(RangeError);
    expect(() => loss.take(Int32Array.of(-1))).toThrow(RangeError);
  });

  it("is pure: logits stay as they are, answers are fresh", () => {
    const before = first.data.slice();
    const value = loss.value(first).data.slice();
    loss.value(first).data.fill(9);
    loss.cotangent(first).data.fill(9);
    expect(loss.value(first).data).toEqual(value);
    expect(first.data).toEqual(before);
  });

  it("refuses logits of another number of rows, another dtype, one class", () => {
    expect(() => loss.value(logits)).toThrow(/"logits" expected float32 of shape \[12, classes\], got .*\[24, 5\]/);
    expect(() => loss.cotangent({ ...first, shape: [N * K] })).toThrow(TypeError);
    expect(() => loss.value({ ...first, dtype: "int32" } as unknown as NdArray)).toThrow(TypeError);
    expect(() => loss.value({ dtype: "float32", shape: [N, 1], data: new Float32Array(N) })).toThrow(RangeError);
  });
});

describe("klDivergence of two parts", () => {
  const loss = klDivergence(N);

  it("has the formula's value and central differences, in both parts", () => {
    const value = loss.value(logits).data;
    const cotangent = loss.cotangent(logits).data;
    for (let i = 0; i < N; i++) {
      const [p, q] = [rowOf(logits, i), rowOf(logits, N + i)];
      expect(Math.abs(value[i]! - divergenceOf(p, q))).toBeLessThanOrEqual(1e-6 * Math.max(1, value[i]!));
      const slopes = [
        ...differences((z) => divergenceOf(z, q), p).map((slope, j) => [slope, cotangent[i * K + j]!] as const),
        ...differences((z) => divergenceOf(p, z), q).map((slope, j) => [slope, cotangent[(N + i) * K + j]!] as const),
      ];
      for (const [slope, got] of slopes) {
        expect(Math.abs(got - slope)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(slope)));
      }
    }
  });

  it("take acts on both parts", () => {
    const rows = Int32Array.of(5, 5, 1);
    const both = takeRows(logits, Int32Array.of(5, 5, 1, N + 5, N + 5, N + 1));
    expect(loss.take(rows).value(both)).toEqual(takeRows(loss.value(logits), rows));
    expect(loss.take(new Int32Array(0)).count).toBe(0);
    expect(() => loss.take(Int32Array.of(N))).toThrow(RangeError);
  });

  it("is zero, with zero cotangent, where both answer the same", () => {
    const same = takeRows(logits, Int32Array.of(0, 1, 2, 0, 1, 2));
    expect(klDivergence(3).value(same).data).toEqual(new Float32Array(3));
    expect(
      klDivergence(3)
        .cotangent(same)
        .data.every((c) => c === 0),
    ).toBe(true);
  });

  it("refuses a count that is none", () => {
    for (const count of [0, -1, 1.5]) expect(() => klDivergence(count)).toThrow(RangeError);
  });
});

describe("onPart and weightedSum", () => {
  const trades = weightedSum([
    [1, onPart(crossEntropy(labels), 0, 2)],
    [6, klDivergence(N)],
  ]);

  it("add the parts' values and cotangents", () => {
    const parts = [onPart(crossEntropy(labels), 0, 2), klDivergence(N)] as const;
    const value = trades.value(logits).data;
    const cotangent = trades.cotangent(logits).data;
    const values = parts.map((part) => part.value(logits).data);
    const cotangents = parts.map((part) => part.cotangent(logits).data);
    value.forEach((got, i) => {
      expect(got).toBeCloseTo(values[0]![i]! + 6 * values[1]![i]!, 4);
    });
    cotangent.forEach((got, i) => {
      expect(got).toBeCloseTo(cotangents[0]![i]! + 6 * cotangents[1]![i]!, 5);
    });
  });

  it("onPart looks at its part alone", () => {
    const second = onPart(margin(labels), 1, 2);
    expect(second.value(logits)).toEqual(margin(labels).value(reference));
    const { data } = second.cotangent(logits);
    expect(data.subarray(0, N * K).every((c) => c === 0)).toBe(true);
    expect(data.subarray(N * K)).toEqual(margin(labels).cotangent(reference).data);
  });

  it("take acts on every part of a sum", () => {
    const rows = Int32Array.of(2, 7);
    const both = takeRows(logits, Int32Array.of(2, 7, N + 2, N + 7));
    expect(trades.take(rows).value(both)).toEqual(takeRows(trades.value(logits), rows));
  });

  it("refuse what does not fit together", () => {
    expect(() => weightedSum([])).toThrow('"terms" expected at least one [weight, loss]');
    expect(() =>
      weightedSum([
        [1, margin([0])],
        [1, margin([0, 1])],
      ] as never),
    ).toThrow(TypeError);
    expect(() => weightedSum([[Number.NaN, margin([0])]])).toThrow(RangeError);
    expect(() => onPart(klDivergence(2), 0, 2)).toThrow('"loss" expected one part, got 2');
    expect(() => onPart(margin([0]), 2, 2)).toThrow(RangeError);
  });
});
