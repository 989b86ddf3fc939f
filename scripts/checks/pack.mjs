// The tarballs as they would be published. pnpm packs them: it puts versions in place of `workspace:` and adds the LICENSE.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must } from "../run.mjs";
import { packages } from "../workspace.mjs";

export const packed = {
  folder: undefined,
  tarballs: undefined,
  remove() {
    if (this.folder) rmSync(this.folder, { recursive: true, force: true });
  },
};

/** Packs every package, once however often it is asked: `[{ name, manifest, tarball, files }]`. */
export function pack() {
  packed.folder ??= mkdtempSync(join(tmpdir(), "parapet-pack-"));
  packed.tarballs ??= Promise.all(
    packages.map(async ({ manifest, directory }) => {
      const { filename: tarball } = JSON.parse(
        await must("pnpm", ["pack", "--json", "--pack-destination", packed.folder], { cwd: directory }),
      );
      const files = (await must("tar", ["-tzf", tarball]))
        .trim()
        .split(/\r?\n/)
        .map((path) => path.replace(/^package\//, ""));
      return { name: manifest.name, manifest, tarball, files };
    }),
  );
  return packed.tarballs;
}

/** Every tarball holds what it should, and nothing else. */
export function contents(tarballs) {
  const allowed =
    /^(dist\/.+\.(js|js\.map|d\.ts)|src\/.+\.ts|schema\/.+\.json|bin\/.+\.js|README\.md|LICENSE|CHANGELOG\.md|package\.json)$/;
  const problems = tarballs.flatMap(({ name, files }) => {
    const needed = ["package.json", "README.md", "LICENSE", "dist/index.js", "dist/index.d.ts", "src/index.ts"];
    return [
      ...needed.filter((file) => !files.includes(file)).map((file) => `${name}: ${file} is missing`),
      ...files.filter((file) => !allowed.test(file)).map((file) => `${name}: ${file} does not belong there`),
    ];
  });
  if (problems.length > 0) throw new Error(problems.join("\n"));
}
