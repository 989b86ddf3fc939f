// The import rules, made from architecture.json and from the packages' own `exports`.
const { existsSync, readFileSync } = require("node:fs");
const { join } = require("node:path");

const { packages } = JSON.parse(readFileSync(join(__dirname, "architecture.json"), "utf8"));
const names = Object.keys(packages);
const either = (list) => `(${list.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`;

/** The packages that the source of `name` may import: the foundation, and for the foundation nothing. */
const importable = (name) =>
  packages[name].ring === 0 ? [] : names.filter((other) => packages[other].ring === 0 && other !== name);

const inward = names.map((name) => ({
  name: `ring-of-${name}`,
  comment: `${name} (ring ${packages[name].ring}) may import of ours: ${importable(name).join(", ") || "nothing"}. Take another primitive as an argument.`,
  severity: "error",
  from: { path: `^packages/${name}/src/` },
  to: { path: "^packages/", pathNot: `^packages/${either([name, ...importable(name)])}/` },
}));

const outward = names.map((name) => ({
  name: `leaves-of-${name}`,
  comment: `${name} may import of others only what architecture.json lists as its leaves.`,
  severity: "error",
  from: { path: `^packages/${name}/src/` },
  to: {
    path: "node_modules/",
    pathNot: (packages[name].leaves ?? []).map((leaf) => `node_modules/(@types/)?${leaf}/`),
  },
}));

// The files behind a package's `exports`: the only ones that others may see.
const entries = names.flatMap((name) => {
  const manifest = join(__dirname, "packages", name, "package.json");
  if (!existsSync(manifest)) return [];
  const targets = Object.values(JSON.parse(readFileSync(manifest, "utf8")).exports ?? {});
  return targets.flatMap((target) => {
    const file = typeof target === "object" && target["@parapet/source"];
    return file ? [`packages/${name}/${file.replace(/^\.\//, "")}`] : [];
  });
});

const source = "^packages/[^/]+/src/";
// Reference values are data: the tests of several packages may be held against the same ones.
const vectors = "^packages/[^/]+/test/vectors/";

const general = [
  {
    name: "no-internals",
    comment: "What is not in a package's exports does not exist for others.",
    severity: "error",
    from: { path: "^packages/([^/]+)/" },
    to: { path: "^packages/(?!$1/)", pathNot: [`^${either(entries)}$`, vectors] },
  },
  {
    name: "no-internals-from-outside",
    comment: "Examples, benchmarks and the tests of the whole see what a user sees.",
    severity: "error",
    from: { path: "^(bench|docs|examples|tests)/" },
    to: { path: "^packages/", pathNot: `^${either(entries)}$` },
  },
  {
    name: "no-paths-across",
    comment: "Another package is imported by its name: a path would bundle a copy of it.",
    severity: "error",
    from: { path: "^packages/([^/]+)/" },
    to: { path: "^packages/(?!$1/)", pathNot: vectors, dependencyTypes: ["local"] },
  },
  {
    name: "node-under-node",
    comment: "Node built-ins only under src/node/: every root entry bundles for a browser.",
    severity: "error",
    from: { path: source, pathNot: `${source}node/` },
    to: { dependencyTypes: ["core"] },
  },
  {
    name: "no-tests-in-source",
    severity: "error",
    from: { path: source },
    to: { path: "^(packages/[^/]+/test|tests|bench|examples)/" },
  },
  {
    name: "no-development-dependencies",
    comment: "What the source imports is declared in dependencies or peerDependencies.",
    severity: "error",
    from: { path: source },
    // An optional peer stands in two fields, of which one is not known to the tool.
    to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"], dependencyTypesNot: ["npm-peer"] },
  },
  { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
  // What Vite serves as a file of its own (`?url`) is found by Vite.
  { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true, pathNot: "\\.wasm\\?url$" } },
];

module.exports = {
  forbidden: [...inward, ...outward, ...general],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(dist|out|\\.cache)/" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["@parapet/source", "import", "node", "default", "types"],
      extensions: [".ts", ".d.ts", ".mjs", ".cjs", ".js", ".json"],
    },
  },
};
