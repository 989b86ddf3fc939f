import { describe, expect, test } from "vitest";
import { conv } from "../../src/derivatives/conv.ts";
import { disagreements, hasBatch, readCases } from "./harness.ts";

describe("conv: values by PyTorch in float64", () => {
  test.each(readCases("conv").map((one) => [one.name, one] as const))("%s", async (_, one) => {
    expect(await disagreements(one, conv)).toEqual([]);
    if (await hasBatch(one)) expect(await disagreements(one, conv, { batch: true })).toEqual([]);
    const free = { ...one, inputs: one.inputs.map((input) => input && { ...input, constant: false }) };
    expect(await disagreements(free, conv)).toEqual([]);
  });
});
