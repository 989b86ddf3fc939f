import { describe, expect, test } from "vitest";
import { pooling } from "../../src/derivatives/pooling.ts";
import { disagreements, hasBatch, readCases } from "./harness.ts";

describe("pooling: values by PyTorch in float64", () => {
  test.each(readCases("pooling").map((one) => [one.name, one] as const))("%s", async (_, one) => {
    expect(await disagreements(one, pooling)).toEqual([]);
    if (await hasBatch(one)) expect(await disagreements(one, pooling, { batch: true })).toEqual([]);
  });
});
