import { createRng, crossEntropy, type Parameters, type TrainableClassifier } from "@parapet/core";
import { demand } from "../law.ts";
import { numericDerivative } from "./differences.ts";
import { type Checks, largest } from "./subject.ts";

/** Entries looked at in every weight array. */
const PROBES = 2;

/** The gradient that training follows is the derivative of the mean of the values by the weights. */
export const parameterGradients: Checks<TrainableClassifier> = {
  "the gradient of the weights agrees with central differences of the mean": async (subject) => {
    const { model, x, labels, options, tolerance } = subject;
    const loss = crossEntropy(labels);
    const start = await model.snapshot();
    const { gradients } = await model.parameterGradients(x, loss, options(x));
    const most = Math.max(...[...gradients.values()].map(largest));
    const rng = createRng("the weights that central differences look at");
    let smooth = 0;
    let telling = 0;
    for (const [name, weight] of start.weights) {
      const h = 2 ** -7 * Math.max(largest(weight), 2 ** -3);
      for (let probe = 0; probe < PROBES; probe++) {
        const at = rng.integer(weight.data.length);
        const values: number[] = [];
        let size = 1;
        for (const point of [-1, -0.5, 0, 0.5, 1]) {
          await model.restore({ weights: moved(start.weights, name, at, point * h), buffers: start.buffers });
          const answer = await model.parameterGradients(x, loss, options(x));
          values.push(answer.value.data.reduce((sum, value) => sum + value, 0) / loss.count);
          size = Math.max(size, largest(answer.logits));
        }
        const found = numericDerivative(values, h, size, tolerance * most);
        if (found === undefined) continue;
        smooth += 1;
        const allowed = tolerance * most + found.slack;
        const got = gradients.get(name)!.data[at]!;
        demand(
          Math.abs(got - found.derivative) <= allowed,
          `${name}[${at}]: central differences say ${found.derivative} within ${allowed}, got ${got}`,
        );
        if (Math.abs(found.derivative) > 2 * allowed) telling += 1;
      }
    }
    await model.restore(start);
    demand(smooth * 4 >= PROBES * start.weights.size, `only ${smooth} weights are smooth enough to judge`);
    demand(telling > 0, "every derivative is too small to tell from rounding: choose other inputs");
  },
};

function moved(weights: Parameters, name: string, at: number, by: number): Parameters {
  const weight = weights.get(name)!;
  const data = weight.data.slice();
  data[at]! += by;
  return new Map([...weights, [name, { ...weight, data }]]);
}
