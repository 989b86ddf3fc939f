import { describe, expect, it } from "vitest";
import {
  erf,
  erfc,
  inverseRegularizedIncompleteBeta,
  logBeta,
  logGamma,
  normalCdf,
  normalQuantile,
  regularizedIncompleteBeta,
} from "../src/index.ts";
import vectors from "./vectors/special.json" with { type: "json" };

type Name = Exclude<keyof typeof vectors, "by">;
type Case = readonly (number | string)[];

/** The arguments of a case are its numbers, the expected values its strings. */
const split = (entry: Case) => ({
  inputs: entry.filter((value) => typeof value === "number"),
  wanted: entry.filter((value) => typeof value === "string").map(Number),
});

/** Fails with the worst case in words when any value is off by more than `limit`, relatively. */
function compare(name: Name, limit: number, compute: (x: number, a: number, b: number) => number, column = 0): void {
  const cases: readonly Case[] = vectors[name];
  const errors = cases.map((entry) => {
    const { inputs, wanted } = split(entry);
    const [x, a = 0, b = 0] = inputs;
    const got = compute(x!, a, b);
    return { inputs, wanted: wanted[column]!, got, error: Math.abs(got / wanted[column]! - 1) };
  });
  const worst = errors.reduce((a, b) => (b.error <= a.error ? a : b));
  const words = `${name}(${worst.inputs}): ${worst.got}, expected ${worst.wanted}`;
  expect(worst.error, `worst relative error ${worst.error.toExponential(1)} at ${words}`).toBeLessThanOrEqual(limit);
}

/** Checks that the values never fall by more than the rounding of one of them. */
function expectRising(values: readonly number[]): void {
  for (let i = 1; i < values.length; i++) {
    expect(values[i]! - values[i - 1]!, `step ${i}`).toBeGreaterThanOrEqual(-1e-12 * Math.abs(values[i]!));
  }
}

const grid = (from: number, to: number, n: number) =>
  Array.from({ length: n }, (_, i) => from + ((to - from) * i) / (n - 1));

describe("against mpmath at 60 digits", () => {
  it("has a few hundred cases of each", () => {
    for (const [name, cases] of Object.entries(vectors).filter(([, value]) => Array.isArray(value))) {
      expect(cases.length, name).toBeGreaterThan(200);
    }
  });

  it("logGamma", () => compare("logGamma", 1e-14, logGamma));
  it("logBeta", () => compare("logBeta", 1e-13, logBeta));
  it("erf", () => compare("erf", 1e-14, erf));
  it("erfc", () => compare("erfc", 1e-13, erfc));
  it("normalCdf", () => compare("normalCdf", 1e-13, normalCdf));
  it("normalQuantile", () => compare("normalQuantile", 1e-13, normalQuantile));
  it("regularizedIncompleteBeta", () =>
    compare("regularizedIncompleteBeta", 1e-12, (x, a, b) => regularizedIncompleteBeta(x, a, b)));
  it("regularizedIncompleteBeta, upper tail", () =>
    compare("regularizedIncompleteBeta", 1e-12, (x, a, b) => regularizedIncompleteBeta(x, a, b, { tail: "upper" }), 1));
  it("inverseRegularizedIncompleteBeta", () =>
    compare("inverseRegularizedIncompleteBeta", 1e-12, inverseRegularizedIncompleteBeta));
  it("inverseRegularizedIncompleteBeta, 1 - x by symmetry", () => {
    const complement = (p: number, a: number, b: number) =>
      inverseRegularizedIncompleteBeta(p, b, a, { tail: "upper" });
    compare("inverseRegularizedIncompleteBeta", 1e-12, complement, 1);
  });
});

describe("logGamma and logBeta", () => {
  it("vanish exactly where they should", () => {
    expect(Math.abs(logGamma(1))).toBe(0);
    expect(Math.abs(logGamma(2))).toBe(0);
    expect(Math.abs(logBeta(1, 1))).toBeLessThan(1e-15);
  });

  it("keep the recurrence Gamma(x + 1) = x Gamma(x) across the borders of the methods", () => {
    for (const x of [...grid(0.01, 3, 300), ...grid(8.5, 10.5, 81)]) {
      expect(Math.abs(logGamma(x + 1) - logGamma(x) - Math.log(x)), `x = ${x}`).toBeLessThan(2e-14);
    }
  });

  it("logBeta is symmetric and B(a, 1) = 1 / a", () => {
    for (const a of [1e-3, 0.2, 3, 17, 1e5]) {
      expect(logBeta(a, 4.5)).toBe(logBeta(4.5, a));
      expect(logBeta(a, 1)).toBeCloseTo(-Math.log(a), 12);
    }
  });

  it("reach infinity, and refuse what has no value", () => {
    expect(logGamma(1e306)).toBe(Infinity);
    for (const x of [0, -1, Number.NaN, Infinity]) expect(() => logGamma(x), `${x}`).toThrow(RangeError);
    expect(() => logGamma(0)).toThrow('"x" expected a number > 0, got 0');
    expect(() => logBeta(1, -2)).toThrow('"b" expected a number > 0, got -2');
    expect(() => logGamma("3" as never)).toThrow(TypeError);
  });
});

describe("erf, erfc, normalCdf and normalQuantile", () => {
  it("are symmetric", () => {
    for (const x of grid(0, 8, 161)) {
      expect(erf(-x)).toBe(-erf(x));
      expect(erfc(x) + erfc(-x)).toBeCloseTo(2, 14);
      expect(normalCdf(x) + normalCdf(-x)).toBeCloseTo(1, 14);
    }
    for (const k of grid(2, 50, 49)) expect(normalQuantile(1 - 2 ** -k)).toBe(-normalQuantile(2 ** -k));
  });

  it("rise, also where the method changes", () => {
    const near = [...grid(-40, 9, 2000), ...grid(2.1213, 2.1214, 100), ...grid(-2.1214, -2.1213, 100)].sort(
      (a, b) => a - b,
    );
    expectRising(near.map(normalCdf));
    expectRising(grid(-6, 6, 2000).map(erf));
    expectRising(grid(-6, 27, 2000).map((x) => -erfc(x)));
    expectRising(
      [...grid(1e-6, 0.999, 2000), ...grid(0.39999, 0.40001, 100)].sort((a, b) => a - b).map(normalQuantile),
    );
  });

  it("invert each other from the deepest tail up", () => {
    for (const k of grid(1, 300, 300)) {
      const p = 10 ** -k;
      // The quantile's last bit moves p by x^2 bits.
      expect(Math.abs(normalCdf(normalQuantile(p)) / p - 1), `p = ${p}`).toBeLessThan(3e-13);
    }
    for (const p of grid(0.01, 0.99, 99)) expect(normalCdf(normalQuantile(p))).toBeCloseTo(p, 15);
  });

  it("have their limits at the ends", () => {
    expect([erf(-Infinity), erf(Infinity), erf(0)]).toEqual([-1, 1, 0]);
    expect([erfc(-Infinity), erfc(Infinity), erfc(0), erfc(28)]).toEqual([2, 0, 1, 0]);
    expect([normalCdf(-Infinity), normalCdf(Infinity), normalCdf(0), normalCdf(-40)]).toEqual([0, 1, 0.5, 0]);
    expect([normalQuantile(0), normalQuantile(1), normalQuantile(0.5)]).toEqual([-Infinity, Infinity, 0]);
  });

  it("refuse NaN, what is no number, and what is no probability", () => {
    for (const f of [erf, erfc, normalCdf, normalQuantile]) {
      expect(() => f(Number.NaN)).toThrow(RangeError);
      expect(() => f(undefined as never)).toThrow(TypeError);
    }
    expect(() => normalQuantile(1.5)).toThrow('"p" expected a number in [0, 1], got 1.5');
  });
});

describe("regularizedIncompleteBeta and its inverse", () => {
  const shapes = [1e-3, 0.3, 1, 2.5, 40, 3e3, 1e6];
  const pairs = shapes.flatMap((a) => shapes.map((b) => [a, b] as const));

  it("keep I_x(a, b) = 1 - I_(1-x)(b, a)", () => {
    for (const [a, b] of pairs) {
      for (const x of [2 ** -40, 0.0625, 0.375, 0.5, 0.75, 1 - 2 ** -30]) {
        const lower = regularizedIncompleteBeta(x, a, b);
        const mirrored = regularizedIncompleteBeta(1 - x, b, a, { tail: "upper" });
        expect(Math.abs(lower / mirrored - 1) || 0, `${x} ${a} ${b}`).toBeLessThan(1e-14); // 0 / 0 on underflow
        expect(Math.abs(lower + regularizedIncompleteBeta(1 - x, b, a) - 1), `${x} ${a} ${b}`).toBeLessThan(1e-13);
      }
    }
  });

  it("have the closed forms I_x(a, 1) = x^a and I_x(1, b) = 1 - (1-x)^b", () => {
    for (const shape of shapes.filter((s) => s < 1e3)) {
      for (const x of grid(0.05, 0.95, 19)) {
        const power = x ** shape;
        expect(Math.abs(regularizedIncompleteBeta(x, shape, 1) / power - 1)).toBeLessThan(1e-13);
        const upper = regularizedIncompleteBeta(x, 1, shape, { tail: "upper" });
        expect(Math.abs(upper / (1 - x) ** shape - 1)).toBeLessThan(1e-13);
      }
    }
  });

  it("rise in x, also where the method changes", () => {
    for (const [a, b] of pairs) {
      const mean = a / (a + b);
      const near = grid(-1, 1, 201).map((t) => mean * (1 + 0.01 * t));
      const wide = grid(0, 1, 400);
      const at = [...near, ...wide].filter((x) => x >= 0 && x <= 1).sort((x, y) => x - y);
      expectRising(at.map((x) => regularizedIncompleteBeta(x, a, b)));
      expectRising(at.map((x) => -regularizedIncompleteBeta(x, a, b, { tail: "upper" })));
    }
  });

  it("invert each other", () => {
    for (const [a, b] of pairs) {
      for (const p of [1e-200, 1e-12, 0.01, 0.5, 0.9, 1 - 2 ** -40]) {
        const x = inverseRegularizedIncompleteBeta(p, a, b);
        if (x < 1e-290 || x > 0.5) continue; // an x near 1 has lost the digits of 1 - x
        // How far p moves when x moves by its last bit: at most a bits, or those of the normal law.
        const slack = 1e-12 + 4e-16 * Math.min(a, 40 * Math.sqrt(a));
        expect(Math.abs(regularizedIncompleteBeta(x, a, b) / p - 1), `${p} ${a} ${b}`).toBeLessThan(slack);
      }
    }
  });

  it("have their limits at the ends", () => {
    expect([regularizedIncompleteBeta(0, 2, 3), regularizedIncompleteBeta(1, 2, 3)]).toEqual([0, 1]);
    expect(regularizedIncompleteBeta(0, 2, 3, { tail: "upper" })).toBe(1);
    expect([inverseRegularizedIncompleteBeta(0, 2, 3), inverseRegularizedIncompleteBeta(1, 2, 3)]).toEqual([0, 1]);
    expect(inverseRegularizedIncompleteBeta(0.3, 1e-3, 0.3)).toBe(0); // 3e-522
  });

  it("refuse what is outside their ranges", () => {
    for (const f of [regularizedIncompleteBeta, inverseRegularizedIncompleteBeta]) {
      for (const [x, a, b] of [
        [-0.1, 1, 1],
        [1.1, 1, 1],
        [0.5, 0, 1],
        [0.5, 1, Number.NaN],
      ] as const) {
        expect(() => f(x, a, b), `${x} ${a} ${b}`).toThrow(RangeError);
      }
      expect(() => f(0.5, 1, 1, { tail: "left" as never })).toThrow('"tail" expected "lower" or "upper", got "left"');
    }
  });
});
