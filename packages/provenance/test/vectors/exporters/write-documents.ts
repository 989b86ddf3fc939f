import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as provenance from "../../../src/index.ts";
import {
  digestFor,
  hostileNames,
  hostileRun,
  minimalRun,
  sampleManifest,
  sampleRun,
} from "../../helpers/sample-run.ts";

// Writes what the exporters make of the sample runs into a folder, for validate.py:
//   node --conditions=@parapet/source --import tsx test/vectors/exporters/write-documents.ts FOLDER
const folder = process.argv[2]!;
mkdirSync(folder, { recursive: true });
const write = (name: string, value: unknown) => writeFileSync(join(folder, name), JSON.stringify(value, null, 1));

const runs = { sample: sampleRun, minimal: minimalRun, hostile: hostileRun };
for (const [name, run] of Object.entries(runs)) {
  write(`${name}.prov.json`, provenance.prov(run));
  write(`${name}.spdx.json`, provenance.spdx(run));
}
const card = {
  version: "1.0.0",
  task: "digits",
  uses: ["lessons"],
  misuses: ["cheques"],
  approach: "supervised",
} as const;
write("described.spdx.json", provenance.spdx(sampleRun, { card, datasets: [sampleManifest] }));

const columns = { digit: { file: "labels.csv" }, writer: { file: "labels.csv" } };
for (const version of ["1.0", "1.1"] as const) {
  write(`mnist-${version}.croissant.json`, provenance.croissant(sampleManifest, { version, columns }));
  write(`plain-${version}.croissant.json`, provenance.croissant(sampleManifest, { version }));
}
const names = hostileNames.filter((name) => name !== "");
const files = names.map((name, i) => ({ name, size: i, sha256: digestFor(name) }));
const fields = names.map((name) => ({ name, type: "text" as const }));
const places = Object.fromEntries(names.map((name) => [name, { file: name }]));
const hostile = { ...sampleManifest, name: "hostile", files, fields, sources: [] };
write("hostile.croissant.json", provenance.croissant(hostile, { columns: places }));
