// The tarballs, installed with plain npm into a project outside the workspace, imported in Node and bundled for a browser.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must } from "../run.mjs";
import { readJson, root } from "../workspace.mjs";

export async function install(tarballs) {
  const folder = mkdtempSync(join(tmpdir(), "parapet-install-"));
  try {
    const peers = new Set(tarballs.flatMap(({ manifest }) => Object.keys(manifest.peerDependencies ?? {})));
    const versionOf = (name) => readJson(`node_modules/${name}/package.json`).version;
    const dependencies = Object.fromEntries([
      ...tarballs.map(({ name, tarball }) => [name, `file:${tarball}`]),
      ...[...peers].map((name) => [name, versionOf(name)]),
    ]);
    // What the packages need of one another is taken from the tarballs too, never asked of the registry.
    const overrides = Object.fromEntries(tarballs.map(({ name }) => [name, `$${name}`]));
    const manifest = { name: "scratch", private: true, type: "module", dependencies, overrides };
    writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));

    const flags = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
    await must("npm", ["install", ...flags], { cwd: folder });

    const entries = tarballs.flatMap(({ name, manifest }) =>
      Object.entries(manifest.exports).flatMap(([subpath, target]) =>
        typeof target === "object" ? [name + subpath.slice(1)] : [],
      ),
    );
    const all = (names) => names.map((name, i) => `import * as e${i} from ${JSON.stringify(name)};`).join("\n");
    const count = (names) =>
      `console.log([${names.map((_, i) => `e${i}`)}].map((e) => Object.keys(e).length).join(" "));`;
    writeFileSync(join(folder, "node.js"), `${all(entries)}\n${count(entries)}\n`);
    const counts = (await must(process.execPath, ["node.js"], { cwd: folder }))
      .trim()
      .split("\n")
      .at(-1)
      .split(" ")
      .map(Number);
    const empty = entries.filter((_, i) => !(counts[i] > 0));
    if (empty.length > 0) throw new Error(`without exports: ${empty.join(", ")}`);

    const forBrowsers = entries.filter((name) => !/^@parapet\/[^/]+\/node(\/|$)/.test(name));
    writeFileSync(join(folder, "browser.js"), `${all(forBrowsers)}\n${count(forBrowsers)}\n`);
    const { build } = await import("esbuild");
    await build({
      absWorkingDir: folder,
      entryPoints: ["browser.js"],
      bundle: true,
      platform: "browser",
      format: "esm",
      outfile: "out.js",
      logLevel: "silent",
    });
    if (readFileSync(join(folder, "out.js"), "utf8").includes(root))
      throw new Error("the bundle took files from the workspace");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
