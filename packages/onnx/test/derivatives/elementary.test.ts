import { testFamily } from "./vectors.ts";

testFamily("elementary");
