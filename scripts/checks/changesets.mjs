// The release that the changesets describe is one version for all packages, and nothing private is part of it.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { must, run } from "../run.mjs";
import { packages, root } from "../workspace.mjs";

export async function changesets() {
  const file = ".changeset/status.json";
  await must("changeset", ["status", `--since=${await lastRelease()}`, `--output=${file}`]);
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

/** The newest tag, or the first commit where there is none: changesets itself would ask for a branch of a remote. */
async function lastRelease() {
  const tag = await run("git", ["describe", "--tags", "--abbrev=0"]);
  if (tag.code === 0) return tag.output.trim();
  return (await must("git", ["rev-list", "--max-parents=0", "HEAD"])).trim().split("\n").at(-1);
}
