import { pgd } from "@parapet/attacks";
import { attackLaws, classifierLaws } from "@parapet/testing";
import * as runtime from "onnxruntime-node";
import { describe, it } from "vitest";
import { adam, adamw, fromOnnx, momentum, sgd } from "../src/index.ts";
import { binary, cnn, inputs, mlp } from "./helpers/networks.ts";

const bounds = { lower: 0, upper: 1 };
const session = { intraOpNumThreads: 1 };
const dispose = (model: object) => (model as { release(): Promise<void> }).release();

const models = {
  "softmax head, adam": { bytes: mlp(), optimizer: adam(0.05), inputs: inputs(5, [6]), labels: [0, 1, 2, 0, 1] },
  "sigmoid head, momentum": {
    bytes: binary(),
    optimizer: momentum(0.1),
    inputs: inputs(5, [6]),
    labels: [0, 1, 1, 0, 1],
  },
  "convolutional, adamw": {
    bytes: cnn(),
    optimizer: adamw(0.02),
    inputs: inputs(5, [1, 8, 8]),
    labels: [0, 1, 2, 0, 1],
  },
  "convolutional, sgd": { bytes: cnn(), optimizer: sgd(0.1), inputs: inputs(5, [1, 8, 8]), labels: [2, 1, 0, 0, 1] },
};
for (const [name, { bytes, optimizer, ...rest }] of Object.entries(models)) {
  describe(name, () => {
    const make = () => fromOnnx(bytes, { runtime, bounds, session, optimizer });
    for (const law of classifierLaws(make, { power: "trainable", dispose, ...rest })) it(law.name, () => law.run());
  });
}

describe("weights as constants", () => {
  const make = () => fromOnnx(cnn(), { runtime, bounds, session });
  const options = { dispose, inputs: inputs(5, [1, 8, 8]), labels: [0, 1, 2, 0, 1] };
  for (const law of classifierLaws(make, options)) it(law.name, () => law.run());
});

describe("attacked by PGD", () => {
  const attack = (epsilon: number) => pgd({ epsilon, steps: 4, earlyStop: true });
  const model = () => fromOnnx(mlp(), { runtime, bounds, session });
  for (const law of attackLaws(attack, { norm: "linf", epsilon: 0.3, model })) it(law.name, () => law.run());
});
