import { describe, expect, it } from "vitest";
import { createRng, createSecureRng, exampleKeys, ndArray } from "../src/index.ts";

const N = 100_000;
/** A normal number is further out than this with probability 1e-6: the false alarms of this file, over the seeds. */
const SIGMAS = 4.9;
const draw = (n: number, next: () => number) => Float64Array.from({ length: n }, next);

/**
 * Chi-square of numbers in [0, 1) over 100 bins. With 99 degrees of freedom it exceeds 182 with probability 1e-6
 * (Wilson-Hilferty: 99 (1 - 2/891 + 4.753 sqrt(2/891))^3 = 181), and is below 44 as rarely.
 */
function chiSquare(uniform: Float64Array): number {
  const bins = new Float64Array(100);
  for (const value of uniform) bins[Math.floor(value * 100)]! += 1;
  const mean = uniform.length / 100;
  return bins.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
}

describe("seeds", () => {
  const first = (seed: number | string) => createRng(seed).next();

  it("0 is a seed like any other, and the same seed gives the same stream", () => {
    expect(first(0)).toBe(first(0));
    expect(new Set([0, 1, -1, 0.5, 2 ** 40, "", "0", "1", "a"].map(first)).size).toBe(9);
  });

  it("a number and its digits are different seeds", () => {
    expect(first(1)).not.toBe(first("1"));
  });

  it("a missing, NaN or infinite seed is refused", () => {
    for (const seed of [undefined, null, Number.NaN, Number.POSITIVE_INFINITY, {}, 1n]) {
      expect(() => createRng(seed as number)).toThrow(/"seed" expected a finite number or a string, got/);
    }
  });

  it("streams never change: results that were published can be repeated", () => {
    const rng = createRng(0);
    expect([rng.next(), rng.normal(), rng.integer(1000), rng.derive("a").next()]).toMatchInlineSnapshot(`
      [
        0.6737475414107502,
        -0.2353041380936407,
        156,
        0.8473764580054651,
      ]
    `);
  });
});

describe("next", () => {
  it("is uniform in [0, 1)", () => {
    const values = draw(N, createRng(1).next);
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    const statistic = chiSquare(values);
    expect(statistic).toBeLessThan(182);
    expect(statistic).toBeGreaterThan(44);
  });

  it("has random bits down to the 53rd", () => {
    const low = draw(N, createRng(2).next).map((value) => (value * 2 ** 32) % 1);
    expect(chiSquare(low)).toBeLessThan(182);
    const last = draw(N, createRng(3).next).reduce((sum, value) => sum + ((value * 2 ** 53) % 2), 0);
    expect(Math.abs(last - N / 2)).toBeLessThan(SIGMAS * Math.sqrt(N / 4));
  });

  it("does not follow from the number before", () => {
    const values = draw(N, createRng(4).next);
    let covariance = 0;
    for (let i = 1; i < N; i++) covariance += ((values[i]! - 0.5) * (values[i - 1]! - 0.5) * 12) / (N - 1);
    expect(Math.abs(covariance)).toBeLessThan(SIGMAS / Math.sqrt(N));
  });
});

describe("normal", () => {
  const values = draw(N, createRng(5).normal);
  const moment = (power: number) => values.reduce((sum, value) => sum + value ** power / N, 0);

  it("has the moments 0, 1, 0, 3", () => {
    // The variances of the powers of a normal number: 1, 2, 15, 96.
    for (const [power, expected, variance] of [
      [1, 0, 1],
      [2, 1, 2],
      [3, 0, 15],
      [4, 3, 96],
    ] as const) {
      expect(Math.abs(moment(power) - expected)).toBeLessThan(SIGMAS * Math.sqrt(variance / N));
    }
  });

  it("has the tails of the normal distribution", () => {
    for (const [limit, share] of [
      [1, 0.317310507863],
      [2, 0.045500263896],
      [3, 0.002699796063],
    ] as const) {
      const count = values.filter((value) => Math.abs(value) > limit).length;
      expect(Math.abs(count - N * share)).toBeLessThan(SIGMAS * Math.sqrt(N * share));
    }
  });

  it("the two numbers of one draw do not follow from each other", () => {
    let product = 0;
    let squares = 0;
    for (let i = 0; i < N; i += 2) {
      product += (values[i]! * values[i + 1]!) / (N / 2);
      squares += ((values[i]! ** 2 - 1) * (values[i + 1]! ** 2 - 1)) / (N / 2);
    }
    expect(Math.abs(product)).toBeLessThan(SIGMAS / Math.sqrt(N / 2));
    expect(Math.abs(squares)).toBeLessThan((SIGMAS * 2) / Math.sqrt(N / 2));
  });
});

describe("integer", () => {
  it("takes every value below n equally often", () => {
    const rng = createRng(6);
    const values = draw(N, () => rng.integer(100) / 100 + 0.005);
    expect(chiSquare(values)).toBeLessThan(182);
    expect(createRng(0).integer(1)).toBe(0);
  });

  it("refuses an n that is no count", () => {
    for (const n of [0, -1, 1.5, Number.NaN, 2 ** 54]) expect(() => createRng(0).integer(n)).toThrow(RangeError);
  });
});

describe("derive", () => {
  it("does not depend on what was drawn before, nor disturb what is drawn after", () => {
    const used = createRng(7);
    const plain = createRng(7);
    used.normal();
    used.derive("x").next();
    plain.normal();
    expect(used.derive("x").next()).toBe(plain.derive("x").next());
    expect(used.next()).toBe(plain.next());
    expect(used.derive("x").next()).toBe(createRng(7).derive("x").next());
  });

  it("gives another stream for every path, however the labels are cut", () => {
    const rng = createRng(8);
    const paths = [
      rng,
      rng.derive("a"),
      rng.derive("a").derive("b"),
      rng.derive("a/b"),
      rng.derive("a/1:b"),
      rng.derive("ab"),
      rng.derive(""),
      rng.derive("").derive(""),
      rng.derive(1),
      rng.derive(11),
      rng.derive(1).derive(1),
    ];
    expect(new Set(paths.map((stream) => stream.next())).size).toBe(paths.length);
  });

  it("the first numbers of many derived streams are uniform and do not follow from their neighbours", () => {
    const rng = createRng(9);
    const firsts = draw(20_000, () => 0).map((_, i) => rng.derive(i).next());
    expect(chiSquare(firsts)).toBeLessThan(182);
    let covariance = 0;
    for (let i = 1; i < firsts.length; i++) {
      covariance += ((firsts[i]! - 0.5) * (firsts[i - 1]! - 0.5) * 12) / (firsts.length - 1);
    }
    expect(Math.abs(covariance)).toBeLessThan(SIGMAS / Math.sqrt(firsts.length));
  });

  it("so are the first numbers of many seeds", () => {
    expect(chiSquare(draw(20_000, () => 0).map((_, seed) => createRng(seed).next()))).toBeLessThan(182);
  });
});

describe("exampleKeys", () => {
  const x = ndArray([0.5, 0.25, 0.75, 0, 0.5, 0.25], [3, 2]);

  it("belong to the row and its class, not to the batch or the order", () => {
    const keys = exampleKeys(x, Int32Array.of(1, 1, 1));
    expect(keys[0]).toBe(keys[2]);
    const turned = exampleKeys(ndArray([0.75, 0, 0.5, 0.25], [2, 2]), Int32Array.of(1, 1));
    expect([turned[1], turned[0]]).toEqual([keys[0], keys[1]]);
  });

  it("differ for another class, another feature, and features in another order", () => {
    const keyOf = (values: number[], label: number) => exampleKeys(ndArray(values, [1, 2]), Int32Array.of(label))[0];
    const keys = [keyOf([0.5, 0.25], 1), keyOf([0.5, 0.25], 2), keyOf([0.25, 0.5], 1), keyOf([0.5, 0.25000003], 1)];
    expect(new Set(keys).size).toBe(4);
  });

  it("look at an array's own part of its memory", () => {
    const store = Float32Array.of(9, 9, 0.5, 0.25);
    const view = { shape: [1, 2], data: store.subarray(2) };
    expect(exampleKeys(view, Int32Array.of(1))[0]).toBe(exampleKeys(x, Int32Array.of(1, 1, 1))[0]);
  });

  it("of many rows collide as rarely as random numbers do", () => {
    const n = 20_000;
    const keys = exampleKeys(
      ndArray(
        Float32Array.from({ length: n }, (_, i) => i / n),
        [n, 1],
      ),
      new Int32Array(n),
    );
    // n^2 / 2^33 = 0.05 pairs are expected; 4 or more come with probability 2e-7.
    expect(new Set(keys).size).toBeGreaterThan(n - 4);
    expect(chiSquare(Float64Array.from(keys, (key) => key / 2 ** 32))).toBeLessThan(182);
  });

  it("take bytes and integers too, and refuse classes for another number of rows", () => {
    expect(exampleKeys({ shape: [2, 1], data: Uint8Array.of(1, 2) }, Int32Array.of(0, 0)).length).toBe(2);
    expect(exampleKeys({ shape: [0, 2], data: new Float32Array(0) }, new Int32Array(0)).length).toBe(0);
    expect(() => exampleKeys(x, Int32Array.of(1))).toThrow('"classes" expected 3 classes, one a row, got 1');
  });
});

describe("createSecureRng", () => {
  it("gives as many bytes as asked for, also more than the platform's limit of 65,536", () => {
    const rng = createSecureRng();
    expect(rng.bytes(0).length).toBe(0);
    const many = rng.bytes(200_000);
    expect(many.length).toBe(200_000);
    // A byte is 0 in each of the last thousand places with probability 256^-1000.
    expect(many.subarray(199_000).some((byte) => byte !== 0)).toBe(true);
    expect(
      chiSquare(
        Float64Array.from(many, (byte) => (byte + 0.5) / 256)
          .filter((_, i) => many[i]! < 200)
          .map((v) => (v * 256) / 200),
      ),
    ).toBeLessThan(182);
  });

  it("never gives the same bytes twice", () => {
    const texts = Array.from({ length: 100 }, () => createSecureRng().bytes(16).join());
    expect(new Set(texts).size).toBe(100);
  });

  it("refuses a length that is none", () => {
    for (const n of [-1, 1.5, Number.NaN]) expect(() => createSecureRng().bytes(n)).toThrow(RangeError);
  });
});
