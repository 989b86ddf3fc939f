export { assertClose, assertSameBytes, type Numbers, type Tolerance } from "./assert.ts";
export type { ClassifierLawOptions, Powers } from "./classifier/subject.ts";
export { classifierLaws } from "./classifier-laws.ts";
export type { Law } from "./law.ts";
export { affineModel, researchWeights } from "./models/affine.ts";
