import { adversarialPatch, applyPatch } from "@parapet/attacks";
import { createRng, type NdArray, ndArray, targeted, untargeted } from "@parapet/core";
import { affineModel, assertClose, assertSameBytes, attackLaws, countingModel, tinyMlp } from "@parapet/testing";
import { describe, expect, it } from "vitest";

const rng = createRng(0);
const black = (n: number, shape: readonly number[]): NdArray => {
  const size = shape.reduce((product, length) => product * length, 1);
  return ndArray(new Float32Array(n * size), [n, ...shape]);
};

// A patch has no radius, and its result depends on the other examples, by nature. The masks' laws mask every other pixel.
const notOurs = /ball|epsilon|border|size of the batch|given twice|others that stop early|holds for every example/;
describe("laws", () => {
  const model = () => tinyMlp({ inputShape: [4, 5], hidden: 8, numClasses: 3, rng: createRng("images") });
  // The laws look at several radii to see both success and failure.
  const make = (epsilon: number) =>
    adversarialPatch({ size: Math.max(1, Math.min(4, Math.round(7 * epsilon))), steps: 8, minibatch: 3, batchSize: 5 });
  for (const law of attackLaws(make, { norm: "l0", epsilon: 0.3, model })) {
    if (!notOurs.test(law.name)) it(law.name, () => law.run());
  }
});

describe("adversarialPatch", () => {
  it("on a linear model, is white where the weights under it are positive, wherever it lies", async () => {
    // Every pixel of channel 0 pulls up and of channel 1 down: so does the patch, at any place and angle.
    const size = 6 * 6;
    const w = Array.from({ length: 2 * size }, (_, j) => (j < size ? 1 : -1));
    const model = affineModel({ weights: [w.map(() => 0), w], bias: [100, 0], inputShape: [2, 6, 6] });
    const x = { ...black(4, [2, 6, 6]), data: new Float32Array(4 * 2 * size).fill(0.5) };
    const attack = adversarialPatch({ size: { height: 2, width: 3 }, layout: "channels-first", steps: 20 });
    const { patch, distance, adversarial } = await attack(model, x, targeted([1, 1, 1, 1]), { rng });
    expect(patch.shape).toEqual([2, 2, 3]);
    assertClose(patch, [...new Array(6).fill(1), ...new Array(6).fill(0)]);
    // Turned by less than 22.5 degrees, six pixels cover some four to eight, in two channels.
    for (const count of distance.data) expect(count >= 8 && count <= 16).toBe(true);
    const places = [0, 1, 2, 3].map((i) => adversarial.data.subarray(i * 2 * size, (i + 1) * 2 * size).join());
    expect(new Set(places).size).toBe(1); // equal images have equal draws
  });

  it("at a fixed place, learns each pixel's own sign", async () => {
    const draw = createRng("weights");
    const w = Array.from({ length: 16 }, () => draw.normal());
    const model = affineModel({ weights: [w.map(() => 0), w], bias: [100, 0], inputShape: [4, 4, 1] });
    const attack = adversarialPatch({ size: 2, placement: { row: 1, column: 2 }, rotation: 0 });
    const { patch, adversarial } = await attack(model, black(1, [4, 4, 1]), targeted([1]), { rng });
    const under = [6, 7, 10, 11];
    expect(patch.shape).toEqual([2, 2, 1]);
    expect([...patch.data]).toEqual(under.map((j) => Number(w[j]! > 0)));
    expect([...adversarial.data]).toEqual(w.map((value, j) => Number(under.includes(j) && value > 0)));
  });

  it("works on images that it was not fitted to, where a random patch does not", async () => {
    const model = tinyMlp({ inputShape: [8, 8], hidden: 16, numClasses: 3, rng: createRng("patched") });
    const draw = createRng("photographs");
    const images = () =>
      ndArray(
        Float32Array.from({ length: 60 * 64 }, () => 0.5 + 0.2 * draw.normal()).map((v) => Math.max(0, Math.min(1, v))),
        [60, 8, 8],
      );
    const [train, test] = [images(), images()];
    const wanted = new Int32Array(60).fill(2);
    const placement = { placement: { row: 2, column: 2 }, rotation: 10 } as const;
    const attack = adversarialPatch({ size: 4, ...placement, steps: 60 });
    const { patch } = await attack(model, train, targeted(wanted), { rng });
    const hits = async (sticker: NdArray) =>
      (await model.labels(applyPatch(model, test, sticker, { ...placement, rng }))).data.filter((label) => label === 2)
        .length;
    const noise = ndArray(
      Float32Array.from({ length: 16 }, () => draw.next()),
      [4, 4],
    );
    const [fitted, random] = [await hits(patch), await hits(noise)];
    expect(fitted).toBeGreaterThan(random + 40); // 60 and 0
  });

  it("counts what each example had a part in, and finds what is wrong already", async () => {
    const counting = countingModel(
      affineModel({
        weights: [
          [0, 0, 0, 0],
          [1, 1, 1, 1],
        ],
        bias: [9, 0],
        inputShape: [2, 2],
      }),
    );
    const attack = adversarialPatch({ size: 1, steps: 4, minibatch: 2 });
    const { queries, gradients, success, distance } = await attack(
      counting.model,
      black(3, [2, 2]),
      untargeted([0, 0, 1]),
      {
        rng,
      },
    );
    expect([...gradients.data]).toEqual([2, 2, 2]);
    expect([...queries.data]).toEqual([4, 4, 3]);
    expect([...success.data]).toEqual([0, 0, 1]);
    expect(counting.counts()).toEqual({ queries: 11, gradients: 6 });
    expect(distance.data[2]).toBeLessThanOrEqual(1);
  });

  it.each([
    [{ size: 0 }, '"size" expected a whole number >= 1, got 0'],
    [{ size: {} as { height: number; width: number } }, '"size" expected a whole number >= 1, got undefined'],
    [{ size: 1, rotation: 200 }, '"rotation" expected a number >= 0 and <= 180, got 200'],
    [{ size: 1, shape: "star" as "circle" }, '"shape" expected "square" or "circle", got "star"'],
    [{ size: 1, placement: { row: -1, column: 0 } }, '"placement.row" expected a whole number >= 0, got -1'],
  ])("%o is refused", (options, message) => {
    expect(() => adversarialPatch(options)).toThrow(message);
  });

  it("refuses a patch that does not fit", async () => {
    const model = affineModel({
      weights: [
        [0, 0, 0, 0],
        [1, 1, 1, 1],
      ],
      inputShape: [2, 2],
    });
    const run = (options: Parameters<typeof adversarialPatch>[0]) =>
      adversarialPatch(options)(model, black(1, [2, 2]), untargeted([0]), { rng });
    await expect(run({ size: 3 })).rejects.toThrow('"size" expected at most 2 x 2 pixels, got [3, 3]');
    await expect(run({ size: 2, placement: { row: 1, column: 0 } })).rejects.toThrow('"size" expected at most 1 x 2');
  });
});

describe("applyPatch", () => {
  const model = { inputShape: [5, 5], bounds: { lower: 0, upper: 1 } };
  const patch = ndArray([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], [3, 3]);
  const at = (options: Partial<Parameters<typeof applyPatch>[3]>) => [
    ...applyPatch(model, black(1, [5, 5]), patch, { placement: { row: 1, column: 1 }, rotation: 0, rng, ...options })
      .data,
  ];

  it("puts every pixel in its place", () => {
    const middle = [6, 7, 8, 11, 12, 13, 16, 17, 18];
    expect(at({})).toEqual(
      Array.from({ length: 25 }, (_, j) => (middle.includes(j) ? patch.data[middle.indexOf(j)] : 0)),
    );
  });

  it("a circle leaves the corners free, and a turn keeps the middle", () => {
    const five = ndArray(new Float32Array(25).fill(1), [5, 5]);
    const round = applyPatch(model, black(1, [5, 5]), five, { shape: "circle", rng }).data;
    // The corner's middle lies at 2.83 from the middle, the radius is 2.5.
    expect(Array.from(round.keys()).filter((j) => round[j] === 0)).toEqual([0, 4, 20, 24]);
    expect(at({ rotation: 180 })[12]).toBeCloseTo(0.5);
  });

  it("goes everywhere where it may, by the image and the seed, not the batch", () => {
    const draw = createRng("images");
    const x = ndArray(
      Float32Array.from({ length: 200 * 25 }, () => draw.next() / 100),
      [200, 5, 5],
    );
    const small = ndArray([1], [1, 1]);
    const stuck = applyPatch(model, x, small, { rng });
    const places = Array.from({ length: 200 }, (_, i) => stuck.data.subarray(i * 25, (i + 1) * 25).indexOf(1));
    expect(new Set(places).size).toBe(25); // 200 draws miss one of 25 places with chance 0.7 %; the seed is fixed
    const alone = applyPatch(model, ndArray(x.data.slice(25, 50), [1, 5, 5]), small, { rng });
    assertSameBytes(alone.data, stuck.data.slice(25, 50));
  });

  it("refuses a patch of other channels", () => {
    expect(() => applyPatch(model, black(1, [5, 5]), ndArray([1], [1, 1, 1]), { rng })).toThrow(
      '"patch" expected an image like [5, 5], got [1, 1, 1]',
    );
  });
});
