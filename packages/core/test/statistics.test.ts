import { describe, expect, it } from "vitest";
import { inverseRegularizedIncompleteBeta, normalQuantile, regularizedIncompleteBeta } from "../src/index.ts";
import { clopperPearson, mean, median, wilson } from "../src/statistics.ts";
import vectors from "./vectors/statistics.json" with { type: "json" };

interface Row {
  readonly count: number;
  readonly total: number;
  readonly confidence: number;
  readonly wilson: readonly [string, string];
  readonly wilsonByStatsmodels: readonly [number, number];
  readonly clopperPearson: readonly [string, string];
  readonly clopperPearsonByStatsmodels: readonly [number, number];
  readonly clopperPearsonOneSided: readonly [string, string];
}

const rates = vectors.rates as unknown as readonly Row[];

/** The relative error, and 0 for 0 as expected. */
const relative = (got: number, wanted: number) => (got === wanted ? 0 : Math.abs(got / wanted - 1));

function compare(limit: number, ends: (row: Row) => readonly (readonly [got: number, wanted: number | string])[]) {
  const errors = rates.flatMap((row) =>
    ends(row).map(([got, wanted]) => ({ row, got, wanted, error: relative(got, Number(wanted)) })),
  );
  const worst = errors.reduce((a, b) => (b.error <= a.error ? a : b));
  const { count, total, confidence } = worst.row;
  const words = `${count}/${total} at ${confidence}: ${worst.got}, expected ${worst.wanted}`;
  expect(worst.error, `worst relative error ${worst.error.toExponential(1)} for ${words}`).toBeLessThanOrEqual(limit);
}

const pairs = ({ low, high }: { low: number; high: number }, wanted: readonly (number | string)[]) =>
  [
    [low, wanted[0]!],
    [high, wanted[1]!],
  ] as const;

/** Absolutely: statsmodels loses digits to cancellation at the ends near 0. */
function compareWithStatsmodels(
  interval: typeof wilson,
  column: "wilsonByStatsmodels" | "clopperPearsonByStatsmodels",
): void {
  for (const { count, total, confidence, [column]: wanted } of rates) {
    const { low, high } = interval(count, total, { confidence });
    expect(Math.abs(low - wanted[0]), `${count}/${total} at ${confidence}`).toBeLessThan(1e-14);
    expect(Math.abs(high - wanted[1]), `${count}/${total} at ${confidence}`).toBeLessThan(1e-14);
  }
}

describe("intervals", () => {
  it("wilson agrees with 60 digits, and with statsmodels", () => {
    compare(1e-13, (row) => pairs(wilson(row.count, row.total, row), row.wilson));
    compareWithStatsmodels(wilson, "wilsonByStatsmodels");
  });

  it("clopperPearson agrees with 60 digits, and with statsmodels", () => {
    compare(1e-12, (row) => pairs(clopperPearson(row.count, row.total, row), row.clopperPearson));
    compareWithStatsmodels(clopperPearson, "clopperPearsonByStatsmodels");
  });

  it("one-sided bounds agree with 60 digits, and leave the other end open", () => {
    compare(1e-12, ({ count, total, confidence, clopperPearsonOneSided: [low, high] }) => {
      const lower = clopperPearson(count, total, { confidence, sided: "lower" });
      const upper = clopperPearson(count, total, { confidence, sided: "upper" });
      return [
        [lower.low, low],
        [lower.high, 1],
        [upper.low, 0],
        [upper.high, high],
      ];
    });
  });

  it("gives the bounds and radii of randomized smoothing at alpha = 0.001", () => {
    const published = [
      [99, 100, 0.911373111296, 1.34925904],
      [100, 100, 0.933254300797, 1.50047502],
      [990, 1000, 0.976036187155, 1.97800958],
      [999, 1000, 0.990804502365, 2.35765057],
      [900, 1000, 0.867464018026, 1.11448316],
      [600, 1000, 0.551075473937, 0.128379],
      [99_000, 100_000, 0.988989340377, 2.28999996],
      [99_999, 100_000, 0.999907669666, 3.73912667],
      [90_000, 100_000, 0.897036496224, 1.26484469],
      [50_500, 100_000, 0.50010895174, 0.0002731],
    ] as const;
    for (const [count, total, bound, radius] of published) {
      const { low } = clopperPearson(count, total, { confidence: 0.999, sided: "lower" });
      expect(low, `${count}/${total}`).toBeCloseTo(bound, 11);
      expect(normalQuantile(low), `${count}/${total}`).toBeCloseTo(radius, 8);
    }
    // One hit fewer and the bound is below 1/2: no certificate.
    expect(clopperPearson(50_489, 100_000, { confidence: 0.999, sided: "lower" }).low).toBeLessThan(0.5);
  });

  it("has the closed form alpha^(1/n) when all succeed", () => {
    for (const n of [1, 10, 1000, 100_000]) {
      const { low } = clopperPearson(n, n, { confidence: 0.75, sided: "lower" });
      expect(relative(low, 0.25 ** (1 / n))).toBeLessThan(1e-14);
    }
  });

  it("ends are those whose binomial tails are alpha / 2", () => {
    for (const [k, n] of [
      [3, 40],
      [500, 1000],
      [999, 1000],
    ] as const) {
      const { low, high } = clopperPearson(k, n, { confidence: 0.9 });
      expect(regularizedIncompleteBeta(low, k, n - k + 1)).toBeCloseTo(0.05, 12);
      expect(regularizedIncompleteBeta(high, k + 1, n - k, { tail: "upper" })).toBeCloseTo(0.05, 12);
    }
  });

  it("mirror when success and failure are swapped, hold the rate, widen with the confidence", () => {
    for (const interval of [wilson, clopperPearson]) {
      for (const [k, n] of [
        [0, 7],
        [1, 7],
        [50, 100],
        [120, 1000],
        [1000, 1000],
      ] as const) {
        let width = 0;
        for (const confidence of [0.5, 0.8, 0.95, 0.999, 1 - 2 ** -40]) {
          const { low, high, rate } = interval(k, n, { confidence });
          const mirrored = interval(n - k, n, { confidence });
          expect(mirrored.low).toBeCloseTo(1 - high, 14);
          expect(mirrored.high).toBeCloseTo(1 - low, 14);
          expect(low).toBeLessThanOrEqual(rate);
          expect(high).toBeGreaterThanOrEqual(rate);
          expect(high - low).toBeGreaterThan(width);
          width = high - low;
        }
      }
    }
  });

  it("touch 0 and 1 exactly at no success and no failure", () => {
    for (const interval of [wilson, clopperPearson]) {
      expect(interval(0, 12).low).toBe(0);
      expect(interval(12, 12).high).toBe(1);
    }
    expect(wilson(3, 4)).toMatchObject({ count: 3, total: 4, rate: 0.75 });
    expect(JSON.parse(JSON.stringify(wilson(3, 4)))).toEqual(wilson(3, 4));
  });

  it("clopperPearson covers the true rate at least as often as it says, for every rate", () => {
    const n = 25;
    const intervals = Array.from({ length: n + 1 }, (_, k) => clopperPearson(k, n, { confidence: 0.9 }));
    for (let p = 0.01; p < 1; p += 0.01) {
      const covered = intervals.reduce((sum, { low, high }, k) => {
        const atMost = (j: number) => (j < 0 ? 0 : j >= n ? 1 : regularizedIncompleteBeta(1 - p, n - j, j + 1));
        return low <= p && p <= high ? sum + atMost(k) - atMost(k - 1) : sum;
      }, 0);
      expect(covered, `p = ${p}`).toBeGreaterThanOrEqual(0.9);
    }
  });

  it("works for counts as large as they come", () => {
    const { low } = clopperPearson(1e9 - 1, 1e9, { sided: "lower" });
    expect(1 - low).toBeCloseTo(inverseRegularizedIncompleteBeta(0.95, 2, 1e9 - 1), 15);
    expect(wilson(1, Number.MAX_SAFE_INTEGER).low).toBeGreaterThan(0);
  });

  it("refuse what cannot be a rate", () => {
    for (const interval of [wilson, clopperPearson]) {
      for (const [count, total] of [
        [-1, 10],
        [11, 10],
        [0, 0],
        [0.5, 1],
        [1, 1.5],
        [Number.NaN, 1],
        [1, Number.NaN],
      ] as const) {
        expect(() => interval(count, total), `${count}/${total}`).toThrow(RangeError);
      }
      for (const confidence of [0, 1, -1, Number.NaN]) {
        expect(() => interval(1, 2, { confidence }), `${confidence}`).toThrow(RangeError);
      }
      expect(() => interval("1" as never, 2)).toThrow(TypeError);
    }
    expect(() => wilson(11, 10)).toThrow('"count" expected a whole number >= 0 and <= 10, got 11');
    expect(() => wilson(0, 0)).toThrow('"total" expected a whole number >= 1 and <= 9007199254740991, got 0');
    expect(() => clopperPearson(1, 2e9)).toThrow(RangeError);
    expect(() => clopperPearson(1, 2, { sided: "both" as never })).toThrow(
      '"sided" expected "two", "lower" or "upper", got "both"',
    );
  });
});

describe("mean and median", () => {
  it("of plain numbers and typed arrays", () => {
    expect(mean([1, 2, 6])).toBe(3);
    expect(mean(Float32Array.of(0.5, 0.25))).toBe(0.375);
    expect(mean([1e16, 1, -1e16])).toBe(1 / 3);
    expect(mean(Array.from({ length: 1000 }, () => 0.1))).toBe(0.1);
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([10, 9])).toBe(9.5);
    expect(median([Number.MAX_VALUE, Number.MAX_VALUE])).toBe(Number.MAX_VALUE);
  });

  it("leave their input as it is", () => {
    const values = Float32Array.of(3, 1, 2);
    median(values);
    expect([...values]).toEqual([3, 1, 2]);
  });

  it("refuse nothing, NaN and infinity", () => {
    for (const f of [mean, median]) {
      expect(() => f([])).toThrow('"values.length" expected >= 1, got 0');
      expect(() => f([1, Number.NaN])).toThrow('"values[1]" expected a finite number, got NaN');
      expect(() => f([Infinity])).toThrow(RangeError);
    }
  });
});
