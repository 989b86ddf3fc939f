import { testFamily } from "./vectors.ts";

testFamily("softmax");
