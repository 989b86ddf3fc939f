export { inverseRegularizedIncompleteBeta, regularizedIncompleteBeta, type Tail } from "./beta.ts";
export { logBeta, logGamma } from "./gamma.ts";
export { erf, erfc, normalCdf, normalQuantile } from "./normal.ts";
