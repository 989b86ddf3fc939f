import { ndArray } from "@parapet/core";
import { describe, it } from "vitest";
import { affineModel, classifierLaws, researchWeights } from "../src/index.ts";

const inputs = ndArray([0.6, 0.7, 0.2, 0.1, 0.9, 0.5, 0.3, 0.3, 0.8, 0, 1, 0.5], [4, 3]);

describe("affineModel obeys the laws of a white box", () => {
  const laws = classifierLaws(() => affineModel(researchWeights), { inputs, labels: [0, 1, 2, 0] });
  for (const law of laws) it(law.name, law.run);
});
