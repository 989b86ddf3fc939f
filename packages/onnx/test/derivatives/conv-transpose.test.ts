import { describe, expect, test } from "vitest";
import { convTranspose } from "../../src/derivatives/conv-transpose.ts";
import { disagreements, hasBatch, readCases } from "./harness.ts";

describe("transposed convolution: values by PyTorch in float64", () => {
  test.each(readCases("conv-transpose").map((one) => [one.name, one] as const))("%s", async (_, one) => {
    expect(await disagreements(one, convTranspose)).toEqual([]);
    if (await hasBatch(one)) expect(await disagreements(one, convTranspose, { batch: true })).toEqual([]);
    const free = { ...one, inputs: one.inputs.map((input) => input && { ...input, constant: false }) };
    expect(await disagreements(free, convTranspose)).toEqual([]);
  });
});
