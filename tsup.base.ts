import { existsSync, readFileSync } from "node:fs";
import { defineConfig } from "tsup";

// The one build configuration. The entries are the package's own `exports`, so the two cannot drift apart.
const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as {
  exports: Record<string, string | { default: string }>;
};
const entry: Record<string, string> = {};
for (const [subpath, target] of Object.entries(exports)) {
  if (typeof target === "string") continue; // "./package.json"
  const name = target.default.replace(/^\.\/dist\//, "").replace(/\.js$/, "");
  const source = [`src/${name}.ts`, `src/${name}/index.ts`].find((file) => existsSync(file));
  if (source === undefined) throw new Error(`exports["${subpath}"] has no source for ${target.default}`);
  entry[name] = source;
}

export default defineConfig({
  entry,
  format: ["esm"],
  target: "es2022",
  platform: "neutral",
  dts: { compilerOptions: { ignoreDeprecations: "6.0" } },
  sourcemap: true,
  clean: true,
  minify: false,
  splitting: true,
  external: [/^node:/],
  removeNodeProtocol: false,
});
