import { expected } from "@parapet/core";
import { type LogPolicy, readCheckpoint, verifyCheckpoint } from "./checkpoint.ts";
import type { ConsistencySource } from "./compare.ts";
import { readNote, signNote } from "./note.ts";
import type { NoteSigner } from "./note-keys.ts";
import { advance, keep, remembered } from "./remember.ts";
import type { LogStorage } from "./storage.ts";

/** Watches that logs only grow, and signs what it saw. */
export interface Witness {
  /** Proves that a checkpoint continues the last one that was signed, and adds a signature with the time. */
  readonly cosign: (note: string, consistency: ConsistencySource) => Promise<string>;
  /** How many entries the last checkpoint of a log had that was signed; 0 for one that is new. */
  readonly size: (origin: string) => Promise<number>;
}

/**
 * Makes a witness. It remembers the last checkpoint of each log before its signature goes out, so that it can never sign two histories.
 *
 * @param options - `signer`: of the type "cosignature/v1"; `store`: where it remembers; `logs`: the keys of the logs that it watches
 * @returns the witness
 * @throws TypeError for a signer of another type. `cosign` throws `provenance/split-view`, with both checkpoints as `evidence`, when a log
 *   went back or shows another history; `provenance/policy` for a log that is not watched
 *
 * @example
 * ```ts
 * import { ed25519Signer, ed25519Verifier } from "@parapet/attestation/small";
 * import { createWitness, memoryStorage, noteSigner, noteVerifier, openLog, verifyLogProof } from "@parapet/provenance";
 * const signer = noteSigner("example.com/log", ed25519Signer(new Uint8Array(32)));
 * const key = noteSigner("witness.example/1", ed25519Signer(new Uint8Array(32).fill(1)), { type: "cosignature/v1" });
 * const [log, watched] = await Promise.all([signer, key].map(({ text }) => noteVerifier(text, ed25519Verifier)));
 * const witness = createWitness({ signer: key, store: memoryStorage(), logs: [{ log: log! }] });
 * const opened = await openLog(memoryStorage(), { signer, makeVerifier: ed25519Verifier });
 * await opened.append(Uint8Array.of(7));
 * const { note } = await opened.checkpoint();
 * await opened.publish(await witness.cosign(note, opened.consistencyProof));
 * const policy = { log: log!, witnesses: [watched!] };
 * const { checkpoint } = await verifyLogProof(await opened.proofFile(0), Uint8Array.of(7), policy);
 * console.log(checkpoint.witnesses[0]?.key.name); // => witness.example/1
 * ```
 *
 * Source: https://c2sp.org/tlog-cosignature; https://c2sp.org/tlog-witness.
 */
export function createWitness(options: {
  readonly signer: NoteSigner;
  readonly store: LogStorage;
  readonly logs: readonly LogPolicy[];
}): Witness {
  const { signer, store, logs } = options;
  if (signer.type !== "cosignature/v1")
    throw new TypeError(expected("signer", 'one of the type "cosignature/v1"', signer.type));
  const originOf = ({ origin, log }: LogPolicy) => origin ?? (Array.isArray(log) ? log[0] : log).name;
  // What others signed does not matter here: a witness looks for itself.
  const policyOf = (origin: string): LogPolicy => {
    const found = logs.find((policy) => originOf(policy) === origin) ?? logs[0];
    if (found === undefined) throw new TypeError(expected("logs", "the keys of at least one log", logs));
    return { log: found.log, origin: originOf(found) };
  };
  return {
    async cosign(note, consistency) {
      const policy = policyOf(readCheckpoint(note).origin);
      const now = await verifyCheckpoint(note, policy);
      await store.lock(async () => {
        await advance(await remembered(store, now.origin, policy), now, consistency);
        await keep(store, now);
      });
      const { text, signatures } = readNote(note);
      const others = signatures.filter(({ name, id }) => name !== signer.name || id !== signer.id);
      return signNote(text, [signer], others);
    },
    async size(origin) {
      const policy = policyOf(origin);
      return policy.origin === origin ? ((await remembered(store, origin, policy))?.size ?? 0) : 0;
    },
  };
}
