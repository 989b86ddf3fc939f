import { createRng, type DifferentiableClassifier, margin, ndArray, targeted, untargeted } from "@parapet/core";
import { affineModel, assertClose, attackLaws, quantisedInput, researchWeights, tinyMlp } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { imageGrid, windowPatterns } from "../src/shared/square-windows.ts";
import { type SquareOptions, square, squareShare } from "../src/square.ts";
import reference from "./vectors/autoattack.json" with { type: "json" };

for (const norm of ["linf", "l2", "l1"] as const) {
  describe(`square obeys the laws: ${norm}`, () => {
    const options = { norm, queries: 30, restarts: norm === "l2" ? 2 : 1, batchSize: norm === "l1" ? 3 : 128 };
    const make = (epsilon: number) => square({ ...options, epsilon });
    for (const law of attackLaws(make, { norm, epsilon: 0.3 })) it(law.name, () => law.run());
  });
}

const rng = createRng(0);
const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
const research = affineModel({ ...researchWeights, bounds: { lower: -2, upper: 3 } });

describe("square on the linear classifier", () => {
  // In linf the best point is a corner of the ball, which the search meets; elsewhere it only comes near: in l2 by a start
  // with the right three signs, which 40 starts miss with a chance of (7/8)^40 < 0.005. The seed is fixed.
  it.each([
    ["linf", 0.3692307692, 1.001],
    ["l2", 0.6145770237, 1.1],
    ["l1", 0.8, 1.1],
  ] as const)("%s: nothing before the border at %f, a success at %f times it", async (norm, border, far) => {
    const run = async (factor: number) =>
      (
        await square({ norm, epsilon: factor * border, queries: 20, restarts: 40 })(research, x, untargeted([0]), {
          rng,
        })
      ).success.data[0];
    expect([await run(0.999), await run(far)]).toEqual([0, 1]);
  });

  it("a targeted goal is that class", async () => {
    const attack = square({ epsilon: 0.8, queries: 400 });
    const { adversarial, success } = await attack(research, x, targeted([2]), { rng });
    expect([success.data[0], (await research.labels(adversarial)).data[0]]).toEqual([1, 2]);
  });

  it("costs what it says: a first look, the start, the queries, a look at the best; no gradients", async () => {
    const attack = square({ epsilon: 0.1, queries: 50, restarts: 2 });
    const { queries, gradients } = await attack(research, x, untargeted([0]), { rng });
    expect([queries.data[0], gradients.data[0]]).toEqual([1 + 2 * 52, 0]);
  });

  it("breaks a model that hides its gradients", async () => {
    const hidden = quantisedInput(affineModel(researchWeights));
    const { gradient } = await hidden.gradient(x, margin([0]));
    expect([...gradient.data]).toEqual([0, 0, 0]);
    const { success } = await square({ epsilon: 0.8, queries: 100 })(hidden, x, untargeted([0]), { rng });
    expect(success.data[0]).toBe(1);
  });
});

describe("square's windows", () => {
  /** Which features one call changes, as the model sees them; the answer never gets better, so the start stays. */
  async function changes(inputShape: number[], options: Partial<SquareOptions>): Promise<Set<number>[]> {
    const width = inputShape.reduce((a, b) => a * b);
    const seen: Float32Array[] = [];
    const model: DifferentiableClassifier = {
      ...affineModel({ weights: [new Array(width).fill(0), new Array(width).fill(0)], inputShape }),
      logits: async (points) => {
        seen.push(points.data.slice());
        return ndArray([2, 1], [1, 2]);
      },
    };
    const middle = ndArray(new Float32Array(width).fill(0.5), [1, ...inputShape]);
    await square({ epsilon: 0.1, queries: 300, ...options })(model, middle, untargeted([0]), { rng });
    const start = seen[1]!;
    return seen.slice(2, -1).map((points) => new Set([...start].flatMap((v, j) => (v === points[j] ? [] : [j]))));
  }

  it("lie inside the image, reach its last row and column, and always change something", async () => {
    const windows = await changes([10, 10, 1], { p: 0.09, rescale: false });
    const touched = new Set(windows.flatMap((window) => [...window]));
    // 300 windows of side 3, 2, 1: that one of 100 pixels is never touched happens in less than 1 of 100 seeds; the seed
    // is fixed. Were the last place left out as in the authors' code, row and column 9 would be out of reach.
    for (let i = 0; i < 10; i++) expect([touched.has(90 + i), touched.has(10 * i + 9)]).toContain(true);
    expect([...touched].some((j) => j >= 90)).toBe(true);
    expect(windows.every((window) => window.size > 0)).toBe(true);
    for (const window of windows) {
      const rows = [...window].map((j) => Math.floor(j / 10));
      const columns = [...window].map((j) => j % 10);
      expect(Math.max(...rows) - Math.min(...rows)).toBeLessThan(3);
      expect(Math.max(...columns) - Math.min(...columns)).toBeLessThan(3);
    }
  });

  it("have their channels where the layout says", async () => {
    // Queries 11 and on: p = 0.02, one pixel of 25. Its three channels lie side by side, or a plane apart.
    const last = (await changes([5, 5, 3], { p: 0.04, rescale: false })).slice(10, 40);
    expect(last.every((window) => new Set([...window].map((j) => Math.floor(j / 3))).size === 1)).toBe(true);
    for (const layout of [undefined, "channels-first"] as const) {
      const first = (await changes([3, 5, 5], { p: 0.04, rescale: false, ...(layout && { layout }) })).slice(10, 40);
      expect(first.every((window) => new Set([...window].map((j) => j % 25)).size === 1)).toBe(true);
    }
  });

  it("halve where the paper's numbers say, squeezed into fewer queries unless told otherwise", () => {
    for (const [query, share] of reference.pieces.shares) expect(squareShare(0.8, query!)).toBeCloseTo(share!, 6);
  });

  it("hold the reference's bumps", () => {
    for (const [name, bump] of Object.entries(reference.pieces.bumps)) {
      const [norm, side] = name.split(" ");
      const ours = windowPatterns(norm === "l2" ? 2 : 1)(Number(side), Number(side), false);
      assertClose(ours, bump.flat(), { absolute: 1e-6 });
    }
  });

  it("are odd in l2, and never larger than the image", () => {
    const grid = imageGrid([28, 28, 1], undefined);
    expect(grid.window(0.8, 1, false)).toEqual({ high: 25, wide: 25 });
    expect(grid.window(0.4, 3, true)).toEqual({ high: 19, wide: 19 });
    expect(imageGrid([4, 30], undefined).window(0.8, 1, false)).toEqual({ high: 4, wide: 4 });
    expect(imageGrid([40], undefined).window(0.5, 1, false)).toEqual({ high: 1, wide: 20 });
  });

  // In the authors' code the first grid of l2 and l1 does not fit into images of 14 x 14, or of fewer than 5 rows.
  it.each([[14, 14], [3, 3], [2, 9, 9], [7]])("any image will do: %i %i %i", async (...inputShape) => {
    const model = tinyMlp({ inputShape, hidden: 4, numClasses: 3, rng: createRng(1) });
    const width = inputShape.reduce((a, b) => a * b);
    const image = ndArray(new Float32Array(width).fill(0.5), [1, ...inputShape]);
    for (const norm of ["linf", "l2", "l1"] as const) {
      const { adversarial, distance } = await square({ norm, epsilon: 0.5, queries: 20 })(
        model,
        image,
        untargeted([0]),
        { rng },
      );
      expect(adversarial.data.every(Number.isFinite)).toBe(true);
      expect(distance.data[0]).toBeLessThan(0.5001);
    }
  });
});

describe("square refuses options that make no sense", () => {
  it.each([
    [{ epsilon: -1 }, '"epsilon" expected a number >= 0, got -1'],
    [{ epsilon: 1, queries: 0 }, '"queries" expected a whole number >= 1, got 0'],
    [{ epsilon: 1, p: 0 }, '"p" expected a number > 0 and <= 1, got 0'],
    [{ epsilon: 1, p: 1.5 }, '"p" expected a number > 0 and <= 1, got 1.5'],
    [{ epsilon: 1, layout: "nhwc" }, '"layout" expected "channels-first" or "channels-last", got "nhwc"'],
  ])("%o", (options, message) => {
    expect(() => square(options as SquareOptions)).toThrow(message);
  });
});
