// npm run check [-- NAME...]: all that has to hold besides the tests. One line each, the whole output on failure.
import { availableParallelism } from "node:os";
import { bundles } from "./checks/bundles.mjs";
import { changesets } from "./checks/changesets.mjs";
import { install } from "./checks/install.mjs";
import { contents, pack, packed } from "./checks/pack.mjs";
import { must } from "./run.mjs";
import { setUp } from "./setup.mjs";

const tool = (command, ...args) => must(command, args);
const script = (name) => tool(process.execPath, `scripts/${name}`);
const turbo = (task) =>
  tool("turbo", "run", task, "--continue", "--output-logs=errors-only", `--concurrency=${availableParallelism()}`);

const cruised = ["packages", "bench", "examples", "tests"];

const checks = {
  format: () => tool("biome", "check", "--error-on-warnings", "--colors=off", "."),
  architecture: () => script("architecture.mjs"),
  imports: () => tool("depcruise", "--config", ".dependency-cruiser.cjs", "--output-type", "err-long", ...cruised),
  build: () => turbo("build"),
  types: async () => {
    await turbo("types");
    await tool("tsc", "-p", "tests");
  },
  unused: () => tool("knip", "--no-config-hints"),
  changesets,
  size: () => tool("size-limit", "--hide-passed"),
  bundles,
  contents: async () => contents(await pack()),
  publint: async () => {
    for (const { tarball } of await pack()) await tool("publint", "run", tarball, "--strict");
  },
  "package-types": async () => {
    for (const { tarball } of await pack()) {
      await tool("attw", tarball, "--profile", "esm-only", "--no-definitely-typed", "--no-emoji");
    }
  },
  install: async () => install(await pack()),
};
const needBuild = ["size", "bundles", "contents", "publint", "package-types", "install"];

const chosen = process.argv.slice(2);
const unknown = chosen.find((name) => !(name in checks));
if (unknown !== undefined) {
  console.error(`no check is called "${unknown}", there are: ${Object.keys(checks).join(", ")}`);
  process.exit(2);
}
const names = Object.keys(checks).filter((name) => chosen.length === 0 || chosen.includes(name));

await setUp({ build: chosen.length > 0 && names.some((name) => needBuild.includes(name)) });
let failures = 0;
let built = true;
for (const name of names) {
  const start = performance.now();
  try {
    if (!built && needBuild.includes(name)) throw new Error("there is no build to look at");
    await checks[name]();
    console.log(`ok ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failures++;
    if (name === "build") built = false;
    console.log(`FAILED ${name}\n${indent(error.message)}\n`);
  }
}
packed.remove();
console.log(failures === 0 ? `${names.length} checks passed` : `${failures} of ${names.length} checks failed`);
process.exit(failures === 0 ? 0 : 1);

function indent(text) {
  return text.replace(/^/gm, "  ");
}
