import { pgd } from "@parapet/attacks";
import { attackLaws, classifierLaws } from "@parapet/testing";
import { afterAll, beforeAll, describe, it } from "vitest";
import { settings, tf, use } from "./helpers/backends.ts";
import { binary, cnn, dispose, handMade, inputs, mlp } from "./helpers/models.ts";

// The same laws in Node and in a browser, on every backend that is there.
for (const setting of settings) {
  describe(setting.name, () => {
    let undo = () => {};
    beforeAll(async () => {
      undo = await use(setting);
    });
    afterAll(() => undo());

    const common = {
      power: "trainable",
      dispose,
      tensorCount: () => tf.memory().numTensors,
      exact: setting.exact,
    } as const;
    const models = {
      "softmax head": { make: mlp, inputs: inputs(5, [6]), labels: [0, 1, 2, 0, 1] },
      // How heads and functions are met has nothing to do with the backend; once is enough where shaders run in software.
      ...(setting.software
        ? {}
        : {
            "sigmoid head": { make: binary, inputs: inputs(5, [6]), labels: [0, 1, 1, 0, 1] },
            "function of tensors": { make: handMade, inputs: inputs(5, [6]), labels: [2, 1, 0, 0, 1] },
          }),
      // Stock wasm cannot train a convolution at all.
      ...(setting.name === "wasm"
        ? {}
        : { "convolutional, batch-norm": { make: cnn, inputs: inputs(5, [8, 8, 1]), labels: [0, 1, 2, 0, 1] } }),
    };
    for (const [name, { make, ...rest }] of Object.entries(models)) {
      describe(name, () => {
        for (const law of classifierLaws(make, { ...common, ...rest })) it(law.name, () => law.run());
      });
    }

    describe("attacked by PGD", () => {
      const attack = (epsilon: number) => pgd({ epsilon, steps: 4, earlyStop: true });
      const options = { norm: "linf", epsilon: 0.3, model: mlp } as const;
      for (const law of attackLaws(attack, options)) {
        // Where rows of a batch round differently, a sign flips: those laws say "same bytes", and do not hold.
        if (setting.exact || !/batch|order|stop/.test(law.name)) it(law.name, () => law.run());
      }
    });
  });
}
