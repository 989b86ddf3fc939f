// The release that the changesets describe is one version for all packages, and nothing private is part of it.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../run.mjs";
import { packages, root } from "../workspace.mjs";

export async function changesets() {
  // Since HEAD: a clone may have no branch to compare with, and that every change has its changeset is a reviewer's question.
  const file = ".changeset/status.json";
  const { code, output } = await run("changeset", ["status", "--since=HEAD", `--output=${file}`]);
  if (code !== 0) throw new Error(output);
  const { releases } = JSON.parse(readFileSync(join(root, file), "utf8"));
  rmSync(join(root, file));
  if (releases.length === 0) return;

  const ours = packages.map(({ manifest }) => manifest.name);
  const strangers = releases.filter(({ name, type }) => type !== "none" && !ours.includes(name));
  if (strangers.length > 0) throw new Error(`would release ${strangers.map(({ name }) => name).join(", ")}`);
  const versions = new Set(releases.filter(({ name }) => ours.includes(name)).map(({ newVersion }) => newVersion));
  const missing = ours.filter((name) => !releases.some((release) => release.name === name));
  if (versions.size > 1 || missing.length > 0) {
    throw new Error(
      `one version for all expected, got ${[...versions].join(", ")}; without a release: ${missing.join(", ") || "none"}`,
    );
  }
}
