// npm run demo [-- OPTIONS]: train a small CNN on MNIST, attack it, harden it, attack it again.
import { run } from "./run.mjs";
import { setUp } from "./setup.mjs";

await setUp({ build: true });
const { code } = await run(
  process.execPath,
  ["--import", "tsx", "examples/train-mnist/src/main.ts", ...process.argv.slice(2)],
  { output: "show" },
);
process.exit(code);
