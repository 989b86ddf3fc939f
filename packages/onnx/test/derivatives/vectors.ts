import { describe, expect, test } from "vitest";
import { derivatives, undifferentiated } from "../../src/derivatives/index.ts";
import { type Case, disagreements, hasBatch, readCases } from "./harness.ts";

/** Tests of a family's reference values, each with fixed lengths, and with the batch left open where it may be. */
export function testFamily(family: string, take: (one: Case) => boolean = () => true): void {
  const cases = readCases(family).filter((one) => take(one) && !undifferentiated.has(one.op));
  describe(`${family}: ${cases.length} cases by PyTorch in float64`, () => {
    test.each(cases.map((one) => [one.name, one] as const))("%s", async (_, one) => {
      expect(await disagreements(one, derivatives)).toEqual([]);
      if (await hasBatch(one)) expect(await disagreements(one, derivatives, { batch: true })).toEqual([]);
    });
  });
}
