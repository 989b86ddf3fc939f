import { adversarialTraining } from "@parapet/adversarial-training";
import { fgsm, pgd } from "@parapet/attacks";
import { type Attack, createRng } from "@parapet/core";
import { loadMnist, slice } from "../../examples/train-mnist/src/mnist.ts";
import { createModel, startEngine } from "../../examples/train-mnist/src/model.ts";
import { settings } from "../../examples/train-mnist/src/settings.ts";
import { trainStandard } from "../../examples/train-mnist/src/train.ts";

export const name = "catastrophic-overfitting";

/**
 * Single-step training from a warm start (a model trained as usual), learning rate 2e-3, on 10,000 digits at epsilon 0.3.
 * Without a random start the model learns to fool the one step it is trained with: accuracy on its own examples rises,
 * PGD goes through, and the training is stopped. With one, both rise. Same seed, same weights, same batches.
 */
export async function run({ signal, log }: { signal: AbortSignal; log: (line: string) => void }) {
  await startEngine("tfjs");
  const { train } = loadMnist();
  const recipes: Record<string, (epsilon: number) => Attack> = {
    "fgsm, no random start": (epsilon) => fgsm({ epsilon }),
    "fgsm, random start": (epsilon) => fgsm({ epsilon, stepSize: 1.25 * epsilon, randomStart: true }),
  };
  const rows: Record<string, string | number>[] = [];
  const summary: Record<string, string> = {};
  for (const [recipe, attack] of Object.entries(recipes)) {
    const model = await createModel(0, "tfjs");
    const quiet = { update: () => {}, done: () => {} };
    await trainStandard(model, slice(train, 0, 59_000), settings, createRng(0).derive("warm"), quiet, signal);
    const harden = adversarialTraining({
      attack,
      epsilon: 0.3,
      epochs: 10,
      learningRate: 2e-3,
      overfittingDrop: 0.05,
      validationAttack: pgd({ epsilon: 0.3, steps: 10, stepSize: 0.05, earlyStop: true }),
    });
    const { stopped, bestEpoch } = await harden(model, slice(train, 0, 10_000), {
      rng: createRng(0),
      validation: slice(train, 59_500, 60_000),
      signal,
      onProgress(event) {
        if (event.kind !== "epoch") return;
        const { epoch, trainAccuracy, validation } = event.report;
        const figures = {
          train: trainAccuracy.rate,
          "PGD-10": validation!.attacked!.rate,
          clean: validation!.clean.rate,
        };
        rows.push({ recipe, epoch, ...figures });
        log(`${recipe}, epoch ${epoch}: ${JSON.stringify(figures)}`);
      },
    });
    summary[recipe] = `${stopped}, best epoch ${bestEpoch}`;
  }
  return { rows, summary };
}
