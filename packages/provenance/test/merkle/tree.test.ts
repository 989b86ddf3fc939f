import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBase64, toHex, toUtf8 } from "@parapet/attestation";
import { describe, expect, it } from "vitest";
import { leafHash, verifyConsistency, verifyInclusion } from "../../src/merkle/tree.ts";
import { consistencyProof, inclusionProof, merkleRoot } from "../helpers/tree.ts";
import { hasVectors, vector } from "../helpers/vectors.ts";
import go from "../vectors/log/go.json" with { type: "json" };

const leaves = Array.from({ length: 70 }, (_, i) => leafHash(toUtf8(`entry ${i}`)));
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

/** As the vectors' script does it. */
function digest(proofs: readonly (readonly Uint8Array[])[]): string {
  const hash = createHash("sha256");
  for (const proof of proofs) {
    hash.update(`${proof.length}\n`);
    for (const one of proof) hash.update(one);
  }
  return hash.digest("base64");
}

describe("Merkle trees", () => {
  it("has the roots of RFC 6962 for no entry and for one", () => {
    expect(toHex(merkleRoot([]))).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(toHex(merkleRoot([leafHash(new Uint8Array())]))).toBe(
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    );
  });

  it.each(go.trees)("agrees with Go's sumdb/tlog on roots and all proofs of $size entries", (tree) => {
    const some = leaves.slice(0, tree.size);
    expect(base64(merkleRoot(some))).toBe(tree.root);
    expect(digest(some.map((_, index) => inclusionProof(some, index)))).toBe(tree.inclusion);
    expect(digest(some.map((_, index) => consistencyProof(some, index + 1)))).toBe(tree.consistency);
  });

  it("proves what it proves, and nothing else, for all trees of up to 40 entries", () => {
    for (let size = 1; size <= 40; size++) {
      const some = leaves.slice(0, size);
      const root = merkleRoot(some);
      for (let index = 0; index < size; index++) {
        const hashes = inclusionProof(some, index);
        verifyInclusion({ index, size, hashes }, some[index]!, root);
        expect(() => verifyInclusion({ index, size, hashes }, leaves[41]!, root)).toThrow();
        for (let i = 0; i < hashes.length; i++) {
          expect(() =>
            verifyInclusion({ index, size, hashes: hashes.filter((_, k) => k !== i) }, some[index]!, root),
          ).toThrow();
        }
        const first = index + 1;
        const firstRoot = merkleRoot(some.slice(0, first));
        const proof = consistencyProof(some, first);
        verifyConsistency({ first, second: size, hashes: proof }, firstRoot, root);
        expect(() => verifyConsistency({ first, second: size, hashes: proof }, leaves[41]!, root)).toThrow();
        expect(() => verifyConsistency({ first, second: size, hashes: proof }, firstRoot, leaves[41]!)).toThrow();
        expect(() => verifyConsistency({ first, second: size, hashes: [...proof, root] }, firstRoot, root)).toThrow();
      }
    }
  });
});

interface Probe {
  readonly desc: string;
  readonly wantErr: boolean;
  readonly proof: readonly string[] | null;
  readonly [name: string]: unknown;
}

/** The probes have sizes beyond 2^53. */
function readProbe(file: string): Probe {
  const text = readFileSync(file, "utf8").replace(/:\s*(\d+)(?=\s*[,}])/g, ':"$1"');
  return JSON.parse(text) as Probe;
}

const files = (kind: string): string[] => {
  if (!hasVectors) return [];
  const folder = vector("rfc6962", kind);
  const names = readdirSync(folder, { recursive: true, withFileTypes: true });
  return names
    .filter((entry) => entry.isFile() && entry.name.endsWith(".json"))
    .map((entry) => join(entry.parentPath, entry.name));
};

describe.skipIf(!hasVectors)(
  "the public probes of proofs (147; skipped when the folder of vectors is not here)",
  () => {
    const bytes = (text: unknown) => fromBase64((text as string | null) ?? "");
    const outcome = (work: () => void) => {
      try {
        work();
        return false;
      } catch (error) {
        return (error as { code?: string }).code === "provenance/proof";
      }
    };

    it("decides every probe of inclusion as it asks", () => {
      const found = files("inclusion");
      expect(found.length).toBeGreaterThan(40);
      for (const file of found) {
        const { leafIdx, treeSize, root, leafHash: leaf, proof, wantErr } = readProbe(file);
        const hashes = (proof ?? []).map(bytes);
        const claim = { index: BigInt(leafIdx as string), size: BigInt(treeSize as string), hashes };
        expect([file, outcome(() => verifyInclusion(claim, bytes(leaf), bytes(root)))]).toEqual([file, wantErr]);
      }
    });

    it("decides every probe of consistency as it asks", () => {
      const found = files("consistency");
      expect(found.length).toBeGreaterThan(40);
      for (const file of found) {
        const { size1, size2, root1, root2, proof, wantErr } = readProbe(file);
        const claim = {
          first: BigInt(size1 as string),
          second: BigInt(size2 as string),
          hashes: (proof ?? []).map(bytes),
        };
        expect([file, outcome(() => verifyConsistency(claim, bytes(root1), bytes(root2)))]).toEqual([file, wantErr]);
      }
    });
  },
);
