import { boundary, geoda, hopSkipJump, nes, onePixel, pointwise, signOpt, simba, spsa, zoo } from "@parapet/attacks";
import { type Classifier, createRng, type Labeler, type NdArray, ndArray, targeted, untargeted } from "@parapet/core";
import { affineModel, noisyModel, researchWeights } from "@parapet/testing";
import { describe, expect, it } from "vitest";

const byLabels = { boundary, geoda, hopSkipJump, pointwise, signOpt };
const byScores = {
  nes: (options: object) => nes({ epsilon: 0.3, ...options }),
  onePixel,
  simba,
  spsa: (options: object) => spsa({ epsilon: 0.3, ...options }),
  zoo,
};
const every = Object.entries({ ...byLabels, ...byScores });
const white = affineModel(researchWeights);
const rng = createRng(0);

/** A model of its least power, and the rows of every call. */
function watched(model: Classifier = white): { model: Classifier; calls: number[] } {
  const calls: number[] = [];
  const { inputShape, numClasses, bounds } = model;
  const seen = <T>(x: NdArray, answer: T): T => {
    calls.push(x.shape[0]!);
    return answer;
  };
  return {
    calls,
    model: {
      inputShape,
      numClasses,
      bounds,
      labels: (x, options) => seen(x, model.labels(x, options)),
      logits: (x, options) => seen(x, model.logits(x, options)),
    },
  };
}

const x = ndArray(
  Float32Array.from({ length: 30 }, (_, i) => [0.6, 0.7, 0.2][i % 3]! + 0.01 * Math.floor(i / 3)),
  [10, 3],
);
const goal = untargeted(new Int32Array(10));

describe.each(every)("%s", (name, make) => {
  it.each([1, 2, 7, 100])("never asks more than %i queries, and tells them", async (queries) => {
    const { model, calls } = watched();
    const result = await make({ queries })(model, x, goal, { rng });
    expect(Math.max(...result.queries.data)).toBeLessThanOrEqual(queries);
    expect(calls.reduce((sum, rows) => sum + rows, 0)).toBe(result.queries.data.reduce((sum, one) => sum + one, 0));
  });

  it("puts the points of several examples into one call, of batchSize rows at most, with the same result", async () => {
    const small = watched();
    const large = watched();
    const one = await make({ queries: 300, batchSize: 7 })(small.model, x, goal, { rng });
    const other = await make({ queries: 300, batchSize: 64 })(large.model, x, goal, { rng });
    expect(Math.max(...small.calls)).toBe(7);
    expect(Math.max(...large.calls)).toBeLessThanOrEqual(64);
    expect(one.adversarial.data).toEqual(other.adversarial.data);
    expect(one.queries.data).toEqual(other.queries.data);
    // Ten examples side by side: no more calls than the longest of them needs, but for those that fill up.
    const rows = large.calls.reduce((sum, count) => sum + count, 0);
    expect(rows / large.calls.length).toBeGreaterThan(name === "onePixel" ? 30 : 2.5);
  });

  it("judges success by the example's own key where the model is random", async () => {
    const noisy = noisyModel(white, 2);
    const { adversarial, success } = await make({ queries: 200 })(noisy, x, goal, {
      rng,
      keys: Uint32Array.from({ length: 10 }, (_, i) => i),
    });
    const fresh = goal.isReached(
      await noisy.labels(adversarial, { keys: Uint32Array.from({ length: 10 }, (_, i) => i) }),
    );
    expect(success.data).toEqual(fresh.data);
  });
});

describe("a start that fails is that example's failure only", () => {
  // Class 1 wins only in the corner where all four features are below 0.02; the second example lies next to it.
  const lower = 0.02;
  const labels: Labeler["labels"] = async (points) => {
    const n = points.shape[0]!;
    const data = Int32Array.from({ length: n }, (_, i) =>
      Number(points.data.subarray(4 * i, 4 * i + 4).every((value) => value > 0 && value < lower)),
    );
    return { dtype: "int32", shape: [n], data };
  };
  const corner: Labeler = { inputShape: [4], numClasses: 2, bounds: { lower: 0, upper: 1 }, labels };
  const inputs = ndArray([0.9, 0.9, 0.9, 0.9, 0.01, 0.01, 0.01, 0.01, 0.8, 0.9, 0.8, 0.9], [3, 4]);
  const wanted = [1, 0, 1];

  it.each(Object.entries(byLabels))("%s", async (_, make) => {
    const result = await make({ queries: 400 })(corner, inputs, targeted(wanted), { rng });
    expect([...result.success.data]).toEqual([0, 1, 0]);
    expect(result.adversarial.data.slice(0, 4)).toEqual(inputs.data.slice(0, 4));
    expect(result.distance.data[0]).toBe(0);
    expect(result.queries.data[0]).toBe(201);
  });

  it.each(Object.entries(byLabels))("%s: with known examples of the wanted class it succeeds", async (_, make) => {
    const starts = ndArray([0.5, 0.5, 0.5, 0.5, 0.015, 0.01, 0.01, 0.01], [2, 4]);
    const result = await make({ queries: 400, starts })(corner, inputs, targeted(wanted), { rng });
    expect([...result.success.data]).toEqual([1, 1, 1]);
  });

  it("starts of another shape are refused", async () => {
    const attack = boundary({ starts: ndArray([0.1, 0.2, 0.3], [1, 3]) });
    await expect(attack(corner, inputs, targeted(wanted), { rng })).rejects.toThrow(
      '"starts" expected float32 of shape [m, 4], got [1, 3]',
    );
  });
});

it("features without bounds are moved, too", async () => {
  const wide = { lower: Number.NEGATIVE_INFINITY, upper: Number.POSITIVE_INFINITY };
  const model = affineModel({ ...researchWeights, bounds: wide });
  for (const [name, make] of every) {
    const { success } = await make({ queries: 2000, epsilon: 3, pixels: 2 })(
      model,
      ndArray([0.6, 0.7, 0.2], [1, 3]),
      untargeted([0]),
      { rng },
    );
    expect([name, success.data[0]]).toEqual([name, 1]);
  }
});
