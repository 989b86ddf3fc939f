import { testFamily } from "./vectors.ts";

testFamily("normalisation", ({ op }) => op !== "BatchNormalization");
