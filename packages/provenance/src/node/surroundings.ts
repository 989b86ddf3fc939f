import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { createRedactor, isSecretName } from "../recorder/redact.ts";
import type { CodeVersion, Environment } from "../run.ts";

/** Options of `environment`. */
export interface EnvironmentOptions {
  /** Names of packages whose versions matter. */
  readonly packages?: readonly string[];
  /** Names of variables whose values matter; those that sound like secrets are refused. */
  readonly variables?: readonly string[];
  /** Where packages are looked up; default: the folder of the process. */
  readonly from?: string;
}

/**
 * Where this program runs: versions, processor, and the variables that are asked for, no others.
 *
 * @param options - which packages and variables
 * @returns for `createRecorder`
 * @throws RangeError for a variable whose name sounds like a secret
 *
 * @example
 * ```ts
 * import { environment } from "@parapet/provenance/node";
 * try {
 *   environment({ variables: ["API_TOKEN"] });
 * } catch (error) {
 *   console.log((error as Error).message.slice(0, 20)); // => "variables" expected
 * }
 * ```
 */
export function environment(options: EnvironmentOptions = {}): Environment {
  const { packages = [], variables = [], from = process.cwd() } = options;
  const secret = variables.find(isSecretName);
  if (secret !== undefined)
    throw new RangeError(`"variables" expected names that are no secrets, got ${JSON.stringify(secret)}`);
  const clean = createRedactor(environmentSecrets());
  const given = variables.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, clean(value)] as const];
  });
  const processor = cpus()[0]?.model.trim();
  return {
    runtime: `node ${process.versions.node}`,
    platform: `${process.platform} ${process.arch}`,
    ...(processor === undefined || processor === "" ? {} : { processor }),
    packages: Object.fromEntries(packages.map((name) => [name, packageVersion(name, from)])),
    variables: Object.fromEntries(given),
  };
}

function packageVersion(name: string, from: string): string {
  const { paths } = createRequire(join(resolve(from), "x.js")).resolve;
  for (const folder of paths(name) ?? []) {
    const file = join(folder, name, "package.json");
    if (existsSync(file)) return (JSON.parse(readFileSync(file, "utf8")) as { version?: string }).version ?? "unknown";
  }
  return "not installed";
}

/**
 * The values of variables whose names sound like secrets: the recorder writes them nowhere.
 *
 * @param variables - default: those of this process
 * @returns their values
 *
 * @example
 * ```ts
 * import { environmentSecrets } from "@parapet/provenance/node";
 * console.log(environmentSecrets({ HF_TOKEN: "abc123", HOME: "/home/me" }).join()); // => abc123
 * ```
 */
export function environmentSecrets(
  variables: Readonly<Record<string, string | undefined>> = process.env,
): readonly string[] {
  return Object.entries(variables).flatMap(([name, value]) => (value && isSecretName(name) ? [value] : []));
}

/**
 * Which code runs, as git says: the address of the repository without a user or a token in it, the commit, and whether
 * files differ from it.
 *
 * @param entry - the script; default the one that Node was given
 * @returns for `createRecorder`; only the script where there is no git
 *
 * @example
 * ```ts
 * import { codeVersion } from "@parapet/provenance/node";
 * const { entry } = await codeVersion("/nowhere/train.ts");
 * console.log(entry); // => train.ts
 * ```
 */
export async function codeVersion(entry: string = process.argv[1] ?? ""): Promise<CodeVersion> {
  const folder = dirname(resolve(entry));
  const git = async (...args: readonly string[]) => {
    try {
      const options = { cwd: existsSync(folder) ? folder : "/", timeout: 10_000, maxBuffer: 1 << 26 };
      return (await promisify(execFile)("git", ["-C", folder, ...args], options)).stdout.trim();
    } catch {
      return undefined;
    }
  };
  const [root, commit, remote, status] = await Promise.all([
    git("rev-parse", "--show-toplevel"),
    git("rev-parse", "HEAD"),
    git("remote", "get-url", "origin"),
    git("status", "--porcelain", "--untracked-files=no"),
  ]);
  if (root === undefined) return entry === "" ? {} : { entry: entry.split(/[/\\]/).at(-1)! };
  const clean = createRedactor(environmentSecrets());
  return {
    ...(remote === undefined || remote === "" || /^[./]/.test(remote) ? {} : { repository: clean(remote) }),
    ...(commit === undefined ? {} : { commit }),
    ...(status === undefined ? {} : { modified: status !== "" }),
    entry: relative(root, resolve(entry)).split("\\").join("/"),
  };
}
