import {
  boundary,
  brendelBethge,
  carliniWagner,
  ddn,
  deepFool,
  elasticNet,
  fab,
  fmn,
  geoda,
  hopSkipJump,
  signOpt,
} from "@parapet/attacks";
import type { Attack, Labeler } from "@parapet/core";
import type { OnnxClassifier } from "@parapet/onnx";
import type { Library, NormName } from "../peers/attacks.ts";

/** The smallest distance that an attack finds here, and with the same steps and search there. */
export interface Contest {
  /** By this name the libraries' findings are kept. */
  readonly name: string;
  readonly attack: string;
  readonly norm: NormName;
  /** `queries` is what the library made for one example, for attacks that have a number of queries instead of steps. */
  readonly ours: (queries: number) => Attack<OnnxClassifier> | Attack<Labeler>;
  readonly libraries: readonly Library[];
  readonly options: Readonly<Record<string, number | string>>;
  /** The first so many test images. */
  readonly images: number;
  /** Compared at as many queries as each library makes; the others at equal steps. */
  readonly equalQueries: boolean;
}

const gradient = { images: 100, equalQueries: false };
const decision = { images: 30, equalQueries: true };
const search = { steps: 100, stepSize: 0.01, searchSteps: 9, initialConstant: 0.001 };
const norms = ["l0", "l1", "l2", "linf"] as const;
const balls = ["l1", "l2", "linf"] as const;

/**
 * C&W's step here is twice theirs: its space is stretched, so that a feature's way is a fifth as long.
 *
 * Left out for their defects, which our tests of the attacks state: torchattacks' C&W (masks by multiplication, pixels of
 * exactly 0 or 1 cannot move, one image's cost stops the batch) and its FAB in l1, which does not run.
 */
export const contests: readonly Contest[] = [
  {
    name: "DeepFool, l2",
    attack: "deepFool",
    norm: "l2",
    ours: () => deepFool({ norm: "l2", steps: 50, overshoot: 0.02 }),
    libraries: ["foolbox", "torchattacks", "art"],
    options: { steps: 50, overshoot: 0.02 },
    ...gradient,
  },
  {
    name: "DeepFool, linf",
    attack: "deepFool",
    norm: "linf",
    ours: () => deepFool({ norm: "linf", steps: 50, overshoot: 0.02 }),
    libraries: ["foolbox"],
    options: { steps: 50, overshoot: 0.02 },
    ...gradient,
  },
  {
    name: "Carlini-Wagner, l2",
    attack: "carliniWagner",
    norm: "l2",
    ours: () => carliniWagner({ norm: "l2", ...search, stepSize: 0.02 }),
    libraries: ["foolbox", "art"],
    options: search,
    ...gradient,
  },
  {
    name: "Carlini-Wagner, linf",
    attack: "carliniWagner",
    norm: "linf",
    // ART tries 21 constants for each limit, and as many limits as fit: a multiple of what is searched here.
    ours: () => carliniWagner({ norm: "linf", steps: 50, stepSize: 0.02, searchSteps: 9 }),
    libraries: ["art"],
    options: { steps: 50, stepSize: 0.01 },
    ...gradient,
    images: 10,
  },
  {
    name: "DDN, l2",
    attack: "ddn",
    norm: "l2",
    ours: () => ddn({ steps: 100 }),
    libraries: ["foolbox"],
    options: { steps: 100 },
    ...gradient,
  },
  ...norms.map(
    (norm): Contest => ({
      name: `FMN, ${norm}`,
      attack: "fmn",
      norm,
      ours: () => fmn({ norm, steps: 100 }),
      libraries: ["foolbox"],
      options: { steps: 100 },
      ...gradient,
    }),
  ),
  ...balls.map(
    (norm): Contest => ({
      name: `FAB, ${norm}`,
      attack: "fab",
      norm,
      ours: () => fab({ norm, steps: 100, restarts: 1 }),
      libraries: norm === "l1" ? ["auto-attack"] : ["auto-attack", "torchattacks"],
      // The radius from which restarts begin, and beyond which a point is not given back.
      options: { steps: 100, epsilon: { l1: 784, l2: 28, linf: 1 }[norm] },
      ...gradient,
    }),
  ),
  {
    name: "ElasticNet, l1",
    attack: "elasticNet",
    norm: "l1",
    ours: () => elasticNet({ norm: "l1", ...search, regularization: 0.01 }),
    libraries: ["foolbox", "torchattacks", "art"],
    options: { ...search, beta: 0.01, rule: "L1" },
    ...gradient,
  },
  ...balls.map(
    (norm): Contest => ({
      name: `Brendel-Bethge, ${norm}`,
      attack: "brendelBethge",
      norm,
      ours: () => brendelBethge({ norm, steps: 200 }),
      libraries: ["foolbox", "art"],
      options: { steps: 200 },
      ...gradient,
    }),
  ),
  ...(["l2", "linf"] as const).map(
    (norm): Contest => ({
      name: `HopSkipJump, ${norm}`,
      attack: "hopSkipJump",
      norm,
      ours: (queries) => hopSkipJump({ norm, queries: Math.floor(queries) }),
      libraries: ["foolbox", "art"],
      options: { steps: 16, first: 100, most: 10_000 },
      ...decision,
    }),
  ),
  {
    name: "Boundary, l2",
    attack: "boundary",
    norm: "l2",
    ours: (queries) => boundary({ queries: Math.floor(queries) }),
    libraries: ["foolbox", "art"],
    // Of ART a step makes about 500 queries.
    options: { steps: 4000, artSteps: 8 },
    ...decision,
  },
  {
    name: "SignOPT, l2",
    attack: "signOpt",
    norm: "l2",
    ours: (queries) => signOpt({ queries: Math.floor(queries) }),
    libraries: ["art"],
    options: { queries: 5000 },
    ...decision,
  },
  {
    name: "GeoDA, l2",
    attack: "geoda",
    norm: "l2",
    ours: (queries) => geoda({ norm: "l2", queries: Math.floor(queries) }),
    libraries: ["art"],
    options: { queries: 4000 },
    ...decision,
  },
];
