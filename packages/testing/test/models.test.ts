import { createRng, crossEntropy, differenceOfLogitsRatio, labelsOf, linear, margin, ndArray } from "@parapet/core";
import { describe, expect, it } from "vitest";
import {
  affineModel,
  assertClose,
  countingModel,
  noisyModel,
  quadraticModel,
  quantisedInput,
  researchWeights,
  scaledLogits,
  softmaxAsLogits,
  throwingModel,
  tinyMlp,
} from "../src/index.ts";

const x = ndArray([0.6, 0.7, 0.2], [1, 3]);

describe("affineModel", () => {
  // Closed forms, computed in float64: see the attacks' analytic vectors, 6.1.
  it("has the logits, loss and gradient that were worked out by hand", async () => {
    const model = affineModel(researchWeights);
    const { logits, value, gradient } = await model.gradient(x, crossEntropy([0]));
    assertClose(logits, [2.3, -0.1, -0.5], { relative: 1e-6 });
    assertClose(value, [0.1410897699], { relative: 1e-6 });
    assertClose(gradient, [-0.2103691494, -0.2765951965, 0.3419577984], { relative: 1e-6 });
  });

  it("is undecided at the nearest point of the border, in l2", async () => {
    const nearest = ndArray([0.6 - 0.3147540984, 0.7 - 0.2360655738, 0.2 + 0.4721311475], [1, 3]);
    const { data } = await affineModel(researchWeights).logits(nearest);
    expect(data[0]! - data[1]!).toBeCloseTo(0, 6);
  });

  it("refuses weights that do not fit", () => {
    expect(() => affineModel({ weights: [[1, 2]] })).toThrow(
      '"weights" expected at least 2 rows of equal length, got [2]',
    );
    expect(() => affineModel({ weights: [[1], [1, 2]] })).toThrow(TypeError);
    expect(() => affineModel({ weights: [[1], [2]], bias: [1] })).toThrow('"bias" expected 2 numbers, got 1');
    expect(() => affineModel({ weights: [[1], [2]], inputShape: [2, 2] })).toThrow('"inputShape" expected 1 features');
  });
});

describe("quadraticModel", () => {
  const centres = [
    [0, 0],
    [1, 2],
  ];

  it("has half the squared distances, negated, as logits, and their gradients", async () => {
    const model = quadraticModel({ centres, bounds: { lower: -5, upper: 5 } });
    const at = ndArray([3, -1], [1, 2]);
    assertClose(await model.logits(at), [-5, -6.5]);
    const { gradient } = await model.gradient(at, linear(ndArray([0, 1], [1, 2])));
    assertClose(gradient, [-2, 3]);
  });

  it("refuses centres that do not fit", () => {
    expect(() => quadraticModel({ centres: [[1]] })).toThrow(TypeError);
    expect(() => quadraticModel({ centres, inputShape: [3] })).toThrow('"inputShape" expected 2 features, got [3]');
  });
});

describe("tinyMlp", () => {
  const make = (seed: number) => tinyMlp({ inputShape: [3], hidden: 4, numClasses: 2, rng: createRng(seed) });

  it("depends on its seed and on nothing else", async () => {
    const logits = await make(1).logits(x);
    assertClose(await make(1).logits(x), logits);
    expect((await make(2).logits(x)).data).not.toEqual(logits.data);
  });

  it("takes plain gradient steps without momentum: w - rate * gradient", async () => {
    const model = tinyMlp({
      inputShape: [3],
      hidden: 4,
      numClasses: 2,
      rng: createRng(1),
      momentum: 0,
      learningRate: 0.5,
    });
    const before = (await model.snapshot()).weights.get("W2")!;
    const { gradients } = await model.parameterGradients(x, crossEntropy([0]));
    const gradient = gradients.get("W2")!.data;
    await model.step(x, crossEntropy([0]));
    const expected = before.data.map((w, i) => w - 0.5 * gradient[i]!);
    assertClose((await model.snapshot()).weights.get("W2")!.data, expected, { absolute: 1e-7 });
  });

  it("refuses a snapshot of another model", async () => {
    const other = tinyMlp({ inputShape: [3], hidden: 5, numClasses: 2, rng: createRng(1) });
    const snapshot = await other.snapshot();
    await expect(make(1).restore(snapshot)).rejects.toThrow('"snapshot: W1" expected shape [4,3], got [5, 3]');
    const strange = { weights: new Map([["W9", ndArray([1])]]), buffers: new Map() };
    await expect(make(1).restore(strange)).rejects.toThrow('"snapshot: W9" expected a weight of that name, got [1]');
  });
});

describe("masked models", () => {
  const affine = () => affineModel(researchWeights);

  it("scaledLogits: cross-entropy is silent, scale-free losses are not", async () => {
    const model = scaledLogits(affine());
    expect((await model.gradient(x, crossEntropy([0]))).gradient.data.every((g) => Math.abs(g) === 0)).toBe(true);
    expect((await model.gradient(x, margin([0]))).gradient.data.some((g) => Math.abs(g) > 1)).toBe(true);
    expect((await model.gradient(x, differenceOfLogitsRatio([0]))).gradient.data.some((g) => g !== 0)).toBe(true);
  });

  it("all answer as the model inside does", async () => {
    const { data } = await affine().labels(x);
    for (const masked of [scaledLogits(affine()), softmaxAsLogits(affine()), quantisedInput(affine(), 8)]) {
      expect((await masked.labels(x)).data).toEqual(data);
      expect(labelsOf(await masked.logits(x)).data).toEqual(data);
    }
  });

  it("softmaxAsLogits: rows are probabilities", async () => {
    const { data } = await softmaxAsLogits(affine()).logits(x);
    assertClose(data, [0.868411351, 0.0787805004, 0.0528081486], { relative: 1e-6 });
  });

  it("quantisedInput: gradients are zero, through pullbacks too; small steps change nothing", async () => {
    const model = quantisedInput(affine(), 8);
    expect((await model.gradient(x, margin([0]))).gradient.data).toEqual(new Float32Array(3));
    const pass = await model.linearize(x);
    expect((await pass.pullback(ndArray([1, 2, 3], [1, 3]))).data).toEqual(new Float32Array(3));
    const near = ndArray([0.61, 0.7, 0.2], [1, 3]);
    assertClose(await model.logits(near), await model.logits(x));
  });

  it("noisyModel: the mean over keys is the answer without noise, as far as 2,000 draws tell", async () => {
    const n = 2000;
    const many = ndArray(
      Float32Array.from({ length: 3 * n }, (_, i) => x.data[i % 3]!),
      [n, 3],
    );
    const keys = Uint32Array.from({ length: n }, (_, i) => i);
    const { data } = await noisyModel(affine(), 0.1).logits(many, { keys });
    const mean = data.filter((_, i) => i % 3 === 0).reduce((sum, z) => sum + z / n, 0);
    // The logit's standard deviation is 0.1 * |(1, 2, -1)| = 0.245; 4 standard errors: false alarm 6e-5 over seeds.
    expect(Math.abs(mean - 2.3)).toBeLessThan((4 * 0.245) / Math.sqrt(n));
  });
});

describe("countingModel and throwingModel", () => {
  it("counts rows, not calls; a linearization is a query, each pullback a gradient", async () => {
    const { model, counts } = countingModel(affineModel(researchWeights));
    const two = ndArray([0, 0, 0, 1, 1, 1], [2, 3]);
    await model.labels(two);
    const pass = await model.linearize(two);
    await pass.pullback(ndArray([1, 0, 0, 1, 0, 0], [2, 3]));
    await pass.pullback(ndArray([1, 0, 0, 1, 0, 0], [2, 3]));
    expect(counts()).toEqual({ queries: 4, gradients: 4 });
  });

  it("works as often as it is told to, then fails with the error given", async () => {
    const error = new Error("enough");
    const model = throwingModel(affineModel(researchWeights), error, 1);
    await model.logits(x);
    await expect(model.gradient(x, crossEntropy([0]))).rejects.toBe(error);
  });
});
