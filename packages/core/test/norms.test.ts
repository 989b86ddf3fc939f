import { describe, expect, it } from "vitest";
import {
  type BallNorm,
  checkNorm,
  createRng,
  distance,
  dualStep,
  ndArray,
  projectOntoBall,
  sampleInBall,
} from "../src/index.ts";

const row = (...values: number[]) => ndArray(values, [1, values.length]);
const project = (values: number[], norm: BallNorm, radius: number) => [
  ...projectOntoBall(row(...values), norm, radius).data,
];

describe("distance", () => {
  const a = row(3, -4, 0, 1);
  const b = row(0, 0, 0, 1);

  it("in every norm, a row at a time", () => {
    expect(distance(a, b, "l2").data[0]).toBe(5);
    expect(distance(a, b, "l1").data[0]).toBe(7);
    expect(distance(a, b, "linf").data[0]).toBe(4);
    expect(distance(a, b, "l0").data[0]).toBe(2);
    const rows = ndArray([1, 0, 0, 2], [2, 1, 2]);
    expect(distance(rows, ndArray(new Float32Array(4), [2, 1, 2]), "l1")).toEqual(ndArray([1, 2]));
  });

  it("sums in float64: a million small differences keep their digits", () => {
    const many = ndArray(new Float32Array(1e6).fill(1e-4), [1, 1e6]);
    const none = ndArray(new Float32Array(1e6), [1, 1e6]);
    expect(distance(many, none, "l1").data[0]).toBeCloseTo(100, 4);
    expect(distance(many, none, "l2").data[0]).toBeCloseTo(0.1, 7);
  });

  it("of NaN is NaN, in every norm that measures", () => {
    for (const norm of ["l1", "l2", "linf"] as const)
      expect(distance(row(Number.NaN, 1), row(0, 0), norm).data[0]).toBeNaN();
  });

  it("refuses arrays of different shape", () => {
    expect(() => distance(a, row(1), "l1")).toThrow('"b" expected shape [1, 4], got [1, 1]');
    expect(() => distance(a, ndArray([1, 2, 3, 4], [2, 2]), "l1")).toThrow(TypeError);
  });
});

describe("projectOntoBall", () => {
  it("l1: the Euclidean projection of (3, 1, -2) onto radius 2 is (1.5, 0, -0.5)", () => {
    expect(project([3, 1, -2], "l1", 2)).toEqual([1.5, 0, -0.5]);
    expect(project([0.5, -0.5], "l1", 2)).toEqual([0.5, -0.5]);
    expect(project([0.5, -0.5], "l1", 1)).toEqual([0.5, -0.5]);
    expect(project([-3, 0], "l1", 1)).toEqual([-1, 0]);
  });

  it("l2 scales, linf clips, l0 keeps the largest", () => {
    expect(project([3, 4], "l2", 1).map((value) => Math.round(value * 1e6) / 1e6)).toEqual([0.6, 0.8]);
    expect(project([0.3, 0.4], "l2", 1)).toEqual([...Float32Array.of(0.3, 0.4)]);
    expect(project([3, -0.5, -4], "linf", 1)).toEqual([1, -0.5, -1]);
    expect(project([1, -5, 3, 2], "l0", 2)).toEqual([0, -5, 3, 0]);
    expect(project([1, -5, 3, 2], "l0", 2.9)).toEqual([0, -5, 3, 0]);
  });

  it("l0 keeps the first ones on a tie, and exactly as many as it may", () => {
    expect(project([2, -2, 2, 3], "l0", 2)).toEqual([2, 0, 0, 3]);
    expect(project([1, 1, 1], "l0", 1)).toEqual([1, 0, 0]);
    expect(project([1, 1, 1], "l0", 0).map(Math.abs)).toEqual([0, 0, 0]);
    expect(project([0, 1, 0], "l0", 1)).toEqual([0, 1, 0]);
  });

  it("onto radius 0 gives zeros", () => {
    for (const norm of ["l0", "l1", "l2", "linf"] as const) {
      expect(project([3, -1, 2], norm, 0).map(Math.abs)).toEqual([0, 0, 0]);
    }
  });

  it("onto a radius that is lost in rounding gives next to nothing", () => {
    for (const norm of ["l1", "l2", "linf"] as const) {
      expect(Math.max(...project([3, -1, 2], norm, 1e-17))).toBeLessThanOrEqual(1e-17);
    }
  });

  it("takes one radius for all rows, or one for each", () => {
    const two = ndArray([3, 0, 3, 0], [2, 2]);
    expect(projectOntoBall(two, "l2", Float32Array.of(1, 2)).data).toEqual(Float32Array.of(1, 0, 2, 0));
    expect(two.data).toEqual(Float32Array.of(3, 0, 3, 0));
  });

  it("refuses a radius that is negative, NaN or one too few", () => {
    for (const radius of [-1, Number.NaN, Float32Array.of(-1)]) {
      expect(() => projectOntoBall(row(1, 2), "l2", radius)).toThrow(RangeError);
    }
    expect(() => projectOntoBall(row(1, 2), "l2", Float32Array.of(1, 2))).toThrow(
      '"radius" expected one number or 1, got 2',
    );
    expect(() => projectOntoBall(row(1, 2), "l2", "1" as never)).toThrow(TypeError);
  });
});

describe("dualStep", () => {
  it("linf: the sign; l2: the direction; l1: the steepest coordinate, the first on a tie", () => {
    expect([...dualStep(row(3, -4, 0), "linf").data]).toEqual([1, -1, 0]);
    expect([...dualStep(row(3, -4, 0), "l2").data]).toEqual([...Float32Array.of(0.6, -0.8, 0)]);
    expect([...dualStep(row(3, -4, 0), "l1").data]).toEqual([0, -1, 0]);
    expect([...dualStep(row(2, -2), "l1").data]).toEqual([1, 0]);
  });

  it("of a zero gradient is zero, never NaN", () => {
    for (const norm of ["l1", "l2", "linf"] as const) expect([...dualStep(row(0, 0), norm).data]).toEqual([0, 0]);
  });

  it("of a gradient with NaN or an infinity is finite, in every norm", () => {
    for (const norm of ["l1", "l2", "linf"] as const) {
      expect([...dualStep(row(Number.NEGATIVE_INFINITY, 2), norm).data].every(Number.isFinite)).toBe(true);
      expect([...dualStep(row(Number.NaN, 2, -1), norm).data].every(Number.isFinite)).toBe(true);
    }
  });

  it("of a tiny or huge gradient has unit length all the same", () => {
    for (const size of [1e-40, 1e-30, 1e30, 3e38]) {
      const step = dualStep(row(size, -size), "l2");
      expect(distance(step, row(0, 0), "l2").data[0]).toBeCloseTo(1, 5);
    }
  });

  // A known mistake elsewhere: an l1 step along g / ||g||_1 and a radial projection stall at (4, 3) / 7, gain 25 / 7.
  it("with the l1 projection climbs (4, 3) to the optimum of the l1 ball: gain 4 at (1, 0)", () => {
    const w = row(4, 3);
    let d = row(0, 0);
    for (let step = 0; step < 40; step++) {
      const { data } = dualStep(w, "l1");
      d = projectOntoBall(row(d.data[0]! + 0.1 * data[0]!, d.data[1]! + 0.1 * data[1]!), "l1", 1);
    }
    expect(d.data[0]! * 4 + d.data[1]! * 3).toBeCloseTo(4, 5);
  });

  it("even gradient steps, projected truly, reach that optimum", () => {
    let d = row(0, 0);
    for (let step = 0; step < 200; step++) d = projectOntoBall(row(d.data[0]! + 0.4, d.data[1]! + 0.3), "l1", 1);
    expect([...d.data]).toEqual([1, 0]);
  });
});

describe("norms", () => {
  it("have names", () => {
    expect(["l1", "l2", "linf"].map(checkNorm)).toEqual(["l1", "l2", "linf"]);
    for (const wrong of ["L2", "l3", 2, undefined, "l0"]) {
      expect(() => checkNorm(wrong)).toThrow(/"norm" expected "l1", "l2" or "linf", got/);
    }
  });

  it("that do not exist are refused wherever a norm is asked for", () => {
    const wrong = "l3" as never;
    expect(() => distance(row(1), row(2), wrong)).toThrow(TypeError);
    expect(() => projectOntoBall(row(1), wrong, 0.5)).toThrow(TypeError);
    expect(() => dualStep(row(1), wrong)).toThrow(TypeError);
    expect(() => sampleInBall([1, 1], wrong, 1, () => createRng(0))).toThrow(TypeError);
  });
});
