import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

// The last line of `npm test` hides nothing: a run in which everything that can go wrong does, counted.

const root = fileURLToPath(new URL("..", import.meta.url));

const files = {
  "tests.test.js": `
    import { expect, test } from "vitest";
    test("passes", () => {});
    test("fails", () => expect(1).toBe(2));
    test.skip("is skipped", () => {});
    test.todo("is to be written");`,
  "hook.test.js": `
    import { beforeAll, describe, test } from "vitest";
    describe("a suite", () => { beforeAll(() => { throw new Error("hook") }); test("inside", () => {}) });`,
  "load.test.js": `import "./missing.js";`,
  "empty.test.js": ``,
  "unhandled.test.js": `
    import { test } from "vitest";
    test("leaves a rejection behind", () => { Promise.reject(new Error("lost")); return new Promise((done) => setTimeout(done, 50)) });`,
  "dies.test.js": `
    import { test } from "vitest";
    test("never ends", () => { process.kill(process.pid, "SIGKILL"); return new Promise(() => {}) });`,
};

function lineFor(chosen: (keyof typeof files)[]): string {
  mkdirSync(join(root, ".cache"), { recursive: true });
  const folder = mkdtempSync(join(root, ".cache/summary-"));
  try {
    for (const file of chosen) writeFileSync(join(folder, file), files[file]);
    const program = `
      import { startVitest } from "vitest/node";
      import { SummaryReporter } from "./scripts/summary-reporter.mjs";
      const summary = new SummaryReporter();
      const options = { root: ${JSON.stringify(folder)}, config: false, watch: false, reporters: [summary] };
      const vitest = await startVitest("test", [], options);
      await vitest.close();
      process.stdout.write("\\n" + summary.line, () => process.exit(0));`;
    const args = ["--input-type=module", "--eval", program];
    const output = execFileSync(process.execPath, args, {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return output.split("\n").at(-1) as string;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test.each<[keyof typeof files, string]>([
  ["tests.test.js", "1 passed, 1 failed, 2 skipped"],
  ["hook.test.js", "0 passed, 1 failed, 1 skipped"],
  ["load.test.js", "0 passed, 1 failed"],
  ["empty.test.js", "0 passed, 1 failed"],
  ["unhandled.test.js", "1 passed, 1 failed"],
])("%s: %s", { timeout: 60_000 }, (file, line) => {
  expect(lineFor([file])).toBe(line);
});

test("a process that dies fails the run", { timeout: 60_000 }, () => {
  expect(lineFor(["dies.test.js"])).toMatch(/^0 passed, [1-9]\d* failed$/);
});
