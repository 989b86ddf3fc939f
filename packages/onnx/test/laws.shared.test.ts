import { testLaws } from "./helpers/laws.ts";
import { here } from "./helpers/runtimes.ts";

// The same laws in Node and in a browser.
testLaws(here);
