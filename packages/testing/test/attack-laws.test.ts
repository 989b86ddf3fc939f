import { describe, expect, it } from "vitest";
import { attackLaws } from "../src/index.ts";
import {
  geometryMutants,
  honestyMutants,
  independenceMutants,
  inputMutants,
  type Make,
  maskMutants,
} from "./attack-mutants.ts";
import { testMutants } from "./broken-laws.ts";
import { referenceAttack } from "./reference-attack.ts";

const options = { norm: "linf", epsilon: 0.2 } as const;
const lawsOf = (make: () => Make) => attackLaws((epsilon) => make()(epsilon), options);

describe("the laws of attacks", () => {
  testMutants(
    { ...geometryMutants, ...independenceMutants, ...honestyMutants, ...maskMutants, ...inputMutants },
    lawsOf,
    () => referenceAttack,
  );

  it("a random attack that is said not to be is caught", async () => {
    const laws = attackLaws(referenceAttack, { ...options, random: false });
    const law = laws.find(({ name }) => name.startsWith("the seed matters"))!;
    await expect(law.run()).rejects.toThrow("another seed: expected the same result");
  });

  it("an attack without masks is not asked for them", () => {
    const names = attackLaws(referenceAttack, { ...options, masks: false }).map(({ name }) => name);
    expect(names.filter((name) => name.includes("mask"))).toEqual([]);
  });
});
