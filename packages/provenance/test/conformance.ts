// npm run conformance: the public probes of Merkle proofs under PARAPET_VECTORS, or ../shared/vectors; notes and checkpoints by
// another implementation; and events against OpenLineage's schema. Exits with 2 where the folder has no cases of these.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createVerifier, fromBase64, type PublicKey } from "@parapet/attestation";
import { ed25519Verifier } from "@parapet/attestation/small";
import { readCheckpoint } from "../src/log/checkpoint.ts";
import { verifyNote } from "../src/log/note.ts";
import { noteVerifier } from "../src/log/note-keys.ts";
import { verifyConsistency, verifyInclusion } from "../src/merkle/tree.ts";
import { openLineageProblems } from "./helpers/openlineage.ts";
import go from "./vectors/log/go.json" with { type: "json" };

const { seed: _, ...others } = go.notes;
const notes: Readonly<Record<string, { readonly key: string; readonly note: string }>> = others;
const ed25519Anywhere = (key: PublicKey) => (key.algorithm === "ed25519" ? ed25519Verifier(key) : createVerifier(key));

const folder = resolve(process.env.PARAPET_VECTORS ?? "../shared/vectors");
let passed = 0;
let failed = 0;
function judge(name: string, why: string | undefined): void {
  why === undefined ? passed++ : failed++;
  if (why !== undefined) console.log(`FAILED ${name}: ${why}`);
}

const bytes = (text: unknown) => fromBase64((text as string | null) ?? "");
const probes = [join(folder, "oms", "rfc6962"), join(folder, "rfc6962"), folder].find((path) =>
  ["inclusion", "consistency"].some((kind) => existsSync(join(path, kind))),
);
for (const kind of probes === undefined ? [] : (["inclusion", "consistency"] as const)) {
  const path = join(probes!, kind);
  const entries = existsSync(path) ? readdirSync(path, { recursive: true, withFileTypes: true }) : [];
  for (const entry of entries.filter((one) => one.isFile() && one.name.endsWith(".json"))) {
    const file = join(entry.parentPath, entry.name);
    // Sizes pass 2^53.
    const probe = JSON.parse(readFileSync(file, "utf8").replace(/:\s*(\d+)(?=\s*[,}])/g, ':"$1"')) as Record<
      string,
      unknown
    >;
    let refused = false;
    try {
      const hashes = ((probe.proof ?? []) as readonly unknown[]).map(bytes);
      if (kind === "inclusion") {
        const [index, size] = [BigInt(probe.leafIdx as string), BigInt(probe.treeSize as string)];
        verifyInclusion({ index, size, hashes }, bytes(probe.leafHash), bytes(probe.root));
      } else {
        const [first, second] = [BigInt(probe.size1 as string), BigInt(probe.size2 as string)];
        verifyConsistency({ first, second, hashes }, bytes(probe.root1), bytes(probe.root2));
      }
    } catch (error) {
      if ((error as { code?: string }).code !== "provenance/proof") throw error;
      refused = true;
    }
    judge(`${kind}/${entry.name}`, refused === probe.wantErr ? undefined : refused ? "refused" : "not refused");
  }
}

// Notes and checkpoints that Go's sumdb signed.
for (const [name, { key, note }] of Object.entries(notes)) {
  const proven = verifyNote(note, [await noteVerifier(key, ed25519Anywhere)]).then(() =>
    readCheckpoint(note.slice(0, note.indexOf("\n\n") + 1)),
  );
  judge(`note ${name}`, await proven.then(({ size }) => (size === 70 ? undefined : `size ${size}`), String));
  const changed = note.replace("\n70\n", "\n71\n");
  const refused = verifyNote(changed, [await noteVerifier(key, ed25519Anywhere)]);
  judge(
    `note ${name}, changed`,
    await refused.then(
      () => "not refused",
      () => undefined,
    ),
  );
}

if (existsSync(join(folder, "openlineage"))) {
  for (const [name, why] of openLineageProblems(join(folder, "openlineage"))) judge(`openlineage ${name}`, why);
}

if (passed + failed === 0) {
  console.error(`there are no probes under ${folder}: PARAPET_VECTORS names the folder`);
  process.exit(2);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
