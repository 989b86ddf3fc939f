import { fromHex, toHex } from "@parapet/attestation";
import { expected } from "@parapet/core";
import { type HashFunction, leafHash, portableHash, verifyInclusion } from "../merkle/tree.ts";
import { problem } from "../problem.ts";
import { checkManifest } from "./check-manifest.ts";
import { WIDTH } from "./commitment.ts";
import type { Dataset } from "./dataset.ts";
import { at, compareBytes, type Levels, merkleLevels, proofFrom, sortedOrder } from "./levels.ts";
import type { DatasetManifest } from "./manifest.ts";
import { checkDataset } from "./membership.ts";
import { checkHashes, checkIndex, hexes, MOST_PROOF_BYTES, unhexes } from "./proof-json.ts";
import { manifestId } from "./read-manifest.ts";
import { checkHex, checkId, jsonOf, malformed, membersOf } from "./strict.ts";

/** A commitment with its place in the sorted tree. */
export interface Neighbour {
  readonly index: number;
  /** 64 hexadecimal digits. */
  readonly commitment: string;
  /** From the leaf to the root, each 64 hexadecimal digits. */
  readonly hashes: readonly string[];
}

/**
 * That a commitment is not in a dataset: the two between which it would stand in the sorted tree, whose places are next to each
 * other. At an end there is one; of an empty dataset there is none. A value of JSON, in which nothing is secret.
 */
export interface AbsenceProof {
  readonly schema: "urn:parapet:proof:absence:v1";
  /** Identity of the dataset's manifest. */
  readonly dataset: string;
  /** The last commitment that is smaller; missing when there is none. */
  readonly before?: Neighbour;
  /** The first commitment that is greater; missing when there is none. */
  readonly after?: Neighbour;
}

/** What a proof of absence proves. */
export interface ProvenAbsence {
  readonly dataset: string;
  /** Number of records of the dataset, none of which has this commitment. */
  readonly records: number;
}

/** The sorted tree. */
export interface Sorted {
  readonly order: Uint32Array;
  readonly levels: Levels;
}

/** Sorts commitments, and makes their tree. */
export function sortedTree(commitments: Uint8Array, hash: HashFunction): Sorted {
  const order = sortedOrder(commitments);
  return { order, levels: merkleLevels(commitments, order, hash) };
}

function checkCommitment(commitment: unknown): void {
  if (!(commitment instanceof Uint8Array && commitment.length === WIDTH)) {
    throw new TypeError(expected("commitment", "32 bytes", (commitment as Uint8Array)?.length ?? commitment));
  }
}

/** Makes a proof with a tree that is there already. */
export function absenceFrom(commitments: Uint8Array, id: string, sorted: Sorted, commitment: Uint8Array): AbsenceProof {
  checkCommitment(commitment);
  const { order, levels } = sorted;
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(at(commitments, order[middle]!), commitment) < 0) low = middle + 1;
    else high = middle;
  }
  if (low < order.length && compareBytes(at(commitments, order[low]!), commitment) === 0) {
    throw problem("provenance/proof", `commitment expected to be absent, got that of record ${order[low]}`);
  }
  const neighbour = (index: number): Neighbour => ({
    index,
    commitment: toHex(at(commitments, order[index]!)),
    hashes: hexes(proofFrom(levels, index)),
  });
  return {
    schema: "urn:parapet:proof:absence:v1",
    dataset: id,
    ...(low > 0 ? { before: neighbour(low - 1) } : {}),
    ...(low < order.length ? { after: neighbour(low) } : {}),
  };
}

/**
 * Makes the proof that a commitment is not in a dataset.
 *
 * What this says about a record depends on the salts. With random salts a record has as many commitments as there are salts: the
 * proof shows that this salt with this record is not there, which is of use for a commitment that was handed out before, and says
 * nothing about the record under another salt. That a record is absent can then be shown only to somebody who may see all salts:
 * `searchRecord`. With derived salts (`secret` of `createDataset`) a record has one commitment, and its absence is the record's
 * absence for everybody who trusts that the salt is the derived one, which the holder of the secret can check.
 *
 * @param dataset - its salts are not needed
 * @param commitment - 32 bytes, from `recordCommitment`
 * @param hash - SHA-256; default: in JavaScript
 * @returns the proof
 * @throws ParapetError `provenance/proof` when it is there
 * @throws TypeError when it is no commitment
 *
 * @example
 * ```ts
 * import { createDataset, derivedSalt, proveAbsence, recordCommitment, verifyAbsence } from "@parapet/provenance";
 * const secret = crypto.getRandomValues(new Uint8Array(32));
 * const dataset = await createDataset([{ age: 30 }, { age: 40 }], { name: "ages", secret });
 * const other = { age: 50 };
 * const commitment = recordCommitment(derivedSalt(secret, other), other);
 * const proof = proveAbsence(dataset, commitment);
 * console.log(verifyAbsence(proof, commitment, dataset.manifest).records); // => 2
 * ```
 *
 * Source: B. Laurie and E. Kasper, Revocation Transparency (2012), for absence by neighbours in a sorted tree; the format is this
 * package's own.
 */
export function proveAbsence(
  dataset: Pick<Dataset, "manifest" | "commitments">,
  commitment: Uint8Array,
  hash: HashFunction = portableHash,
): AbsenceProof {
  const { manifest, commitments } = dataset;
  return absenceFrom(commitments, manifestId(manifest, hash), sortedTree(commitments, hash), commitment);
}

/**
 * Proves that a commitment is not in a dataset, or throws: its neighbours stand at places next to each other in the sorted tree,
 * one smaller, one greater; or the one neighbour at an end, greater than it at place 0 or smaller at the last place; or the dataset
 * is empty. It rests on the manifest's maker having sorted the tree: whoever has the commitments can check that by
 * `verifyCommitments`.
 *
 * @param proof - from `proveAbsence` or `readAbsenceProof`
 * @param commitment - 32 bytes
 * @param manifest - from a trusted place
 * @param hash - SHA-256; default: in JavaScript
 * @returns what was proven: of this commitment, not of a record under other salts; see `proveAbsence`
 * @throws ParapetError `provenance/proof` when it does not hold, `provenance/malformed` for what is no proof or no manifest
 * @throws TypeError when it is no commitment
 *
 * @example
 * ```ts
 * import { createDataset, proveAbsence, verifyAbsence } from "@parapet/provenance";
 * const dataset = await createDataset([{ age: 30 }], { name: "ages" });
 * const proof = proveAbsence(dataset, new Uint8Array(32));
 * console.log(proof.after?.index, verifyAbsence(proof, new Uint8Array(32), dataset.manifest).records); // => 0 1
 * ```
 *
 * Source: RFC 9162, section 2.1.3.2, for each neighbour.
 */
export function verifyAbsence(
  proof: AbsenceProof,
  commitment: Uint8Array,
  manifest: DatasetManifest,
  hash: HashFunction = portableHash,
): ProvenAbsence {
  checkCommitment(commitment);
  const { dataset, before, after } = checkAbsenceProof(proof);
  const { sortedRoot, records } = checkManifest(manifest, malformed);
  checkDataset("absence proof", dataset, manifest, hash);
  const refuse = (message: string) => problem("provenance/proof", `absence proof expected ${message}`);
  // The place of what is after the gap: one more than the place of what is before it, 0 where nothing is.
  const gap = before === undefined ? 0 : before.index + 1;
  if (after === undefined ? gap !== records : after.index !== gap) {
    throw refuse(`neighbours at places next to each other among ${records}, or one at an end`);
  }
  for (const [neighbour, sign] of [[before, -1] as const, [after, 1] as const]) {
    if (neighbour === undefined) continue;
    const bytes = fromHex(neighbour.commitment);
    if (!(compareBytes(bytes, commitment) * sign > 0))
      throw refuse("one neighbour that is smaller and one that is greater");
    const inclusion = { index: neighbour.index, size: records, hashes: unhexes(neighbour.hashes) };
    verifyInclusion(inclusion, leafHash(bytes, hash), fromHex(sortedRoot), hash);
  }
  return { dataset, records };
}

function checkNeighbour(what: string, value: unknown): void {
  const neighbour = membersOf(what, value, ["index", "commitment", "hashes"], malformed);
  checkIndex(`${what}.index`, neighbour.index, malformed);
  checkHex(`${what}.commitment`, neighbour.commitment, malformed);
  checkHashes(`${what}.hashes`, neighbour.hashes, malformed);
}

function checkAbsenceProof(value: unknown): AbsenceProof {
  const what = "absence proof";
  const proof = membersOf(what, value, ["schema", "dataset", "before?", "after?"], malformed);
  if (proof.schema !== "urn:parapet:proof:absence:v1") throw malformed(`${what} expected its schema`);
  checkId(`${what}.dataset`, proof.dataset, malformed);
  for (const name of ["before", "after"])
    if (Object.hasOwn(proof, name)) checkNeighbour(`${what}.${name}`, proof[name]);
  return proof as unknown as AbsenceProof;
}

/**
 * Reads a proof of absence strictly. That it has its form does not mean that it holds: `verifyAbsence`.
 *
 * @param source - JSON as text or UTF-8, at most 16 KiB
 * @returns the proof
 * @throws ParapetError `provenance/malformed` or `provenance/too-large`
 *
 * @example
 * ```ts
 * import { createDataset, proveAbsence, readAbsenceProof } from "@parapet/provenance";
 * const dataset = await createDataset([], { name: "nothing" });
 * const proof = readAbsenceProof(JSON.stringify(proveAbsence(dataset, new Uint8Array(32))));
 * console.log(proof.before, proof.after); // => undefined undefined
 * ```
 */
export function readAbsenceProof(source: Uint8Array | string): AbsenceProof {
  return checkAbsenceProof(jsonOf("absence proof", source, { maxBytes: MOST_PROOF_BYTES, maxDepth: 5 }));
}
