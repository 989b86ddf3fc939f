import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import { afterAll, beforeAll, expect, test } from "vitest";

// The import rules bite: a small workspace with one violation of each kind, judged by the rules of this one.

const packages = {
  core: { ring: 0, leaves: ["seedrandom"] },
  attestation: { ring: 0 },
  attacks: { ring: 1 },
  distillation: { ring: 1 },
  engine: { ring: 2 },
  testing: { ring: "testing" },
};

/** [file, its text, the rule that it breaks, or undefined where all is well] */
const files: [string, string, string | undefined][] = [
  ["core/src/index.ts", `export * from "./fine.ts";`, undefined],
  ["core/src/fine.ts", `export { default } from "seedrandom";`, undefined],
  ["core/src/imports-ours.ts", `import "@parapet/attestation";`, "ring-of-core"],
  ["core/src/imports-type.ts", `export type { A } from "@parapet/attestation";`, "ring-of-core"],
  ["core/src/imports-other.ts", `import "ndarray";`, "leaves-of-core"],
  ["core/src/circle-a.ts", `import "./circle-b.ts";`, "no-circular"],
  ["core/src/circle-b.ts", `import "./circle-a.ts";`, undefined], // a circle is told once
  ["attestation/src/index.ts", `export type A = 1;`, undefined],
  ["attacks/src/index.ts", `import "@parapet/core"; import "@parapet/attestation";`, undefined],
  ["attacks/src/imports-primitive.ts", `import "@parapet/distillation";`, "ring-of-attacks"],
  ["attacks/src/imports-engine.ts", `import "@parapet/engine";`, "ring-of-attacks"],
  ["attacks/src/imports-testing.ts", `import "@parapet/testing";`, "ring-of-attacks"],
  ["attacks/src/imports-node.ts", `import "node:fs";`, "node-under-node"],
  ["attacks/src/node/index.ts", `import "node:fs";`, undefined],
  ["attacks/src/imports-path.ts", `import "../../core/src/index.ts";`, "no-paths-across"],
  ["attacks/src/imports-internals.ts", `import "../../core/src/fine.ts";`, "no-internals"],
  ["attacks/src/imports-test.ts", `import "../test/laws.test.ts";`, "no-tests-in-source"],
  ["attacks/src/imports-nothing.ts", `import "./gone.ts";`, "resolvable"],
  ["attacks/test/laws.test.ts", `import "@parapet/testing"; import "@parapet/engine"; import "node:fs";`, undefined],
  ["attacks/test/vectors/values.json", "{}", undefined],
  ["attacks/src/imports-vectors.ts", `import "../../core/test/vectors/values.json";`, "no-tests-in-source"],
  ["core/test/vectors/values.json", "{}", undefined],
  ["core/test/shares-vectors.test.ts", `import "../../attacks/test/vectors/values.json";`, undefined],
  ["core/test/shares-helpers.test.ts", `import "../../attacks/test/laws.test.ts";`, "no-internals"],
  ["distillation/src/index.ts", `import "@parapet/core";`, undefined],
  ["engine/src/index.ts", `import "@parapet/core";`, undefined],
  ["engine/src/imports-primitive.ts", `import "@parapet/attacks";`, "ring-of-engine"],
  ["engine/src/imports-development.ts", `import "seedrandom";`, "no-development-dependencies"],
  ["testing/src/index.ts", `import "@parapet/core";`, undefined],
  ["testing/src/imports-engine.ts", `import "@parapet/engine";`, "ring-of-testing"],
  ["../tests/imports-internals.test.ts", `import "../packages/core/src/fine.ts";`, "no-internals-from-outside"],
];

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const fixture = realpathSync(mkdtempSync(join(tmpdir(), "parapet-architecture-")));
const broken = new Map<string, string[]>();

function write(file: string, text: string) {
  mkdirSync(dirname(join(fixture, file)), { recursive: true });
  writeFileSync(join(fixture, file), text);
}

beforeAll(async () => {
  cpSync(join(root, ".dependency-cruiser.cjs"), join(fixture, ".dependency-cruiser.cjs"));
  write("package.json", "{}");
  write("architecture.json", JSON.stringify({ packages }));
  for (const leaf of ["seedrandom", "ndarray"]) write(`node_modules/${leaf}/index.js`, "");
  mkdirSync(join(fixture, "node_modules/@parapet"));
  for (const name of Object.keys(packages)) {
    const manifest = {
      name: `@parapet/${name}`,
      exports: { ".": { "@parapet/source": "./src/index.ts", default: "./dist/index.js" } },
      [name === "engine" ? "devDependencies" : "dependencies"]: { seedrandom: "*" },
    };
    write(`packages/${name}/package.json`, JSON.stringify(manifest));
    symlinkSync(join(fixture, "packages", name), join(fixture, "node_modules/@parapet", name));
  }
  for (const [file, text] of files) write(join("packages", file), text);

  const { forbidden, options } = createRequire(import.meta.url)(join(fixture, ".dependency-cruiser.cjs"));
  const { output } = await cruise(["packages", "tests"], {
    ...options,
    ruleSet: { forbidden },
    validate: true,
    baseDir: fixture,
  });
  for (const { from, rule } of (output as ICruiseResult).summary.violations) {
    broken.set(from, [...(broken.get(from) ?? []), rule.name]);
  }
});

afterAll(() => rmSync(fixture, { recursive: true, force: true }));

test.each(files)("%s: %s", (file, _text, rule) => {
  const rules = broken.get(join("packages", file)) ?? [];
  if (rule === undefined) expect(rules).toEqual([]);
  else expect(rules).toContain(rule);
});
