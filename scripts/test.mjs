// npm test [-- FILTER...]: every test; the last line is `N passed, N failed` (and `, N skipped` where some were).
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { findBrowser, howToInstall } from "./browser.mjs";
import { environment } from "./run.mjs";
import { setUp } from "./setup.mjs";
import { SummaryReporter } from "./summary-reporter.mjs";
import { packages, root } from "./workspace.mjs";

let browser;
try {
  browser = findBrowser();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
await setUp();
process.env.PATH = environment.PATH;
process.chdir(root);

const { parseCLI, startVitest } = await import("vitest/node");
const { filter, options } = parseCLI(["vitest", "run", ...process.argv.slice(2)]);
const summary = new SummaryReporter();
try {
  const vitest = await startVitest("test", filter, { ...options, watch: false, reporters: ["default", summary] });
  await vitest.close();
} catch (error) {
  console.error(error);
  summary.failed++;
}

if (browser === undefined) {
  const files = ["tests", ...packages.map(({ name }) => `packages/${name}/test`)].flatMap(browserTestsIn);
  const chosen = files.filter((file) => filter.length === 0 || filter.some((part) => file.includes(part)));
  summary.skipped += chosen.length;
  if (chosen.length > 0)
    console.log(
      `\n${chosen.length} browser test files skipped, there is no browser. To install one:\n  ${howToInstall()}`,
    );
}

// Written by hand and then left at once: an open handle must not keep the last line from being the last.
const failed = summary.failed > 0 || summary.files === 0 || Boolean(process.exitCode);
process.stdout.write(`\n${summary.line}\n`, () => process.exit(failed ? 1 : 0));

function browserTestsIn(folder) {
  try {
    const files = readdirSync(join(root, folder), { recursive: true }).map((file) => join(folder, String(file)));
    return files.filter((file) => /\.(browser|shared)\.test\.ts$/.test(file));
  } catch {
    return []; // a package without tests
  }
}
