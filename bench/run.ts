// Runs the benchmarks in src/ (all, or the one named), prints a table for each and writes out/NAME.json.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { formatSummary, formatTable, type Row } from "./table.ts";

/** What a file in src/ exports besides its `name`. */
export interface Benchmark {
  readonly name: string;
  run(context: {
    readonly signal: AbortSignal;
    readonly log: (message: string) => void;
  }): Promise<{ readonly rows: readonly Row[]; readonly summary: unknown }>;
}

const folder = new URL("./src/", import.meta.url);
const out = new URL("./out/", import.meta.url);
const names = readdirSync(folder)
  .filter((file) => /^[^.]+\.ts$/.test(file))
  .map((file) => file.slice(0, -3));

const chosen = process.argv.slice(2);
const unknown = chosen.find((name) => !names.includes(name));
if (unknown !== undefined) {
  console.error(`no benchmark is called "${unknown}", there are: ${names.join(", ")}`);
  process.exit(2);
}

const controller = new AbortController();
process.once("SIGINT", () => {
  controller.abort();
  // A benchmark that is deep in one long computation does not see the signal: then leave without it.
  setTimeout(() => process.exit(130), 1000).unref();
});

const require = createRequire(import.meta.url);
const read = (path: string) => JSON.parse(readFileSync(path, "utf8"));
const dependencies = Object.keys(read(require.resolve("./package.json")).dependencies);
const machine = {
  node: process.version,
  cpu: cpus()[0]?.model.trim(),
  cores: cpus().length,
  versions: Object.fromEntries(
    dependencies.map((name) => [name, read(require.resolve(`${name}/package.json`)).version]),
  ),
};

mkdirSync(out, { recursive: true });
for (const file of chosen.length > 0 ? chosen : names) {
  const benchmark: Benchmark = await import(new URL(`${file}.ts`, folder).href);
  console.log(`\n${benchmark.name}`);
  try {
    const { rows, summary } = await benchmark.run({
      signal: controller.signal,
      log: (message) => console.log(`  ${message}`),
    });
    console.log(`\n${formatTable(rows)}`);
    console.log(`\n${formatSummary(summary)}`);
    const result = { name: benchmark.name, date: new Date().toISOString(), ...machine, rows, summary };
    writeFileSync(new URL(`${file}.json`, out), `${JSON.stringify(result, null, 2)}\n`);
    console.log(`\nwritten to bench/out/${file}.json`);
  } catch (error) {
    if (controller.signal.aborted) process.exit(130);
    console.error(error);
    process.exitCode = 1;
  }
  if (controller.signal.aborted) process.exit(130);
}
