// Does the tree agree with architecture.json? With --write, descriptions and the README's table are made to agree.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packages, readJson, root } from "./workspace.mjs";

const write = process.argv.includes("--write");
const architecture = readJson("architecture.json");
const problems = [];
const expect = (what, expected, got) => {
  const [a, b] = [expected, got].map((value) => JSON.stringify(value));
  if (a !== b) problems.push(`${what}: expected ${a}, got ${b}`);
};

const ringOf = (name) => architecture.packages[name]?.ring;

function checkManifest({ name, manifest }) {
  const at = `packages/${name}/package.json`;
  const repository = { type: "git", url: packages[0].manifest.repository.url, directory: `packages/${name}` };
  const fixed = {
    name: `@parapet/${name}`,
    description: architecture.packages[name].purpose,
    license: "Apache-2.0",
    repository,
    type: "module",
    sideEffects: false,
    engines: readJson("package.json").engines,
    files: ["bin", "dist", "schema", "src"].filter(
      (folder) =>
        !["bin", "schema"].includes(folder) || existsSync(new URL(`../packages/${name}/${folder}`, import.meta.url)),
    ),
    publishConfig: { access: "public", provenance: true },
  };
  for (const [field, value] of Object.entries(fixed)) expect(`${at} ${field}`, value, manifest[field]);

  for (const [dependency, range] of Object.entries(manifest.dependencies ?? {})) {
    if (!dependency.startsWith("@parapet/")) continue;
    const ring = ringOf(dependency.slice("@parapet/".length));
    if (ring !== 0)
      problems.push(
        `${at}: ${dependency} (ring ${ring}) is no part of the foundation, it may be a development dependency`,
      );
    expect(`${at} ${dependency}`, "workspace:^", range);
  }

  for (const [subpath, target] of Object.entries(manifest.exports ?? {})) {
    if (subpath === "./package.json") continue;
    const source = target["@parapet/source"];
    const types = target.types;
    expect(
      `${at} exports["${subpath}"] types`,
      [source, target.default?.replace(/\.js$/, ".d.ts")],
      [types?.["@parapet/source"], types?.default],
    );
    if (!existsSync(join(root, "packages", name, source ?? "")))
      problems.push(`${at} exports["${subpath}"]: ${source} does not exist`);
  }
  if (!existsSync(join(root, "packages", name, "README.md"))) problems.push(`packages/${name} has no README.md`);
}

function describe({ name, directory, manifest }) {
  const file = join(directory, "package.json");
  const { purpose } = architecture.packages[name];
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace(JSON.stringify(manifest.description), JSON.stringify(purpose)));
  manifest.description = purpose;
}

function table() {
  const rows = architecture.families.flatMap((family) =>
    packages
      .filter(({ name }) => architecture.packages[name]?.family === family)
      .map(({ name }) => {
        const { ring, purpose } = architecture.packages[name];
        return `| [\`@parapet/${name}\`](packages/${name}) | ${purpose} | ${family} | ${ring} |`;
      }),
  );
  return ["| package | what it does | family | ring |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

function checkReadme() {
  const file = join(root, "README.md");
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const region = /(<!-- packages:start -->\n)[\s\S]*?(<!-- packages:end -->)/;
  if (!region.test(text))
    return problems.push("README.md has no region from <!-- packages:start --> to <!-- packages:end -->");
  const right = text.replace(region, (_, start, end) => `${start}\n${table()}\n\n${end}`);
  if (write) writeFileSync(file, right);
  else if (text !== right) problems.push("README.md: the table of packages is not up to date");
}

const known = Object.keys(architecture.packages).sort();
expect("packages in architecture.json", packages.map(({ name }) => name).sort(), known);
for (const [name, { family }] of Object.entries(architecture.packages)) {
  if (!architecture.families.includes(family))
    problems.push(`architecture.json: ${name} is of no known family, "${family}"`);
}
for (const each of packages.filter(({ name }) => known.includes(name))) {
  if (write) describe(each);
  checkManifest(each);
}
checkReadme();

if (problems.length > 0) {
  console.error(problems.join("\n"));
  console.error(
    "\n`node scripts/architecture.mjs --write` mends descriptions and the table; the rest is for a person.",
  );
  process.exit(1);
}
