import { type Adaptive, eot, evaluateRobustness, pgd, trustChecks } from "@parapet/attacks";
import { createRng, type DifferentiableClassifier, margin, untargeted } from "@parapet/core";
import { beforeAll, describe, expect, it } from "vitest";
import { openNetwork } from "../bench/models/open.ts";
import { type Digits, loadMnist, slice } from "../examples/train-mnist/src/mnist.ts";
import { brokenDefences } from "./helpers/broken-defences.ts";

// The checks on trained CNNs, for seeds and images on which none of their rules was chosen.
const epsilon = 0.3;
const seeds = [100, 101, 102, 103, 104];
const count = 24;
let test: Digits;
let standard: DifferentiableClassifier;
let hardened: DifferentiableClassifier;

beforeAll(async () => {
  test = loadMnist().test;
  standard = (await openNetwork("standard"))!.model;
  hardened = (await openNetwork("pgd"))!.model;
}, 60_000);

/** Other images for each seed. */
const images = (seed: number) => slice(test, 5000 + count * (seed - 100), 5000 + count * (seed - 99));

const evaluated = (model: DifferentiableClassifier, surrogate: DifferentiableClassifier, seed: number) =>
  evaluateRobustness(model, images(seed).x, images(seed).labels, {
    attacks: { pgd: pgd({ epsilon }) },
    norm: "linf",
    epsilon,
    rng: createRng(seed),
    seed,
    checkExamples: 16,
    checks: trustChecks({ surrogate }),
  });

describe.each(seeds)("an honest CNN raises no flag, seed %i", (seed) => {
  const flagged = async (model: DifferentiableClassifier, surrogate: DifferentiableClassifier) =>
    (await evaluated(model, surrogate, seed)).checks.filter(({ flag }) => flag !== false);

  it("as trained in the usual way", async () => {
    expect(await flagged(standard, hardened)).toEqual([]);
  }, 60_000);

  it("hardened by adversarial training", async () => {
    expect(await flagged(hardened, standard)).toEqual([]);
  }, 60_000);
});

const expectations: Readonly<Record<string, readonly [check: string, adaptive: Adaptive]>> = {
  "scaled logits": ["zero gradients", "margin"],
  "quantised input": ["gradients against differences", "bpda"],
  "random noise": ["randomness", "eot"],
  "saturated softmax": ["softmax output", "bpda"],
  "stochastic dropout": ["randomness", "eot"],
  "JPEG-like preprocessing": ["gradients against differences", "bpda"],
};

describe.each(Object.entries(expectations))("%s on a CNN is flagged, and then broken", (name, [check, adaptive]) => {
  it.each(seeds)(
    "seed %i",
    async (seed) => {
      const { x, labels } = images(seed);
      const { model, standIn } = brokenDefences[name]!(standard, 28);
      const finding = (await evaluated(model, hardened, seed)).checks.find((one) => one.name === check)!;
      expect(finding).toMatchObject({ flag: true });
      expect(finding.adaptive[0]).toBe(adaptive);

      const mean = eot(model, { samples: 8 });
      const on = { margin: model, bpda: standIn, eot: mean }[adaptive as "margin" | "bpda" | "eot"];
      const attack = pgd({ epsilon, steps: 20, stepSize: 0.03 });
      const { adversarial } = await attack(on, x, untargeted(labels, margin(labels)), { rng: createRng(seed) });
      const keys = Uint32Array.from(labels, (_, i) => 977 * i + seed);
      const judge = adaptive === "eot" ? eot(model, { samples: 32 }) : model;
      const answers = (await judge.labels(adversarial, { keys })).data;
      expect(labels.filter((label, i) => answers[i] === label).length / count).toBeLessThan(0.3);
    },
    60_000,
  );
});
