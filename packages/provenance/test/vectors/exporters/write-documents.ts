import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as provenance from "../../../src/index.ts";
import { hostileRun, minimalRun, sampleRun } from "../../helpers/sample-run.ts";

// Writes what the exporters make of the sample runs into a folder, for validate.py:
//   node --conditions=@parapet/source --import tsx test/vectors/exporters/write-documents.ts FOLDER
const folder = process.argv[2]!;
mkdirSync(folder, { recursive: true });
const write = (name: string, value: unknown) => writeFileSync(join(folder, name), JSON.stringify(value, null, 1));

const runs = { sample: sampleRun, minimal: minimalRun, hostile: hostileRun };
for (const [name, run] of Object.entries(runs)) {
  write(`${name}.prov.json`, provenance.prov(run));
}
