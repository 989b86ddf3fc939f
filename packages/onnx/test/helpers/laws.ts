import { pgd } from "@parapet/attacks";
import { crossEntropy } from "@parapet/core";
import { assertClose, attackLaws, classifierLaws } from "@parapet/testing";
import { beforeAll, describe, it } from "vitest";
import { adam, adamw, fromOnnx, momentum, sgd } from "../../src/index.ts";
import { binary, cnn, inputs, mlp } from "./networks.ts";
import { type Place, type Setting, start } from "./runtimes.ts";

const bounds = { lower: 0, upper: 1 };
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

/** Registers the laws of classifiers and attacks in a setting. */
export function testLaws(setting: Setting): void {
  describe(setting, () => {
    // Shaders run in software here, slowly: one network, with an optimizer that has everything.
    const software = setting === "webgpu";
    const exact = setting !== "webgpu";
    let place: Place;
    beforeAll(async () => {
      place = await start(setting);
    });

    for (const [name, { bytes, optimizer, ...rest }] of Object.entries(models)) {
      if (software && name !== "convolutional, adamw") continue;
      describe(name, () => {
        const make = () => fromOnnx(bytes, { ...place, bounds, optimizer });
        const options = { power: "trainable", dispose, exact, ...rest } as const;
        for (const law of classifierLaws(make, options)) it(law.name, () => law.run());
      });
    }

    // The networks of webgpu.browser.test.ts have constants.
    if (!software) {
      describe("weights as constants", () => {
        const make = () => fromOnnx(cnn(), { ...place, bounds });
        const options = { dispose, exact, inputs: inputs(5, [1, 8, 8]), labels: [0, 1, 2, 0, 1] };
        for (const law of classifierLaws(make, options)) it(law.name, () => law.run());
      });
    }

    describe("attacked by PGD", () => {
      const attack = (epsilon: number) => pgd({ epsilon, steps: 4, earlyStop: true });
      const model = () => fromOnnx(mlp(), { ...place, bounds });
      for (const law of attackLaws(attack, { norm: "linf", epsilon: 0.3, model })) {
        // Where rows of a batch round differently, a sign flips: those laws say "same bytes", and do not hold.
        if (exact || !/batch|order|stop/.test(law.name)) it(law.name, () => law.run());
      }
    });

    it("models that answer side by side answer as they do alone", async () => {
      const some = await fromOnnx(mlp(), { ...place, bounds });
      const others = await fromOnnx(cnn(), { ...place, bounds });
      const calls = [
        () => some.gradient(inputs(4, [6]), crossEntropy([0, 1, 2, 0])),
        () => others.gradient(inputs(3, [1, 8, 8]), crossEntropy([0, 1, 2])),
      ];
      const together = [];
      for (let i = 0; i < 10; i++) together.push(await Promise.all(calls.map((call) => call())));
      const alone = [await calls[0]!(), await calls[1]!()];
      for (const found of together) {
        found.forEach(({ gradient }, i) => {
          assertClose(gradient, alone[i]!.gradient, { absolute: 1e-6 });
        });
      }
      await some.release();
      await others.release();
    });

    it("the options of sessions stay as they are", async () => {
      const session = Object.freeze({ ...place.session });
      const model = await fromOnnx(mlp(), { ...place, session, bounds });
      await model.logits(inputs(4, [6]));
      await model.release();
    });
  });
}
