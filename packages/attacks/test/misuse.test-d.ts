// What must not compile. `tsc` checks that every line marked is an error.
import { fgsm, pgd } from "@parapet/attacks";
import type { Classifier, DifferentiableClassifier, NdArray } from "@parapet/core";
import { createRng, createSecureRng, untargeted } from "@parapet/core";

declare const blackBox: Classifier;
declare const whiteBox: DifferentiableClassifier;
declare const x: NdArray;
const goal = untargeted([0]);

// @ts-expect-error a black box has no gradient
pgd({ epsilon: 0.3 })(blackBox, x, goal, { rng: createRng(0) });
// @ts-expect-error secure randomness cannot be replayed
pgd({ epsilon: 0.3 })(whiteBox, x, goal, { rng: createSecureRng() });
// @ts-expect-error randomness is never implicit
pgd({ epsilon: 0.3 })(whiteBox, x, goal, {});
// @ts-expect-error labels are not a goal
pgd({ epsilon: 0.3 })(whiteBox, x, [0], { rng: createRng(0) });
// @ts-expect-error a radius is required
fgsm({});
// @ts-expect-error no such norm
fgsm({ epsilon: 1, norm: "l3" });
