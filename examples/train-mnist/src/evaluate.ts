import { pgd } from "@parapet/attacks";
import {
  accuracy,
  createRng,
  type DifferentiableClassifier,
  type NdArray,
  type Rate,
  untargeted,
  wilson,
} from "@parapet/core";
import { type Digits, slice } from "./mnist.ts";
import type { ProgressLine } from "./progress.ts";
import type { Settings } from "./settings.ts";

/** What is reported of a model. */
export interface Evaluation {
  readonly clean: Rate;
  readonly pgd40: Rate;
  /** Accuracy under attack for each radius, 0 first. */
  readonly curve: readonly { readonly epsilon: number; readonly accuracy: Rate }[];
  /** The adversarial images at the main radius, and the model's answers to the clean and to these images. */
  readonly adversarial: NdArray;
  readonly answers: { readonly clean: Int32Array; readonly adversarial: Int32Array };
}

export async function evaluate(
  name: string,
  model: DifferentiableClassifier,
  test: Digits,
  { epsilon, testAttack, curveRadii, curveImages }: Settings,
  seed: number,
  progress: ProgressLine,
  signal: AbortSignal,
): Promise<Evaluation> {
  const answers = (await model.labels(test.x, { signal })).data;
  const clean = accuracy({ dtype: "int32", shape: [answers.length], data: answers }, test.labels);
  progress.done(`${name}: ${(100 * clean.rate).toFixed(1)} % of ${clean.total} clean test images right`);

  const under = async (radius: number, { x, labels }: Digits) => {
    const attack = pgd({ norm: "linf", epsilon: radius, ...testAttack, earlyStop: true });
    const { adversarial, success } = await attack(model, x, untargeted(labels), {
      rng: createRng(seed).derive("evaluation"),
      signal,
      onProgress: ({ done, total }) =>
        progress.update(`${name}: PGD-${testAttack.steps}, epsilon ${radius}   ${Math.floor((100 * done) / total)} %`),
    });
    return { adversarial, rate: wilson(success.data.filter((reached) => reached === 0).length, labels.length) };
  };

  const main = await under(epsilon, test);
  progress.done(
    `${name}: ${(100 * main.rate.rate).toFixed(1)} % right under PGD-${testAttack.steps}, epsilon ${epsilon}`,
  );
  const curve = [{ epsilon: 0, accuracy: clean }];
  for (const radius of curveRadii) {
    const rate = radius === epsilon ? main.rate : (await under(radius, slice(test, 0, curveImages))).rate;
    curve.push({ epsilon: radius, accuracy: rate });
  }
  const adversarialAnswers = (await model.labels(main.adversarial, { signal })).data;
  return {
    clean,
    pgd40: main.rate,
    curve,
    adversarial: main.adversarial,
    answers: { clean: answers, adversarial: adversarialAnswers },
  };
}
