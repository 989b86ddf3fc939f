import { describe, expect, test } from "vitest";
import { batchNorm } from "../../src/derivatives/batch-norm.ts";
import { disagreements, hasBatch, readCases } from "./harness.ts";

const cases = readCases("normalisation").filter(({ op }) => op === "BatchNormalization");

describe("batch normalisation: values by PyTorch in float64", () => {
  test.each(cases.map((one) => [one.name, one] as const))("%s", async (_, one) => {
    expect(await disagreements(one, batchNorm)).toEqual([]);
    if (await hasBatch(one)) expect(await disagreements(one, batchNorm, { batch: true })).toEqual([]);
    const fixed = { ...one, inputs: one.inputs.map((input, i) => input && { ...input, constant: i > 0 }) };
    expect(await disagreements(fixed, batchNorm, { batch: true })).toEqual([]);
  });
});
