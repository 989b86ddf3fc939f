import { fgsm, pgd } from "@parapet/attacks";
import {
  createRng,
  crossEntropy,
  type NdArray,
  type Norm,
  ndArray,
  type TrainableClassifier,
  targeted,
  untargeted,
} from "@parapet/core";
import { assertClose, tinyMlp } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import peers from "./vectors/peers.json" with { type: "json" };

// Foolbox 3.3.4 and ART 1.20.1 on the same weights and inputs: vectors/README.md says how they were run.

const rows = (values: number[][]): NdArray => ndArray(values.flat(), [values.length, values[0]!.length]);
const transposed = (values: number[][]) => values[0]!.map((_, j) => values.map((row) => row[j]!));

async function network(activation: "tanh" | "relu", [lower, upper]: number[]): Promise<TrainableClassifier> {
  const { w1, b1, w2, b2 } = peers.weights;
  const bounds = { lower: lower!, upper: upper! };
  const model = tinyMlp({ inputShape: [6], hidden: 8, numClasses: 4, activation, bounds, rng: createRng(0) });
  const weights = new Map([
    ["W1", rows(transposed(w1))],
    ["b1", ndArray(b1)],
    ["W2", rows(transposed(w2))],
    ["b2", ndArray(b2)],
  ]);
  await model.restore({ weights, buffers: new Map() });
  return model;
}

const x = rows(peers.inputs);
const rng = createRng(0);

describe.each(["tanh", "relu"] as const)("the %s network here is the network there", (activation) => {
  it("logits, loss and gradient", async () => {
    const clean = peers.clean[activation];
    const model = await network(activation, [0, 1]);
    const { logits, value, gradient } = await model.gradient(x, crossEntropy(peers.labels));
    assertClose(logits, clean.logits.flat(), { absolute: 2e-6 });
    assertClose(value, clean.crossEntropy, { absolute: 2e-6 });
    assertClose(gradient, clean.inputGradient.flat(), { absolute: 2e-6 });
  });
});

describe.each(peers.cases.map((peer, i) => ({ i, ...peer })))(
  "$i: $peer $attack, $network, $norm, epsilon $epsilon, $steps steps of $stepSize, targeted: $targeted",
  (peer) => {
    const { epsilon, stepSize, steps } = peer;
    const norm = peer.norm as Norm;
    const goal = peer.targeted ? targeted(peers.targets) : untargeted(peers.labels);
    // Foolbox projects on the ball and then clips, as we do; ART the other way round, which may leave another point.
    const comparable = peer.peer === "foolbox" || peer.otherOrderDiffers === 0;

    it(comparable ? "gives the same points and successes" : "gives points at least as good", async () => {
      const model = await network(peer.network as "tanh" | "relu", peer.bounds);
      const attack =
        steps === 1 ? fgsm({ norm, epsilon, stepSize }) : pgd({ norm, epsilon, steps, stepSize, randomStart: false });
      const { adversarial, success } = await attack(model, x, goal, { rng });
      if (comparable) {
        assertClose(adversarial, peer.adversarial.flat(), { absolute: 1e-5 });
        expect([...success.data].map(Boolean)).toEqual(peer.success.map(Boolean));
        return;
      }
      const sign = peer.targeted ? -1 : 1;
      const mean = (values: ArrayLike<number>) =>
        Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
      const ours = crossEntropy(goal.classes).value(await model.logits(adversarial)).data;
      expect(sign * mean(ours)).toBeGreaterThanOrEqual(sign * mean(peer.crossEntropy) - 1e-3);
    });
  },
);
