// What this workspace holds, read from the tree. Node built-ins only: this runs before anything is installed.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");

/** The parsed JSON of a file, by its path from the root. */
export const readJson = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));

/**
 * Every package: its folder's name, its folder, its manifest, and the source file behind each of its entries
 * (`{ "@parapet/tfjs/fast-wasm": "/.../packages/tfjs/src/fast-wasm/index.ts" }`).
 */
export const packages = readdirSync(join(root, "packages"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(join(root, "packages", entry.name, "package.json")))
  .map(({ name }) => {
    const directory = join(root, "packages", name);
    const manifest = readJson(`packages/${name}/package.json`);
    const entries = {};
    for (const [subpath, target] of Object.entries(manifest.exports ?? {})) {
      if (typeof target === "object")
        entries[manifest.name + subpath.slice(1)] = join(directory, target["@parapet/source"]);
    }
    return { name, directory, manifest, entries };
  });
