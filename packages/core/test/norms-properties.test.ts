import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type BallNorm,
  createRng,
  distance,
  dualStep,
  type Norm,
  ndArray,
  projectOntoBall,
  sampleInBall,
} from "../src/index.ts";

const SETTINGS = { seed: 20240601, numRuns: 300 };

const row = (values: ArrayLike<number>) => ndArray(Float32Array.from(values), [1, values.length]);
const zero = (width: number) => row(new Float32Array(width));
const sizeOf = (values: ArrayLike<number>, norm: BallNorm) => distance(row(values), zero(values.length), norm).data[0]!;
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, i) => sum + value * b[i]!, 0);

const vector = fc.array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: 1, maxLength: 12 });
const radius = fc.float({ min: Math.fround(0.01), max: 20, noNaN: true });
const norm = fc.constantFrom<Norm>("l1", "l2", "linf");
const DUAL = { l1: "linf", l2: "l2", linf: "l1" } as const;

/** The l1 projection by another way: the threshold t with sum max(|d| - t, 0) = r, by bisection. */
function l1ByBisection(d: readonly number[], r: number): number[] {
  const after = (t: number) => d.map((value) => Math.sign(value) * Math.max(0, Math.abs(value) - t));
  const length = (t: number) => after(t).reduce((sum, value) => sum + Math.abs(value), 0);
  if (length(0) <= r) return [...d];
  let [low, high] = [0, Math.max(...d.map(Math.abs))];
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (length(middle) > r) low = middle;
    else high = middle;
  }
  return after(high);
}

describe("projectOntoBall", () => {
  it("lands in the ball, and leaves what is inside as it is", () => {
    fc.assert(
      fc.property(vector, fc.constantFrom<BallNorm>("l0", "l1", "l2", "linf"), radius, (d, name, r) => {
        const { data } = projectOntoBall(row(d), name, r);
        expect(sizeOf(data, name)).toBeLessThanOrEqual(r * (1 + 1e-6));
        if (sizeOf(d, name) <= r) expect(data).toEqual(Float32Array.from(d));
      }),
      SETTINGS,
    );
  });

  it("is idempotent, to the rounding of the first time", () => {
    fc.assert(
      fc.property(vector, norm, radius, (d, name, r) => {
        const once = projectOntoBall(row(d), name, r);
        const twice = projectOntoBall(once, name, r);
        twice.data.forEach((value, i) => {
          expect(Math.abs(value - once.data[i]!)).toBeLessThanOrEqual(1e-6 * r);
        });
      }),
      SETTINGS,
    );
  });

  it("is the closest point: (d - p) . (q - p) <= 0 for every q in the ball, which only the projection obeys", () => {
    fc.assert(
      fc.property(vector, norm, radius, fc.integer(), (d, name, r, seed) => {
        const p = projectOntoBall(row(d), name, r).data;
        const away = d.map((value, i) => value - p[i]!);
        const rng = createRng(seed);
        for (let i = 0; i < 20; i++) {
          const q = sampleInBall([1, d.length], name, r, () => rng.derive(i)).data;
          const toQ = Array.from(q, (value, j) => value - p[j]!);
          expect(dot(away, toQ)).toBeLessThanOrEqual(1e-5 * (1 + sizeOf(d, "l2") ** 2 + r * r));
        }
        // And the corner that lies furthest in the direction of d, where a wrong point is found out most surely.
        const corner = dualStep(row(away), name).data.map((value) => value * r);
        const toCorner = Array.from(corner, (value, j) => value - p[j]!);
        expect(dot(away, toCorner)).toBeLessThanOrEqual(1e-5 * (1 + sizeOf(d, "l2") ** 2 + r * r));
      }),
      SETTINGS,
    );
  });

  it("onto l1 agrees with bisection", () => {
    fc.assert(
      fc.property(vector, radius, (d, r) => {
        const expected = l1ByBisection(d, r);
        projectOntoBall(row(d), "l1", r).data.forEach((value, i) => {
          expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(1e-6 * (1 + sizeOf(d, "linf")));
        });
      }),
      SETTINGS,
    );
  });

  it("onto l0 is closest: nothing it dropped is larger than what it kept", () => {
    fc.assert(
      fc.property(vector, fc.integer({ min: 0, max: 12 }), (d, keep) => {
        const { data } = projectOntoBall(row(d), "l0", keep);
        const kept = d.filter((value, i) => data[i] === value && value !== 0).map(Math.abs);
        const dropped = d.filter((value, i) => data[i] !== value).map(Math.abs);
        expect(Math.max(0, ...dropped)).toBeLessThanOrEqual(Math.min(Number.POSITIVE_INFINITY, ...kept));
        expect(kept.length).toBe(Math.min(keep, d.filter((value) => value !== 0).length));
      }),
      SETTINGS,
    );
  });

  it("treats every row alone", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(vector, radius), { minLength: 2, maxLength: 4 }), norm, (rows, name) => {
        const width = Math.min(...rows.map(([d]) => d.length));
        const cut = rows.map(([d]) => d.slice(0, width));
        const all = projectOntoBall(
          ndArray(cut.flat(), [rows.length, width]),
          name,
          Float32Array.from(rows, ([, r]) => r),
        );
        const alone = cut.flatMap((d, i) => [...projectOntoBall(row(d), name, rows[i]![1]).data]);
        expect([...all.data]).toEqual(alone);
      }),
      SETTINGS,
    );
  });
});

describe("dualStep", () => {
  it("has length 1 and attains the dual norm", () => {
    fc.assert(
      fc.property(vector, norm, (g, name) => {
        const step = dualStep(row(g), name).data;
        const dual = sizeOf(g, DUAL[name]);
        expect(Math.abs(dot(Float32Array.from(g), step) - dual)).toBeLessThanOrEqual(1e-5 * dual);
        if (dual > 0) expect(Math.abs(sizeOf(step, name) - 1)).toBeLessThanOrEqual(1e-6);
      }),
      SETTINGS,
    );
  });

  it("no other step of length 1 gains more", () => {
    fc.assert(
      fc.property(vector, norm, fc.integer(), (g, name, seed) => {
        const best = dot(g, dualStep(row(g), name).data);
        const rng = createRng(seed);
        for (let i = 0; i < 20; i++) {
          const other = sampleInBall([1, g.length], name, 1, () => rng.derive(i)).data;
          expect(dot(g, other)).toBeLessThanOrEqual(best + 1e-5 * (1 + best));
        }
      }),
      SETTINGS,
    );
  });
});
