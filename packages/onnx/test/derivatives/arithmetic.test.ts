import { testFamily } from "./vectors.ts";

testFamily("arithmetic");
