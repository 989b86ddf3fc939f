import { createRng, ndArray } from "@parapet/core";
import { describe, it } from "vitest";
import {
  affineModel,
  classifierLaws,
  countingModel,
  noisyModel,
  quadraticModel,
  quantisedInput,
  researchWeights,
  scaledLogits,
  softmaxAsLogits,
  tinyMlp,
} from "../src/index.ts";

const inputs = ndArray([0.6, 0.7, 0.2, 0.1, 0.9, 0.5, 0.3, 0.3, 0.8, 0, 1, 0.5], [4, 3]);
const labels = [0, 1, 2, 0];
const affine = () => affineModel(researchWeights);
const mlp = (activation: "relu" | "tanh") =>
  tinyMlp({ inputShape: [3], hidden: 10, numClasses: 3, activation, rng: createRng(activation) });

const whiteBoxes = {
  affineModel: affine,
  quadraticModel: () =>
    quadraticModel({
      centres: [
        [0, 0, 1],
        [1, 0.5, 0],
        [0, 1, 0],
      ],
    }),
  countingModel: () => countingModel(affine()).model,
  softmaxAsLogits: () => softmaxAsLogits(affine()),
  "scaledLogits by 3": () => scaledLogits(affine(), 3),
};

for (const [name, make] of Object.entries(whiteBoxes)) {
  describe(`${name} obeys the laws of a white box`, () => {
    for (const law of classifierLaws(make, { inputs, labels })) it(law.name, law.run);
  });
}

describe.each(["relu", "tanh"] as const)("tinyMlp with %s obeys the laws of a model that learns", (activation) => {
  for (const law of classifierLaws(() => mlp(activation), { power: "trainable", inputs, labels }))
    it(law.name, law.run);
});

describe("noisyModel obeys the laws of a randomised white box", () => {
  const make = () => noisyModel(affine(), 0.1);
  for (const law of classifierLaws(make, { inputs, labels, randomised: true })) it(law.name, law.run);
});

describe("quantisedInput obeys the laws of a classifier", () => {
  const make = () => quantisedInput(affine(), 8);
  for (const law of classifierLaws(make, { power: "classifier", inputs, labels })) it(law.name, law.run);
});
