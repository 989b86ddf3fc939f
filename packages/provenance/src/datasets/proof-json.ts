import { fromHex, toHex } from "@parapet/attestation";
import { MOST_RECORDS } from "./check-manifest.ts";
import { checkCount, checkHex, checkList, type Refuse } from "./strict.ts";

/** Longest text of a proof: two times 26 hashes, and what is around them. */
export const MOST_PROOF_BYTES = 1 << 14;

/** Hashes as JSON has them. */
export const hexes = (hashes: readonly Uint8Array[]): readonly string[] => hashes.map((hash) => toHex(hash));

/** Hashes as the tree has them. */
export const unhexes = (hashes: readonly string[]): readonly Uint8Array[] => hashes.map((hash) => fromHex(hash));

/** Hashes of a proof, from the leaf to the root. */
export const checkHashes = (what: string, value: unknown, refuse: Refuse): void =>
  checkList(what, value, refuse, checkHex, 26);

/** The index of a leaf. */
export const checkIndex = (what: string, value: unknown, refuse: Refuse): void =>
  checkCount(what, value, refuse, MOST_RECORDS - 1);
