import { testFamily } from "./vectors.ts";

testFamily("linear");
