import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import { browserArguments, findBrowser } from "./scripts/browser.mjs";
import { packages, readJson } from "./scripts/workspace.mjs";

// Every test, in Node and in the browser, runs the packages' source: no build comes between a change and its test.
const sources = packages.flatMap(({ entries }) => Object.entries(entries));
const resolve = {
  alias: sources.map(([name, file]) => ({ find: new RegExp(`^${name}$`), replacement: file })),
};

// What tests import from outside the workspace in a browser: declared in the root, so that Vite can pre-bundle it.
const browserDependencies = Object.keys(readJson("package.json").devDependencies).filter((name) =>
  /^(@tensorflow\/.*|fast-check|ndarray|seedrandom)$/.test(name),
);

// A page that is isolated from other origins has SharedArrayBuffer, without which WebAssembly has one thread.
const isolated = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const node: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: "node",
    environment: "node",
    include: ["packages/*/test/**/*.test.ts", "tests/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/*.browser.test.ts"],
  },
};

const browser = (executablePath: string): TestProjectInlineConfiguration => ({
  extends: true,
  // One pre-bundle, made before the first test: finding a dependency later would reload the page in the middle of one.
  // onnxruntime-web starts its threads from its own file, and that of Node is never asked for.
  optimizeDeps: { include: browserDependencies, exclude: ["onnxruntime-node", "onnxruntime-web"] },
  server: { headers: isolated },
  test: {
    name: "browser",
    include: ["packages/*/test/**/*.{browser,shared}.test.ts", "tests/**/*.{browser,shared}.test.ts"],
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions: { executablePath, args: browserArguments } }),
      instances: [{ browser: "chromium" }],
    },
  },
});

const executablePath = findBrowser();

export default defineConfig({
  resolve,
  test: {
    testTimeout: 30_000,
    projects: executablePath === undefined ? [node] : [node, browser(executablePath)],
  },
});
