import { testFamily } from "./vectors.ts";

testFamily("resize");
