import { boundary, geoda, hopSkipJump, pointwise, signOpt } from "@parapet/attacks";
import { type Attack, createRng, type Labeler, median, ndArray, untargeted } from "@parapet/core";
import { describe, expect, it } from "vitest";
import peers from "./vectors/decision.json" with { type: "json" };

// Foolbox and ART on the same network, inputs and number of queries: see vectors/generate-decision.py.

const { w1, b1, w2, b2 } = peers.weights;
const width = peers.side ** 2;
const network: Labeler = {
  inputShape: [peers.side, peers.side, 1],
  numClasses: peers.classes,
  bounds: { lower: 0, upper: 1 },
  async labels({ shape, data }) {
    const answers = new Int32Array(shape[0]!);
    const hidden = new Float64Array(peers.hidden);
    for (let i = 0; i < answers.length; i++) {
      hidden.set(b1);
      for (let j = 0; j < width; j++) {
        const value = data[i * width + j]!;
        for (let u = 0; u < peers.hidden; u++) hidden[u]! += value * w1[j * peers.hidden + u]!;
      }
      let most = Number.NEGATIVE_INFINITY;
      for (let k = 0; k < peers.classes; k++) {
        let sum = b2[k]!;
        for (let u = 0; u < peers.hidden; u++) sum += Math.max(0, hidden[u]!) * w2[u * peers.classes + k]!;
        if (sum > most) {
          most = sum;
          answers[i] = k;
        }
      }
    }
    return ndArray(answers);
  },
};
const x = ndArray(peers.inputs, [peers.labels.length, peers.side, peers.side, 1]);

const ours: Record<string, (options: { norm: "l2"; queries: number }) => Attack<Labeler>> = {
  boundary,
  geoda,
  hopSkipJump,
  pointwise,
  signOpt,
};

it("the network here is the network there", async () => {
  expect([...(await network.labels(x)).data]).toEqual(peers.labels);
});

describe.each(peers.cases.filter(({ attack }) => attack in ours))(
  "$attack, $norm, $peer",
  ({ attack, norm, medians }) => {
    // Medians over 24 examples differ by up to 10 % from seed to seed, as attacks end in other corners of the border: means
    // of the peers' three seeds and of two of ours, which are fixed.
    const checkpoint = 1;
    it(`after ${peers.checkpoints[checkpoint]} queries the median is at most 1.05 times as large`, async () => {
      const theirs =
        medians.reduce((sum, row) => sum + (row[checkpoint] ?? Number.POSITIVE_INFINITY), 0) / medians.length;
      let own = 0;
      for (const seed of [0, 1]) {
        const run = ours[attack]!({ norm: norm as "l2", queries: peers.checkpoints[checkpoint]! });
        const { distance, success } = await run(network, x, untargeted(peers.labels), { rng: createRng(seed) });
        own += median(Array.from(distance.data, (value, i) => (success.data[i] === 1 ? value : 1e9))) / 2;
      }
      expect(own).toBeLessThanOrEqual(1.05 * theirs);
    });
  },
);
