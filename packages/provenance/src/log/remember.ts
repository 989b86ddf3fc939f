import { equalBytes, fromUtf8, toHex, toUtf8 } from "@parapet/attestation";
import { portableHash } from "../merkle/tree.ts";
import { type LogPolicy, type ProvenCheckpoint, verifyCheckpoint } from "./checkpoint.ts";
import { type ConsistencySource, proveGrowth } from "./compare.ts";
import { changed } from "./log-files.ts";
import { splitView } from "./split-view.ts";
import type { LogStorage } from "./storage.ts";

/** Where the last checkpoint of a log is remembered. */
const nameOf = (origin: string) => `remembered/${toHex(portableHash(toUtf8(origin))).slice(0, 32)}`;

/** The last checkpoint of a log that is remembered. */
export async function remembered(
  store: LogStorage,
  origin: string,
  policy: LogPolicy,
): Promise<ProvenCheckpoint | undefined> {
  const bytes = await store.read(nameOf(origin));
  if (bytes === undefined) return undefined;
  try {
    return await verifyCheckpoint(fromUtf8(bytes), policy);
  } catch (cause) {
    throw changed(
      "memory expected a checkpoint that was proven once, got another: it was changed, or the keys are others",
      cause,
    );
  }
}

/**
 * Remembers the newest checkpoint of a log, after the proof that it continues the one before. Whoever can write to the log's folder can put
 * back all of it to an older state, or, with the log's key, write another history: without a memory elsewhere that cannot be seen, as
 * everything fits together. Against a memory it is.
 *
 * @param store - where to remember: not beside the log. `memoryStorage`, `indexedDbStorage`, `folderStorage`
 * @param note - the checkpoint that the log shows now
 * @param policy - whose signatures count
 * @param consistency - gives the proof between two sizes; such as `log.consistencyProof`
 * @returns the checkpoint, remembered
 * @throws `provenance/split-view`, with both checkpoints as `evidence`, when the log went back or shows another history;
 *   `provenance/changed` when the memory itself is damaged; as `verifyCheckpoint`
 *
 * @example
 * ```ts
 * import { ed25519Signer, ed25519Verifier } from "@parapet/attestation/small";
 * import { memoryStorage, noteSigner, noteVerifier, openLog, rememberCheckpoint } from "@parapet/provenance";
 * const signer = noteSigner("example.com/log", ed25519Signer(new Uint8Array(32)));
 * const policy = { log: await noteVerifier(signer.text, ed25519Verifier) };
 * const log = await openLog(memoryStorage(), { signer, makeVerifier: ed25519Verifier });
 * const memory = memoryStorage();
 * for (const entry of [1, 2, 3]) {
 *   await log.append(Uint8Array.of(entry));
 *   await rememberCheckpoint(memory, (await log.checkpoint()).note, policy, log.consistencyProof);
 * }
 * console.log((await memory.list("remembered/")).length); // => 1
 * ```
 *
 * Source: https://c2sp.org/tlog-tiles, "Log entries": a client proves that each checkpoint is consistent with the one before.
 */
export async function rememberCheckpoint(
  store: LogStorage,
  note: string,
  policy: LogPolicy,
  consistency: ConsistencySource,
): Promise<ProvenCheckpoint> {
  const now = await verifyCheckpoint(note, policy);
  return store.lock(async () => {
    await advance(await remembered(store, now.origin, policy), now, consistency);
    await keep(store, now);
    return now;
  });
}

/** Makes a checkpoint the remembered one, durably. */
export async function keep(store: LogStorage, { origin, note }: ProvenCheckpoint): Promise<void> {
  const name = nameOf(origin);
  await store.replace({ name, data: toUtf8(note) });
  await store.sync([name]);
}

/** Proves that a checkpoint is not behind the last one, and continues it. */
export async function advance(
  last: ProvenCheckpoint | undefined,
  now: ProvenCheckpoint,
  consistency: ConsistencySource,
): Promise<void> {
  if (last === undefined) return;
  if (now.size < last.size) {
    throw splitView(
      `log expected at least its ${last.size} entries, got ${now.size}: it was put back`,
      last.note,
      now.note,
    );
  }
  if (now.size > last.size) return proveGrowth(last, now, () => consistency(last.size, now.size));
  if (!equalBytes(now.root, last.root)) {
    throw splitView(
      `log expected one tree of ${now.size} entries, got another: it shows two histories`,
      last.note,
      now.note,
    );
  }
}
