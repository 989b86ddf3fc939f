// Child processes, started the same way everywhere. Node built-ins only.
import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { root } from "./workspace.mjs";

/** The environment of every child: the pinned pnpm and the workspace's tools first on PATH, and nobody told of it. */
export const environment = {
  ...process.env,
  PATH: [join(root, ".tools/node_modules/.bin"), join(root, "node_modules/.bin"), process.env.PATH].join(delimiter),
  TURBO_TELEMETRY_DISABLED: "1",
  TURBO_NO_UPDATE_NOTIFIER: "1",
  DO_NOT_TRACK: "1",
  NO_UPDATE_NOTIFIER: "1",
};

/**
 * Run a program to its end. `output: "show"` lets it write to the terminal, `"keep"` collects what it writes.
 * Ctrl-C reaches the child: the terminal sends it to both of us, and where there is no terminal it is passed on.
 */
export function run(command, args, { output = "keep", cwd = root, env = {} } = {}) {
  const windows = process.platform === "win32"; // npm, pnpm and the tools are .cmd files there
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...environment, ...env },
      shell: windows && command !== process.execPath,
      stdio: output === "show" ? "inherit" : ["ignore", "pipe", "pipe"],
    });
    const chunks = [];
    child.stdout?.on("data", (chunk) => chunks.push(chunk));
    child.stderr?.on("data", (chunk) => chunks.push(chunk));

    let interrupted = false;
    const interrupt = (signal) => {
      interrupted = true;
      if (!process.stdin.isTTY) child.kill(signal);
    };
    process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
      if (interrupted || signal === "SIGINT" || code === 130) process.exit(130);
      resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString() });
    });
  });
}

/** Run a program and return what it writes; an end other than well throws that. */
export async function must(command, args, options) {
  const { code, output } = await run(command, args, options);
  if (code !== 0) throw new Error(output.trim());
  return output;
}

/** One line per step; the whole output, and the end of this process, when it fails. */
export async function step(label, command, args, options) {
  process.stdout.write(`${label} ... `);
  const start = performance.now();
  const { code, output } = await run(command, args, options);
  console.log(code === 0 ? `${((performance.now() - start) / 1000).toFixed(1)} s` : "failed");
  if (code === 0) return output;
  console.error(`\n${output}\n${label}: \`${command} ${args.join(" ")}\` ended with code ${code}`);
  process.exit(1);
}
