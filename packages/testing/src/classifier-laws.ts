import type { Classifier, DifferentiableClassifier, TrainableClassifier } from "@parapet/core";
import { answers } from "./classifier/answers.ts";
import { badGradients, badInput } from "./classifier/bad-input.ts";
import { gradients } from "./classifier/gradient.ts";
import { parameterGradients } from "./classifier/parameter-gradients.ts";
import { randomised } from "./classifier/randomised.ts";
import { abort, gradientAbort, gradientLeaks, leaks, lifetimeLeaks, trainingLeaks } from "./classifier/resources.ts";
import { type Checks, type ClassifierLawOptions, type Powers, subjectOf } from "./classifier/subject.ts";
import { training } from "./classifier/training.ts";
import type { Law } from "./law.ts";

/**
 * The laws that every model of the core contract obeys: what its answers look like, that rows do not meet, that
 * gradients are derivatives, that bad input is refused, that nothing leaks and everything can be stopped, and, for a
 * model that learns, what a step is.
 *
 * @param make - makes a fresh model, once for every law
 * @param options - inputs, labels and what is known about the engine; see `ClassifierLawOptions`
 * @returns the laws, to be registered with a test runner; their names are unique
 *
 * @example
 * ```ts
 * import { ndArray } from "@parapet/core";
 * import { affineModel, classifierLaws, researchWeights } from "@parapet/testing";
 * const laws = classifierLaws(() => affineModel(researchWeights), {
 *   inputs: ndArray([0.6, 0.7, 0.2, 0.1, 0.9, 0.5, 0.3, 0.3, 0.8], [3, 3]),
 *   labels: [0, 1, 2],
 * });
 * for (const law of laws) await law.run();
 * console.log(laws.length > 20); // => true
 * ```
 */
export function classifierLaws<P extends keyof Powers = "differentiable">(
  make: () => Powers[P] | Promise<Powers[P]>,
  options: ClassifierLawOptions<P>,
): readonly Law[] {
  const { power = "differentiable", dispose = () => {}, tensorCount } = options;
  const counted = tensorCount !== undefined;
  const bound = <M extends Classifier>(checks: Checks<M>): Law[] =>
    Object.entries(checks).map(([name, check]) => ({
      name,
      async run() {
        const model = await make();
        try {
          // `power` says which lists apply, so the model has what their checks ask for.
          await check(subjectOf(model, options) as unknown as Parameters<typeof check>[0]);
        } finally {
          await dispose(model);
        }
      },
    }));

  const laws = bound<Classifier>({
    ...answers,
    ...badInput,
    ...abort,
    ...(counted ? leaks : {}),
    ...(options.randomised ? randomised : {}),
  });
  if (power !== "classifier") {
    laws.push(
      ...bound<DifferentiableClassifier>({
        ...gradients,
        ...badGradients,
        ...gradientAbort,
        ...(counted ? gradientLeaks : {}),
      }),
    );
  }
  if (power === "trainable") {
    laws.push(...bound<TrainableClassifier>({ ...training, ...parameterGradients, ...(counted ? trainingLeaks : {}) }));
  }
  if (counted && options.dispose) laws.push(lifetimeLeaks(make, dispose, tensorCount, options.inputs));
  return laws;
}
