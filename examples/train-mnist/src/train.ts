import { adversarialTraining, cyclic, type EpochReport, fastRecipe } from "@parapet/adversarial-training";
import { fgsm, pgd } from "@parapet/attacks";
import { createRng, crossEntropy, mean, type Rng, type TrainableClassifier, takeRows } from "@parapet/core";
import type { Digits } from "./mnist.ts";
import type { ProgressLine } from "./progress.ts";
import type { Settings } from "./settings.ts";

/** Plain training: random batches, cross-entropy, one pass. */
export async function trainStandard(
  model: TrainableClassifier,
  { x, labels }: Digits,
  { batchSize, standard }: Settings,
  rng: Rng,
  progress: ProgressLine,
  signal: AbortSignal,
  onRows: (rows: Int32Array) => void = () => {},
): Promise<void> {
  for (let step = 1; step <= standard.steps; step++) {
    const draw = rng.derive(step);
    const rows = Int32Array.from({ length: batchSize }, () => draw.integer(labels.length));
    onRows(rows);
    const y = rows.map((row) => labels[row]!);
    const { value } = await model.step(takeRows(x, rows), crossEntropy(y), {
      learningRate: standard.learningRate,
      signal,
    });
    progress.update(`standard training   step ${step}/${standard.steps}  loss ${mean(value.data).toFixed(3)}`);
  }
}

/** Fast adversarial training, judged by PGD on the validation images after every epoch. */
export async function trainHardened(
  model: TrainableClassifier,
  data: Digits,
  validation: Digits,
  settings: Settings,
  seed: number,
  progress: ProgressLine,
  signal: AbortSignal,
): Promise<{ epochs: readonly EpochReport[]; bestEpoch: number; stopped: string }> {
  const { epsilon, batchSize, hardened, validationAttack } = settings;
  const train = adversarialTraining(
    fastRecipe(fgsm, {
      epsilon,
      epochs: hardened.epochs,
      batchSize,
      learningRate: cyclic(hardened.peakLearningRate),
      validationAttack: pgd({ epsilon, ...validationAttack, earlyStop: true }),
    }),
  );
  return train(model, data, {
    rng: createRng(seed).derive("hardened"),
    validation,
    signal,
    onProgress(event) {
      if (event.kind === "step") {
        const { step, steps, epoch, loss } = event;
        progress.update(`adversarial training   epoch ${epoch}  step ${step}/${steps}  loss ${loss.toFixed(3)}`);
      } else if (event.kind === "epoch") {
        const { epoch, validation: held, loss } = event.report;
        const percent = (rate: number) => `${(100 * rate).toFixed(1)} %`;
        const { clean, attacked } = held!;
        const figures = `clean ${percent(clean.rate)}, under attack ${percent(attacked!.rate)}`;
        progress.done(`  epoch ${epoch}/${hardened.epochs}: loss ${loss.toFixed(3)}; validation ${figures}`);
      }
    },
  });
}
