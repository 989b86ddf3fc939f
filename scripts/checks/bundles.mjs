// Every entry outside ./node bundles for a browser: no Node built-in, nothing that only Node resolves.
import { join } from "node:path";
import { packages } from "../workspace.mjs";

export async function bundles() {
  const { build } = await import("esbuild");
  const entries = packages.flatMap(({ directory, manifest }) =>
    Object.entries(manifest.exports)
      .filter(([subpath, target]) => typeof target === "object" && !/^\.\/node(\/|$)/.test(subpath))
      .map(([subpath, target]) => ({
        name: manifest.name + subpath.slice(1),
        file: join(directory, target.default),
        manifest,
      })),
  );
  const problems = [];
  for (const { name, file, manifest } of entries) {
    try {
      const external = Object.keys(manifest.peerDependencies ?? {});
      await build({
        entryPoints: [file],
        bundle: true,
        platform: "browser",
        format: "esm",
        write: false,
        external,
        logLevel: "silent",
      });
    } catch (error) {
      problems.push(`${name}: ${error.message}`);
    }
  }
  if (problems.length > 0) throw new Error(problems.join("\n"));
}
