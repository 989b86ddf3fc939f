import { crossEntropy, type NdArray, ndArray } from "@parapet/core";
import { assertClose } from "@parapet/testing";
import { afterAll, beforeAll, describe, it } from "vitest";
import reference from "../../attacks/test/vectors/gradients.json" with { type: "json" };
import { fromLayersModel } from "../src/index.ts";
import { settings, tf, use } from "./helpers/backends.ts";

// PyTorch's autograd in float64 on the same convolutional network: vectors/README.md says how it was run.

const array = ({ shape, values }: { shape: number[]; values: number[] }): NdArray => ndArray(values, shape);
const { weights, parameterGradients, inputs, labels, logits, crossEntropy: losses, inputGradient } = reference;
const names = Object.keys(weights) as (keyof typeof weights)[];

function network(): tf.LayersModel {
  const relu = { kernelSize: 3, activation: "relu" } as const;
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({ ...relu, inputShape: [8, 8, 1], filters: 4, padding: "same" }),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      tf.layers.conv2d({ ...relu, filters: 6, padding: "valid" }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 5 }),
    ],
  });
  tf.tidy(() => model.setWeights(names.map((name) => tf.tensor(weights[name].values, weights[name].shape))));
  return model;
}

// float32 rounding of sums of at most 54 products of numbers below 4, three layers deep.
const float32 = { absolute: 2e-5 };

for (const setting of settings) {
  describe(setting.name, () => {
    let undo = () => {};
    beforeAll(async () => {
      undo = await use(setting);
    });
    afterAll(() => undo());

    it("logits, losses and input gradients", async () => {
      const model = fromLayersModel(network(), { bounds: { lower: 0, upper: 1 } });
      const actual = await model.gradient(array(inputs), crossEntropy(labels));
      assertClose(actual.logits, array(logits), float32);
      assertClose(actual.value, losses, float32);
      assertClose(actual.gradient, array(inputGradient), float32);
    });

    // Stock wasm has no gradient of a convolution by its filter.
    if (setting.name !== "wasm") {
      it("parameter gradients", async () => {
        const model = fromLayersModel(network(), { bounds: { lower: 0, upper: 1 }, optimizer: tf.train.sgd(0.1) });
        const { gradients } = await model.parameterGradients(array(inputs), crossEntropy(labels));
        const found = [...gradients.values()];
        for (const [i, name] of names.entries()) {
          const sums = found[i]!.data.map((value) => value * labels.length);
          assertClose(sums, parameterGradients[name].values, { absolute: 1e-4 });
        }
      });
    }
  });
}
