import { fgsm, pgd } from "@parapet/attacks";
import { attackLaws } from "@parapet/testing";
import { describe, it } from "vitest";

const attacks = {
  "fgsm, linf": { make: (epsilon: number) => fgsm({ epsilon }), norm: "linf", random: false },
  "fgsm, l2": { make: (epsilon: number) => fgsm({ epsilon, norm: "l2" }), norm: "l2", random: false },
  "fgsm with random start": {
    make: (epsilon: number) => fgsm({ epsilon, stepSize: 1.25 * epsilon, randomStart: true }),
    norm: "linf",
    random: true,
  },
  "pgd, linf": { make: (epsilon: number) => pgd({ epsilon, steps: 5 }), norm: "linf", random: true },
  "pgd, l2, early stop": {
    make: (epsilon: number) => pgd({ epsilon, norm: "l2", steps: 5, earlyStop: true }),
    norm: "l2",
    random: true,
  },
  "pgd, l1, restarts": {
    make: (epsilon: number) => pgd({ epsilon, norm: "l1", steps: 5, restarts: 3 }),
    norm: "l1",
    random: true,
  },
  "pgd, linf, momentum, restarts, early stop, batches of 3": {
    make: (epsilon: number) => pgd({ epsilon, steps: 5, momentum: 1, restarts: 2, earlyStop: true, batchSize: 3 }),
    norm: "linf",
    random: true,
  },
} as const;

for (const [name, { make, norm, random }] of Object.entries(attacks)) {
  describe(name, () => {
    for (const law of attackLaws(make, { norm, random, epsilon: 0.3 })) it(law.name, () => law.run());
  });
}
