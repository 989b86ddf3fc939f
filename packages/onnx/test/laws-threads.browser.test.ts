import { testLaws } from "./helpers/laws.ts";

// A page of its own: how many threads there are is settled once.
testLaws("wasm, 2 threads");
