// npm run bench [-- NAME]: the benchmarks of bench/src, on the built packages, as a user has them.
import { run } from "./run.mjs";
import { setUp } from "./setup.mjs";

await setUp({ build: true });
const { code } = await run(process.execPath, ["--import", "tsx", "bench/run.ts", ...process.argv.slice(2)], {
  output: "show",
});
process.exit(code);
