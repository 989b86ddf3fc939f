// A child process of src/signing-memory.ts: proves a model in one way, and says how much memory the process had at most.
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { verifyBundle, verifyingFetch } from "@parapet/model-signing";
import { openVerified, verifyFolder } from "@parapet/model-signing/node";

const [way, folder, bundle, key] = process.argv.slice(2) as [string, string, string, string];
const trust = { keys: [key] };
const name = "weights.bin";
const path = join(folder, name);

async function prove(): Promise<number> {
  if (way === "verifyFolder") {
    await verifyFolder(folder, bundle, trust);
    return 0;
  }
  if (way === "copy" || way === "read") {
    const model = await openVerified(folder, bundle, trust);
    if (way === "read") return (await model.read(name)).length;
    await (await model.copy()).remove();
    return 0;
  }
  const server = createServer((_, response) => {
    if (!way.endsWith("unknown")) response.setHeader("content-length", statSync(path).size);
    createReadStream(path).pipe(response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const proving = await verifyingFetch(readFileSync(bundle, "utf8"), trust, { base });
  const { body } = await (way === "fetch, not proven" ? fetch : proving)(base + name);
  let length = 0;
  for await (const piece of body!) length += piece.length;
  if (length !== statSync(path).size) throw new Error(`${length} bytes came`);
  server.close();
  return 0;
}

// What is there before: everything loaded, one signature proven.
await verifyBundle(readFileSync(bundle, "utf8"), trust);
const before = process.memoryUsage().rss;
const held = await prove();
process.stdout.write(JSON.stringify({ before, peak: process.resourceUsage().maxRSS * 1024, held }));
