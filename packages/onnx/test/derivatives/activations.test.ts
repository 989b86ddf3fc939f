import { testFamily } from "./vectors.ts";

testFamily("activations");
