import { testFamily } from "./vectors.ts";

testFamily("shape");
