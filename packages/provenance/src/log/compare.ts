import { equalBytes } from "@parapet/attestation";
import { verifyConsistency } from "../merkle/tree.ts";
import { type LogPolicy, type ProvenCheckpoint, verifyCheckpoint } from "./checkpoint.ts";
import { splitView } from "./split-view.ts";

/** Gives the proof that the tree of `first` entries is the beginning of that of `second`; such as `log.consistencyProof`. */
export type ConsistencySource = (first: number, second: number) => Promise<readonly Uint8Array[]>;

/**
 * Proves that two checkpoints of a log can both be true, or throws an error that carries both as evidence.
 *
 * @param one - a checkpoint with its signatures
 * @param other - another one, such as somebody else was shown; the order does not matter
 * @param policy - whose signatures count
 * @param consistency - gives the proof between their sizes; it is not asked when they are equal
 * @returns the two checkpoints, the smaller first
 * @throws `provenance/split-view`, with `evidence`: the two notes; what `consistency` throws; as `verifyCheckpoint`
 *
 * @example
 * ```ts
 * import { ed25519Signer, ed25519Verifier } from "@parapet/attestation/small";
 * import { compareCheckpoints, noteSigner, noteVerifier, signCheckpoint } from "@parapet/provenance";
 * const signer = noteSigner("example.com/log", ed25519Signer(new Uint8Array(32)));
 * const policy = { log: await noteVerifier(signer.text, ed25519Verifier) };
 * const shown = (root: number) => signCheckpoint({ origin: signer.name, size: 7, root: new Uint8Array(32).fill(root) }, [signer]);
 * const error = await compareCheckpoints(await shown(1), await shown(2), policy, async () => []).catch((error) => error);
 * console.log(error.code, error.evidence.length); // => provenance/split-view 2
 * ```
 *
 * Source: RFC 9162, section 2.1.4; https://c2sp.org/tlog-checkpoint, "Signatures".
 */
export async function compareCheckpoints(
  one: string,
  other: string,
  policy: LogPolicy,
  consistency: ConsistencySource,
): Promise<readonly [ProvenCheckpoint, ProvenCheckpoint]> {
  const proven = [await verifyCheckpoint(one, policy), await verifyCheckpoint(other, policy)] as const;
  const [first, second] = proven[0].size <= proven[1].size ? proven : ([proven[1], proven[0]] as const);
  if (first.size === second.size) {
    if (equalBytes(first.root, second.root)) return [first, second];
    throw splitView(
      `log expected one tree of ${first.size} entries, got two: it shows different histories`,
      first.note,
      second.note,
    );
  }
  await proveGrowth(first, second, () => consistency(first.size, second.size));
  return [first, second];
}

/** Proves that a checkpoint continues an older one. */
export async function proveGrowth(
  first: ProvenCheckpoint,
  second: ProvenCheckpoint,
  proof: () => Promise<readonly Uint8Array[]>,
): Promise<void> {
  // Every tree continues the empty one.
  if (first.size === 0) return;
  // Whoever cannot be asked is not convicted by it: that error goes on as it is.
  const hashes = await proof();
  try {
    verifyConsistency({ first: first.size, second: second.size, hashes }, first.root, second.root);
  } catch (cause) {
    const message = `log expected to prove that its ${second.size} entries continue its ${first.size}, got no proof that holds`;
    throw splitView(message, first.note, second.note, cause);
  }
}
