import { describe, expect, it } from "vitest";
import { affineModel, classifierLaws, noisyModel, researchWeights } from "../src/index.ts";
import { testMutants } from "./broken-laws.ts";
import {
  abortMutants,
  answerMutants,
  badInputMutants,
  engine,
  good,
  gradientMutants,
  inputs,
  labels,
  randomisedMutants,
} from "./classifier-mutants.ts";
import { leakMutants, trainingMutants } from "./training-mutants.ts";

const options = { inputs, labels, patience: 1000 } as const;

describe("the laws of classifiers", () => {
  testMutants(
    {
      ...answerMutants,
      ...badInputMutants,
      ...abortMutants,
      ...gradientMutants,
      ...trainingMutants,
      ...leakMutants,
    },
    (make) =>
      classifierLaws(make, {
        ...options,
        power: "trainable",
        tensorCount: () => engine.tensors,
        dispose: () => {},
      }),
    good,
  );
});

describe("the laws of randomised classifiers", () => {
  const names = Object.keys(randomisedMutants);
  testMutants(
    randomisedMutants,
    (make) => classifierLaws(make, { ...options, randomised: true }).filter(({ name }) => names.includes(name)),
    () => noisyModel(good(), 0.1),
  );
});

describe("which laws there are", () => {
  const namesFor = (power: "classifier" | "differentiable", more = {}) =>
    classifierLaws(() => affineModel(researchWeights), { ...options, power, ...more }).map(({ name }) => name);

  it("a black box is not asked for gradients", () => {
    expect(namesFor("classifier").filter((name) => /gradient|pullback|step/.test(name))).toEqual([]);
    expect(namesFor("differentiable").filter((name) => /step/.test(name))).toEqual([]);
  });

  it("leaks are looked for where tensors can be counted", () => {
    const leaks = (names: string[]) => names.filter((name) => name.includes("tensors")).length;
    expect(leaks(namesFor("differentiable"))).toBe(0);
    expect(leaks(namesFor("differentiable", { tensorCount: () => 0 }))).toBe(11);
  });
});

describe("an engine that is not exact", () => {
  const rounded = (by: number) => () => {
    const model = affineModel(researchWeights);
    let calls = 0;
    return {
      ...model,
      async logits(...given: Parameters<typeof model.logits>) {
        const logits = await model.logits(...given);
        calls += 1;
        return { ...logits, data: logits.data.map((value) => value + (calls % 2) * by) };
      },
    };
  };
  const law = (by: number, exact: boolean) =>
    classifierLaws(rounded(by), { ...options, exact }).find(({ name }) => name.startsWith("the same call"))!;

  it("may round otherwise from call to call, but not far", async () => {
    await law(1e-6, false).run();
    await expect(law(1e-6, true).run()).rejects.toThrow("expected");
    await expect(law(1e-3, false).run()).rejects.toThrow("within");
  });
});
