import { fromHex, toHex } from "@parapet/attestation";
import { checkNumber } from "@parapet/core";
import { type HashFunction, leafHash, portableHash, verifyInclusion } from "../merkle/tree.ts";
import { problem } from "../problem.ts";
import { checkManifest } from "./check-manifest.ts";
import { recordCommitment } from "./commitment.ts";
import type { Dataset } from "./dataset.ts";
import { isErased } from "./erase.ts";
import { at, type Levels, merkleLevels, proofFrom } from "./levels.ts";
import type { DatasetManifest } from "./manifest.ts";
import { checkHashes, checkIndex, hexes, MOST_PROOF_BYTES, unhexes } from "./proof-json.ts";
import { manifestId } from "./read-manifest.ts";
import type { DatasetRecord } from "./record.ts";
import { checkHex, checkId, jsonOf, malformed, membersOf } from "./strict.ts";

/**
 * That a record is in a dataset. It holds the record's salt: whoever sees it can try which record it is about, and learns nothing
 * of any other. A value of JSON.
 */
export interface MembershipProof {
  readonly schema: "urn:parapet:proof:membership:v1";
  /** Identity of the dataset's manifest. */
  readonly dataset: string;
  /** Of the record. */
  readonly index: number;
  /** 64 hexadecimal digits. */
  readonly salt: string;
  /** From the leaf to the root, each 64 hexadecimal digits. */
  readonly hashes: readonly string[];
}

/** What a proof of membership proves. */
export interface ProvenMembership {
  readonly dataset: string;
  readonly index: number;
  /** Number of records of the dataset. */
  readonly records: number;
}

/** Makes a proof with a tree that is there already. */
export function membershipFrom(dataset: Dataset, id: string, levels: Levels, index: number): MembershipProof {
  checkNumber("index", index, { min: 0, below: dataset.manifest.records, integer: true });
  if (isErased(dataset, index)) {
    throw problem(
      "provenance/missing",
      `record ${index} expected a salt, got an erased one; nothing can be proven of it any more`,
    );
  }
  return {
    schema: "urn:parapet:proof:membership:v1",
    dataset: id,
    index,
    salt: toHex(at(dataset.salts, index)),
    hashes: hexes(proofFrom(levels, index)),
  };
}

/**
 * Makes the proof that a record is in a dataset. It takes two hashes a record: for many proofs of one dataset use `createProver`.
 *
 * @param dataset - with its salts
 * @param index - of the record, from 0
 * @param hash - SHA-256; default: in JavaScript
 * @returns the proof, for one verifier who may know the record
 * @throws RangeError when there is no such record
 * @throws ParapetError `provenance/missing` when it was erased
 *
 * @example
 * ```ts
 * import { createDataset, proveMembership, verifyMembership } from "@parapet/provenance";
 * const dataset = await createDataset([{ age: 30 }, { age: 40 }], { name: "ages" });
 * const proof = proveMembership(dataset, 1);
 * console.log(verifyMembership(proof, { age: 40 }, dataset.manifest).index); // => 1
 * ```
 *
 * Source: RFC 6962, section 2.1.1.
 */
export function proveMembership(dataset: Dataset, index: number, hash: HashFunction = portableHash): MembershipProof {
  const levels = merkleLevels(dataset.commitments, undefined, hash);
  return membershipFrom(dataset, manifestId(dataset.manifest, hash), levels, index);
}

/**
 * Proves that a record is in a dataset, or throws. It needs neither the dataset nor any other record.
 *
 * @param proof - from `proveMembership` or `readMembershipProof`
 * @param record - the record itself, as `recordBytes` takes it
 * @param manifest - from a trusted place: its identity was signed, or compared
 * @param hash - SHA-256; default: in JavaScript
 * @returns what was proven
 * @throws ParapetError `provenance/proof` when it does not hold: another record, index, salt or dataset; `provenance/malformed`
 *   for what is no proof or no manifest
 * @throws TypeError as `recordBytes`
 *
 * @example
 * ```ts
 * import { createDataset, proveMembership, verifyMembership } from "@parapet/provenance";
 * const dataset = await createDataset([{ age: 30 }, { age: 40 }], { name: "ages" });
 * try {
 *   verifyMembership(proveMembership(dataset, 1), { age: 41 }, dataset.manifest);
 * } catch (error) {
 *   console.log((error as { code: string }).code); // => provenance/proof
 * }
 * ```
 *
 * Source: RFC 9162, section 2.1.3.2.
 */
export function verifyMembership(
  proof: MembershipProof,
  record: DatasetRecord,
  manifest: DatasetManifest,
  hash: HashFunction = portableHash,
): ProvenMembership {
  const { dataset, index, salt, hashes } = checkMembershipProof(proof);
  const { root, records } = checkManifest(manifest, malformed);
  checkDataset("membership proof", dataset, manifest, hash);
  const leaf = leafHash(recordCommitment(fromHex(salt), record, hash), hash);
  verifyInclusion({ index, size: records, hashes: unhexes(hashes) }, leaf, fromHex(root), hash);
  return { dataset, index, records };
}

/** A proof is about one dataset only. */
export function checkDataset(what: string, dataset: string, manifest: DatasetManifest, hash: HashFunction): void {
  const id = manifestId(manifest, hash);
  if (dataset !== id) throw problem("provenance/proof", `${what} expected to be about ${id}, got one about ${dataset}`);
}

function checkMembershipProof(value: unknown): MembershipProof {
  const what = "membership proof";
  const proof = membersOf(what, value, ["schema", "dataset", "index", "salt", "hashes"], malformed);
  if (proof.schema !== "urn:parapet:proof:membership:v1") throw malformed(`${what} expected its schema`);
  checkId(`${what}.dataset`, proof.dataset, malformed);
  checkIndex(`${what}.index`, proof.index, malformed);
  checkHex(`${what}.salt`, proof.salt, malformed);
  checkHashes(`${what}.hashes`, proof.hashes, malformed);
  return proof as unknown as MembershipProof;
}

/**
 * Reads a proof of membership strictly. That it has its form does not mean that it holds: `verifyMembership`.
 *
 * @param source - JSON as text or UTF-8, at most 16 KiB
 * @returns the proof
 * @throws ParapetError `provenance/malformed` or `provenance/too-large`
 *
 * @example
 * ```ts
 * import { createDataset, proveMembership, readMembershipProof } from "@parapet/provenance";
 * const dataset = await createDataset([{ age: 30 }], { name: "ages" });
 * console.log(readMembershipProof(JSON.stringify(proveMembership(dataset, 0))).index); // => 0
 * ```
 */
export function readMembershipProof(source: Uint8Array | string): MembershipProof {
  return checkMembershipProof(jsonOf("membership proof", source, { maxBytes: MOST_PROOF_BYTES, maxDepth: 4 }));
}
