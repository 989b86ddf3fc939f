import { testFamily } from "./vectors.ts";

testFamily("reduce");
