// Collects what a run of the demo wrote, for provenance.shared.test.ts: npm run demo, then
//   node --conditions=@parapet/source --import tsx tests/vectors/provenance/collect.ts
// The evaluation, which is large, is left out, and with it the demand on it.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseJson, parseStatement, readEnvelope } from "@parapet/attestation";
import { proveMembership } from "@parapet/provenance";
import { openDataset } from "@parapet/provenance/node";
import { loadMnist } from "../../../examples/train-mnist/src/mnist.ts";

const out = new URL("../../../examples/train-mnist/out/", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, out), "utf8");
const [, ...claims] = read("claims.jsonl").trimEnd().split("\n");
const { evidence: _, ...policy } = JSON.parse(read("provenance/policy.json"));
const dataset = await openDataset(fileURLToPath(new URL("provenance/datasets/mnist", out)));
const { train } = loadMnist();
const { subject } = parseStatement(readEnvelope(parseJson(claims[0]!)).payload);
const vector = {
  model: `sha256:${subject[0]!.digest.sha256}`,
  policy,
  claims,
  proof: read("provenance/lineage.tlog-proof"),
  logKey: read("provenance/log-key.txt").trim(),
  membership: proveMembership(dataset, 0),
  // Bytes that the image is made of: each is divided by 255.
  pixels: Buffer.from(Array.from(train.x.data.subarray(0, 784), (value) => Math.round(255 * value))).toString("base64"),
  label: train.labels[0],
};
writeFileSync(new URL("demo.json", import.meta.url), `${JSON.stringify(vector, undefined, 1)}\n`);
