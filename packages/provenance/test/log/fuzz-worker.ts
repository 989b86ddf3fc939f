// A process that appends to a log in a folder until it is killed: `fuzz-worker.ts FOLDER NAME COUNT`. A line for each entry that is promised.
import { toUtf8 } from "@parapet/attestation";
import { openLog } from "@parapet/provenance";
import { folderStorage } from "@parapet/provenance/node";
import { testSigner } from "../helpers/keys.ts";

const [, , folder, name, count] = process.argv;
const log = await openLog(folderStorage(folder!), { signer: testSigner("example.com/log"), journalBytes: 4000 });
console.log("open");
for (let i = 0; i < Number(count); i++) {
  const entries = Array.from({ length: 1 + (i % 5) }, (_, k) => toUtf8(`${name} ${i} ${k}`));
  const { index } = await log.append(entries);
  console.log(`${index} ${i} ${entries.length}`);
}
await log.close();
console.log("closed");
