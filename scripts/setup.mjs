// From a fresh clone to a workspace that works, with Node and npm alone. The second time it finds nothing to do.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { step } from "./run.mjs";
import { readJson, root } from "./workspace.mjs";

const { packageManager, engines } = readJson("package.json");
const path = (...parts) => join(root, ...parts);

function checkNode() {
  const needed = engines.node.replace(">=", "").split(".").map(Number);
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > needed[0] || (major === needed[0] && minor >= needed[1])) return;
  console.error(`Parapet needs Node ${engines.node}, this is ${process.versions.node}: https://nodejs.org/en/download`);
  process.exit(1);
}

/** The pinned pnpm, in a folder of its own that takes its name only once it is whole. */
async function installPnpm() {
  const version = packageManager.split("@")[1];
  const manifest = path(".tools/node_modules/pnpm/package.json");
  if (existsSync(manifest) && JSON.parse(readFileSync(manifest, "utf8")).version === version) return;
  const partial = path(".tools.partial");
  rmSync(partial, { recursive: true, force: true });
  const flags = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  await step(`set-up: pnpm ${version}`, "npm", ["install", "--prefix", partial, ...flags, packageManager]);
  rmSync(path(".tools"), { recursive: true, force: true });
  renameSync(partial, path(".tools"));
}

/** The dependencies, when the lockfile is another than the one they were last completely installed from. */
async function installDependencies() {
  const stamp = path("node_modules/.parapet-installed");
  const lockfile = createHash("sha256")
    .update(readFileSync(path("pnpm-lock.yaml")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lockfile) return;
  rmSync(stamp, { force: true });
  const flags = ["--frozen-lockfile", "--prefer-offline", "--config.confirmModulesPurge=false"];
  await step("set-up: dependencies", "pnpm", ["install", ...flags]);
  writeFileSync(`${stamp}.partial`, lockfile);
  renameSync(`${stamp}.partial`, stamp);
}

/** Everything a script needs before its own work; `build: true` also builds the packages (what has not changed is kept). */
export async function setUp({ build = false } = {}) {
  checkNode();
  await installPnpm();
  await installDependencies();
  if (build) await step("set-up: packages", "turbo", ["run", "build", "--output-logs=errors-only"]);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await setUp({ build: true });
  console.log("ready");
}
