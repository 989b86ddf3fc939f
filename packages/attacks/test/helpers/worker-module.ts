import { evaluateRobustness, fgsm, pgd, square } from "@parapet/attacks";
import { createRng, margin, untargeted } from "@parapet/core";
import type { EvaluationModule } from "../../src/node/worker.ts";
import { pictures, trained } from "./toy.ts";

// What `workers.test.ts` has its workers import: a user's module.

export const createModel: EvaluationModule["createModel"] = ({ threads, worker }) => {
  if (!(threads >= 1 && threads <= 4 && worker >= 0)) throw new Error(`a share of ${threads} for worker ${worker}`);
  return trained(1, { steps: 60 });
};

export const attacks: EvaluationModule["attacks"] = {
  fgsm: fgsm({ epsilon: 0.15 }),
  pgd: { attack: pgd({ epsilon: 0.15, steps: 10 }), goal: (labels) => untargeted(labels, margin(labels)) },
  square: square({ epsilon: 0.15, queries: 40 }),
};

export const problem = () => pictures(5, 18);

/** The same evaluation in one thread. */
export async function alone() {
  const { x, labels } = problem();
  return evaluateRobustness(await trained(1, { steps: 60 }), x, labels, {
    attacks,
    norm: "linf",
    epsilon: 0.15,
    rng: createRng(7),
    seed: 7,
    checkExamples: 4,
  });
}
