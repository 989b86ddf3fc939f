// The command that the framework's conformance suite speaks to: one updater of ours with its folder, over http.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { folderStore } from "../../../src/node/update-store.ts";
import { createUpdater, httpFetcher } from "../../../src/updates/index.ts";

const text = { type: "string" } as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "metadata-dir": text,
    "metadata-url": text,
    "target-name": { type: "string", multiple: true },
    "target-base-url": text,
    "target-dir": text,
  },
});
const folder = values["metadata-dir"]!;
const [command, initial] = positionals;
/** Without the ending, so that the suite does not take it for trusted metadata. */
const shipped = join(folder, "initial-root");

async function run(): Promise<void> {
  if (command === "init") return copyFileSync(initial!, shipped);
  const updater = createUpdater({
    root: Uint8Array.from(readFileSync(shipped)),
    fetcher: httpFetcher({
      metadata: values["metadata-url"]!,
      targets: values["target-base-url"] ?? values["metadata-url"]!,
    }),
    store: folderStore(folder),
  });
  await updater.refresh();
  if (command !== "download") return;
  for (const name of values["target-name"]!) {
    const info = await updater.targetInfo(name);
    const path = join(values["target-dir"]!, encodeURIComponent(name));
    const have = existsSync(path) ? Uint8Array.from(readFileSync(path)) : undefined;
    const bytes = await updater.download(info, { have });
    mkdirSync(values["target-dir"]!, { recursive: true });
    if (bytes !== have) writeFileSync(path, bytes);
  }
}

run().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
});
