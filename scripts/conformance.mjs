// npm run conformance: the public cases for the formats that are spoken here, from the folder named by PARAPET_VECTORS.
import { run } from "./run.mjs";
import { setUp } from "./setup.mjs";

await setUp({ build: false });
const { code } = await run(
  process.execPath,
  ["--import", "tsx", "--conditions=@parapet/source", "packages/model-signing/test/conformance.ts"],
  { output: "show" },
);
process.exit(code);
