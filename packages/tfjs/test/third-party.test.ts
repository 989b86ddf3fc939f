import { pgd } from "@parapet/attacks";
import {
  createRng,
  type DifferentiableClassifier,
  distance,
  linear,
  type NdArray,
  ndArray,
  targeted,
  untargeted,
} from "@parapet/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromGraphModel, fromLayersModel } from "../src/index.ts";
import { settings, tf, use } from "./helpers/backends.ts";
import { loadGraph, loadLayers } from "./helpers/nsfw.ts";

const bounds = { lower: 0, upper: 1 };
const size = 224 * 224 * 3;

/** A smooth picture: coloured waves. */
function picture(): NdArray {
  const data = Float32Array.from({ length: size }, (_, i) => {
    const [y, x, c] = [Math.floor(i / 672), Math.floor(i / 3) % 224, i % 3];
    return 0.5 + 0.4 * Math.sin(x / (9 + 4 * c) + c) * Math.cos(y / (13 - 3 * c));
  });
  return ndArray(data, [1, 224, 224, 3]);
}

/**
 * Compares 20 pixels of the gradient of one logit with central differences.
 *
 * The network is full of kinks (ReLU6), and a difference across one is not a derivative. Pixels are drawn at random and
 * kept where the slopes to the left and to the right, and those over h and h / 2, agree to 1e-3: judged from answers
 * alone, never from the gradient. What is left of kinks is then of that size, and rounding adds about
 * 2^-24 * 8 (the logits) / h = 1e-4 for each of the few layers that matter: 2e-3 in all.
 */
async function checkPixels(model: DifferentiableClassifier, x: NdArray): Promise<void> {
  const answer = (await model.logits(x)).data;
  const label = answer.indexOf(Math.max(...answer));
  const centre = answer[label]!;
  const cotangent = ndArray(new Float32Array(model.numClasses).fill(1, label, label + 1), [1, model.numClasses]);
  const { gradient } = await model.gradient(x, linear(cotangent));
  const largest = gradient.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const rng = createRng(11);
  const h = 0.004;
  let compared = 0;
  for (let drawn = 0; compared < 20 && drawn < 200; drawn++) {
    const pixel = rng.integer(size);
    const points = new Float32Array(4 * size);
    for (const [i, step] of [h, -h, h / 2, -h / 2].entries()) {
      points.set(x.data, i * size);
      points[i * size + pixel]! += step;
    }
    const { data } = await model.logits(ndArray(points, [4, 224, 224, 3]));
    const score = (row: number) => data[row * model.numClasses + label]!;
    const wide = (score(0) - score(1)) / (2 * h);
    const narrow = (score(2) - score(3)) / h;
    const [right, left] = [(score(2) - centre) / (h / 2), (centre - score(3)) / (h / 2)];
    if (Math.max(Math.abs(wide - narrow), Math.abs(right - left)) > 1e-3) continue;
    compared++;
    expect(Math.abs(gradient.data[pixel]! - narrow), `pixel ${pixel}`).toBeLessThan(2e-3);
  }
  expect(compared).toBe(20);
  // The figures compared are not all nothing: the bound is a small part of what gradients are here.
  expect(largest).toBeGreaterThan(0.05);
}

const undo: (() => void)[] = [];
beforeAll(async () => {
  undo.push(await use(settings.find(({ name }) => name === "fast wasm")!));
});
afterAll(() => {
  for (const back of undo) back();
});

describe("MobileNetV2 as layers, from npm nsfwjs, on wasm with fast gradients", () => {
  let model: DifferentiableClassifier;
  const x = picture();
  beforeAll(async () => {
    model = fromLayersModel(await loadLayers(), { bounds });
  }, 60_000);

  it("is met with logits, though it ends in a softmax", async () => {
    const { data } = await model.logits(x);
    expect([model.numClasses, model.inputShape]).toEqual([5, [224, 224, 3]]);
    expect(data.some((value) => value < 0 || value > 1)).toBe(true);
  });

  it("has a gradient that agrees with central differences in 20 pixels", () => checkPixels(model, x), 180_000);

  it("falls to PGD-3 within two grey levels", async () => {
    const label = (await model.labels(x)).data;
    const before = tf.memory().numTensors;
    const epsilon = 2 / 255;
    const attack = pgd({ epsilon, steps: 3 });
    const { adversarial, success, queries, gradients } = await attack(model, x, untargeted(label), {
      rng: createRng(0),
    });
    expect(tf.memory().numTensors).toBe(before);
    expect([success.data[0], queries.data[0], gradients.data[0]]).toEqual([1, 4, 3]);
    expect((await model.labels(adversarial)).data[0]).not.toBe(label[0]);
    expect(distance(adversarial, x, "linf").data[0]).toBeLessThanOrEqual(epsilon + 1e-7);
  }, 60_000);
});

describe("MobileNetV2 as a converted graph of fused operations", () => {
  let model: DifferentiableClassifier;
  const x = picture();
  const loss = linear(ndArray([1, 0, 0, 0, 0], [1, 5]));
  beforeAll(async () => {
    model = fromGraphModel(await loadGraph(), { bounds, numClasses: 5 });
  }, 60_000);

  it("has the gradient that the cpu backend computes", async () => {
    const { gradient } = await model.gradient(x, loss);
    // A ReLU6 at its kink may fall either way by rounding: how much that does is seen by nudging the input.
    const nudged = ndArray(
      x.data.map((value, i) => value + 1e-6 * Math.sin(i)),
      x.shape,
    );
    const nudge = relativeDistance((await model.gradient(nudged, loss)).gradient, gradient);
    const back = await use(settings.find(({ name }) => name === "cpu")!);
    const reference = await fromGraphModel(await loadGraph(), { bounds, numClasses: 5 }).gradient(x, loss);
    back();
    undo.push(await use(settings.find(({ name }) => name === "fast wasm")!));
    expect(nudge).toBeLessThan(0.05);
    expect(relativeDistance(gradient, reference.gradient)).toBeLessThan(3 * nudge);
  }, 120_000);

  it("is led to a class of the attacker's choice", async () => {
    const wanted = ((await model.labels(x)).data[0]! + 1) % 5;
    const attack = pgd({ epsilon: 8 / 255, steps: 10, earlyStop: true });
    const { adversarial, success } = await attack(model, x, targeted([wanted]), { rng: createRng(0) });
    expect(success.data[0]).toBe(1);
    expect((await model.labels(adversarial)).data[0]).toBe(wanted);
  }, 60_000);
});

function relativeDistance(a: NdArray, b: NdArray): number {
  const zero = ndArray(new Float32Array(size), a.shape);
  return distance(a, b, "l2").data[0]! / distance(b, zero, "l2").data[0]!;
}
