import { type SpatialOptions, spatial } from "@parapet/attacks";
import { createRng, type Labeler, type NdArray, ndArray, targeted, untargeted } from "@parapet/core";
import { affineModel, assertClose, attackLaws, tinyMlp } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { about, imageGeometry, similarity, warp } from "../src/shared/image.ts";

const rng = createRng(0);

describe("pixels where they should be", () => {
  const draw = createRng("pixels");
  const moved = (
    image: NdArray,
    pose: Parameters<typeof similarity>[1],
    layout?: "channels-first" | "channels-last",
  ) => {
    const geometry = imageGeometry(image.shape, layout);
    const data = new Float32Array(image.data.length);
    warp(image.data, data, geometry, similarity(geometry, pose), () => 0);
    return data;
  };
  const square = ndArray([1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 3]);

  it("a quarter turn counter-clockwise is exact, and four of them are none", () => {
    expect([...moved(square, { degrees: 90 })]).toEqual([3, 6, 9, 2, 5, 8, 1, 4, 7]);
    expect([...moved(square, { degrees: -90 })]).toEqual([7, 4, 1, 8, 5, 2, 9, 6, 3]);
    const image = ndArray(
      Float32Array.from({ length: 28 * 28 }, () => draw.next()),
      [28, 28],
    );
    let turned = image;
    for (let i = 0; i < 4; i++) turned = { ...image, data: moved(turned, { degrees: 90 }) };
    expect(turned.data).toEqual(image.data);
    expect(moved(image, { degrees: 180 })).toEqual(image.data.slice().reverse());
    expect(moved(image, { degrees: 360 })).toEqual(image.data);
    expect(moved(image, {})).toEqual(image.data);
  });

  it("a move by whole pixels is exact, by half a pixel the mean of two", () => {
    expect([...moved(square, { down: 1 })]).toEqual([0, 0, 0, 1, 2, 3, 4, 5, 6]);
    expect([...moved(square, { right: -1 })]).toEqual([2, 3, 0, 5, 6, 0, 8, 9, 0]);
    expect([...moved(square, { right: 0.5 })]).toEqual([0.5, 1.5, 2.5, 2, 4.5, 5.5, 3.5, 7.5, 8.5]);
    expect([...moved(square, { down: 5 })]).toEqual(new Array(9).fill(0));
  });

  it("moves after it turns", () => {
    expect([...moved(square, { degrees: 90, down: 1 })]).toEqual([0, 0, 0, 3, 6, 9, 2, 5, 8]);
  });

  it("an inverse rotation returns, to the interpolation's error, away from the border", () => {
    const [size, middle] = [28, 13.5];
    const blob = (row: number, column: number) =>
      Math.exp(-((row - middle - 2) ** 2 + (column - middle + 3) ** 2) / 20);
    const image = ndArray(
      Float32Array.from({ length: size * size }, (_, i) => blob(Math.floor(i / size), i % size)),
      [size, size],
    );
    for (const degrees of [10, 30, 77]) {
      const there = { ...image, data: moved(image, { degrees }) };
      // It did turn: the blob is where the angle says.
      const [s, c] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
      const peak = there.data.indexOf(Math.max(...there.data));
      // (down 2, left 3) from the middle, counter-clockwise; right = -3 c + 2 s, down = 3 s + 2 c.
      expect(Math.abs(Math.floor(peak / size) - (middle + 3 * s + 2 * c))).toBeLessThan(1);
      expect(Math.abs((peak % size) - (middle - 3 * c + 2 * s))).toBeLessThan(1);
      // Bilinear interpolation errs by at most h^2 / 8 times the second derivatives: 2 (1 / 10) / 8, twice.
      assertClose(moved(there, { degrees: -degrees }), image, { absolute: 0.05 });
    }
  });

  it("channels first and channels last are the same picture", () => {
    const [h, w, channels] = [4, 5, 3];
    const first = Float32Array.from({ length: h * w * channels }, () => draw.next());
    const last = Float32Array.from(first, (_, i) => first[(i % channels) * h * w + Math.floor(i / channels)]!);
    const pose = { degrees: 25, down: 0.7, right: -1.2 };
    const a = moved(ndArray(first, [channels, h, w]), pose, "channels-first");
    const b = moved(ndArray(last, [h, w, channels]), pose);
    b.forEach((value, i) => {
      expect(value).toBe(a[(i % channels) * h * w + Math.floor(i / channels)]);
    });
  });

  it("a shear keeps the middle row, a zoom of 2 the middle", () => {
    const geometry = imageGeometry([3, 3]);
    const target = new Float32Array(9);
    warp(square.data, target, geometry, about(geometry, [1, 0, 1, 1]), () => 0);
    expect([...target]).toEqual([0, 1, 2, 4, 5, 6, 8, 9, 0]);
    expect(moved(square, { zoom: 2 })[4]).toBe(5);
    expect(moved(square, { zoom: 2 })[1]).toBe(3.5);
  });

  it("guesses the layout where it can", () => {
    expect(imageGeometry([28, 28, 1]).rowStride).toBe(28);
    expect(imageGeometry([3, 32, 32])).toMatchObject({ channels: 3, height: 32 });
    expect(() => imageGeometry([8, 8, 8])).toThrow('"layout" expected one for images of shape [8,8,8], got undefined');
    expect(() => imageGeometry([8])).toThrow('"inputShape" expected [height, width]');
    expect(() => imageGeometry([8, 8], "first" as never)).toThrow('"layout" expected "channels-first"');
  });
});

// What is not a ball's: its radius is no distance. The Labeler of "never answers a number" still answers classes.
const notOurs = /ball|epsilon|border|never answers a number/;
const laws: Record<string, [SpatialOptions, boolean]> = {
  grid: [{ rotation: 60, translation: 1, grid: { rotations: 5, translations: 3 } }, false],
  "random, batches of 3": [{ rotation: 60, translation: 1, random: 12, batchSize: 3 }, true],
};
for (const [name, [options, random]] of Object.entries(laws)) {
  describe(name, () => {
    const model = () => tinyMlp({ inputShape: [4, 5], hidden: 8, numClasses: 3, rng: createRng("images") });
    // The laws look at several radii to see both success and failure.
    const make = (epsilon: number) =>
      spatial({ ...options, rotation: Math.min(180, 200 * epsilon), translation: 3 * epsilon });
    for (const law of attackLaws(make, { norm: "l2", epsilon: 0.3, random, model })) {
      if (!notOurs.test(law.name)) it(law.name, () => law.run());
    }
  });
}

describe("spatial", () => {
  // Class 1 where the top row is brighter than the bottom row.
  const weights = [new Array(9).fill(0), [1, 1, 1, 0, 0, 0, -1, -1, -1]];
  const model = affineModel({ weights, inputShape: [3, 3] });
  const top = ndArray([1, 1, 1, 0, 0, 0, 0, 0, 0], [1, 3, 3]);

  it("finds the smallest pose of the grid that works", async () => {
    const attack = spatial({ rotation: 180, translation: 0, grid: { rotations: 9, translations: 1 } });
    const { success, adversarial, distance, queries } = await attack(model, top, untargeted([1]), { rng });
    expect(success.data[0]).toBe(1);
    // At 45 degrees the top is still brighter, at 90 both are equally bright, which is class 0: the first one on a tie.
    expect([...adversarial.data]).toEqual([0, 0, 1, 0, 0, 1, 0, 0, 1]);
    expect(distance.data[0]).toBe(2);
    // The image, 0, two of 45 degrees, and the first or second of 90.
    expect(queries.data[0]).toBeLessThanOrEqual(6);
  });

  it("asks once about what is wrong already, and gives back what resists", async () => {
    const attack = spatial({ rotation: 10, translation: 0, grid: { rotations: 3, translations: 1 } });
    const two = ndArray([...top.data, ...top.data], [2, 3, 3]);
    const { success, adversarial, distance, queries } = await attack(model, two, untargeted([0, 1]), { rng });
    expect([...success.data, ...distance.data, ...queries.data]).toEqual([1, 0, 0, 0, 1, 4]);
    expect(adversarial.data).toEqual(two.data);
  });

  it("needs no more than a class, and reaches targets", async () => {
    const blackBox: Labeler = { inputShape: [3, 3], numClasses: 2, bounds: model.bounds, labels: model.labels };
    const attack = spatial({ rotation: 180, random: 200 });
    const bottom = ndArray([0, 0, 0, 0, 0, 0, 1, 1, 1], [1, 3, 3]);
    expect((await attack(blackBox, bottom, targeted([1]), { rng })).success.data[0]).toBe(1);
  });

  it.each([
    [{ rotation: -1 }, '"rotation" expected a number >= 0 and <= 180, got -1'],
    [{ translation: Number.NaN }, '"translation" expected a number >= 0, got NaN'],
    [{ random: 0 }, '"random" expected a whole number >= 1, got 0'],
    [{ random: 3, grid: { rotations: 3, translations: 3 } }, '"grid" expected none where random is given'],
    [{ grid: { rotations: 0, translations: 3 } }, '"grid.rotations" expected a whole number >= 1, got 0'],
  ])("%o is refused", (options, message) => {
    expect(() => spatial(options)).toThrow(message);
  });
});
