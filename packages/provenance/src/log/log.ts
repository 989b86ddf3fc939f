import { createVerifier, equalBytes, type PublicKey, toUtf8, type Verifier } from "@parapet/attestation";
import { checkNumber, expected } from "@parapet/core";
import { portableHasher, type TreeHasher } from "../merkle/hasher.ts";
import { problem } from "../problem.ts";
import { checkAll } from "./check.ts";
import { type ProvenCheckpoint, signCheckpoint, verifyCheckpoint } from "./checkpoint.ts";
import { createGroups } from "./groups.ts";
import { grow, growthRoot, nothing } from "./growth.ts";
import { journalName, writeJournal } from "./journal.ts";
import { CHECKPOINT, changed, missing } from "./log-files.ts";
import { createLogReader } from "./log-reader.ts";
import { type NoteSigner, type NoteVerifier, noteVerifier } from "./note-keys.ts";
import { writeLogProof } from "./proof.ts";
import { type JournalSpan, type LogState, loadState, type Recovery, recover, rootAt } from "./recovery.ts";
import { retire } from "./retire.ts";
import { splitView } from "./split-view.ts";
import type { LogStorage } from "./storage.ts";
import { TILE_WIDTH, writeBundle } from "./tiles.ts";

/** How a log is opened. */
export interface LogOptions {
  /** The log's key; without it the log can only be read. */
  readonly signer?: NoteSigner;
  /** Proves the log's checkpoints; by default made of the signer's key. */
  readonly verifier?: NoteVerifier;
  /** How the verifier is made of the signer's key; by default by the platform's WebCrypto. */
  readonly makeVerifier?: (key: PublicKey) => Verifier | Promise<Verifier>;
  /** The log's name; by default that of its key. */
  readonly origin?: string;
  /** SHA-256; by default the storage's, or JavaScript's. */
  readonly hasher?: TreeHasher;
  /** How many bytes are kept twice before files are made durable all at once; 8 MiB by default. */
  readonly journalBytes?: number;
}

/** A log that only grows. */
export interface Log {
  readonly origin: string;
  /** Appends entries of at most 65,535 bytes, all or none; durable and under a signed checkpoint when it resolves. */
  readonly append: (entries: Uint8Array | readonly Uint8Array[]) => Promise<{ readonly index: number }>;
  /** The newest checkpoint. */
  readonly checkpoint: () => Promise<ProvenCheckpoint>;
  /** An entry, held against its hash in the tree. */
  readonly entry: (index: number) => Promise<Uint8Array>;
  /** The proof that an entry is in the tree of the newest checkpoint that was read. */
  readonly inclusionProof: (
    index: number,
  ) => Promise<{ readonly size: number; readonly hashes: readonly Uint8Array[] }>;
  /** The proof that the tree of `first` entries is the beginning of that of `second`, by default the newest. */
  readonly consistencyProof: (first: number, second?: number) => Promise<readonly Uint8Array[]>;
  /** All that it takes to check an entry offline, as the text of a file ".tlog-proof". */
  readonly proofFile: (index: number, extra?: Uint8Array) => Promise<string>;
  /** Puts the newest checkpoint with more signatures, such as those of witnesses, in its place. */
  readonly publish: (note: string) => Promise<void>;
  /** Reads everything, and throws at the first thing that was changed or is missing. */
  readonly check: () => Promise<ProvenCheckpoint>;
  /** Waits for what is under way, and makes files durable. */
  readonly close: () => Promise<void>;
}

/**
 * Opens a log, and begins one where there is none. What a crash left half done is completed first.
 *
 * @param storage - where it lies: `memoryStorage`, `indexedDbStorage`, or `folderStorage` of `./node`
 * @param options - the log's key
 * @returns the log; several may be open on one place, in one process or in several
 * @throws `provenance/missing` or `provenance/changed` when what is there is not what was written; `provenance/locked` when somebody else
 *   holds the log for too long; TypeError without signer and verifier
 *
 * @example
 * ```ts
 * import { toUtf8 } from "@parapet/attestation";
 * import { ed25519Signer, ed25519Verifier } from "@parapet/attestation/small";
 * import { memoryStorage, noteSigner, openLog } from "@parapet/provenance";
 * const signer = noteSigner("example.com/log", ed25519Signer(new Uint8Array(32)));
 * const log = await openLog(memoryStorage(), { signer, makeVerifier: ed25519Verifier });
 * const { index } = await log.append(toUtf8("trained digits on mnist"));
 * const { size } = await log.check();
 * console.log(index, size); // => 0 1
 * ```
 *
 * Source: https://c2sp.org/tlog-tiles; RFC 6962, section 2.1. The journal, by which appends are durable, is not part of them.
 */
export async function openLog(storage: LogStorage, options: LogOptions): Promise<Log> {
  const { signer, journalBytes = 8 * 1024 * 1024 } = options;
  checkNumber("journalBytes", journalBytes, { min: 0 });
  if (signer === undefined && options.verifier === undefined) {
    throw new TypeError(expected("signer, verifier", "one of them", undefined));
  }
  const verifier = options.verifier ?? (await noteVerifier(signer!.text, options.makeVerifier ?? createVerifier));
  const origin = options.origin ?? verifier.name;
  const hasher = options.hasher ?? storage.hasher ?? portableHasher;
  const policy = { log: verifier, origin };
  const recovery: Recovery = { storage, hasher, origin, verify: (note) => verifyCheckpoint(note, policy) };
  const reader = createLogReader(storage, hasher);

  /** What is known; nothing after a step that failed half-way. */
  let state: LogState | undefined;
  /** The newest checkpoint that was seen: whatever comes must continue it. */
  let seen: ProvenCheckpoint | undefined;
  let journals: readonly JournalSpan[] = [];
  let narrow = new Set<string>();
  let retiring: Promise<void> | undefined;
  let failure: unknown;
  let closed = false;

  function adopt(next: LogState): LogState {
    state = next;
    seen = next.checkpoint;
    return next;
  }

  /** Proves that a state continues what was seen. */
  async function continued(next: LogState): Promise<LogState> {
    if (seen === undefined) return next;
    const { size, root, note } = next.checkpoint;
    const before = size < seen.size ? undefined : size === seen.size ? root : await rootAt(recovery, seen.size);
    if (before !== undefined && equalBytes(before, seen.root)) return next;
    const message = `log expected to continue its ${seen.size} entries, got another history of ${size}`;
    throw splitView(message, seen.note, note);
  }

  /** The state at what is published, which somebody else may have written. */
  async function follow(published: Uint8Array): Promise<LogState> {
    if (state !== undefined && equalBytes(published, toUtf8(state.checkpoint.note))) return state;
    const checkpoint = await recovery.verify(published).catch((cause) => {
      throw changed("checkpoint expected the log's signature: it was changed, or the key is another", cause);
    });
    const isSame = state !== undefined && state.checkpoint.size === checkpoint.size;
    return continued(isSame ? { growth: state!.growth, checkpoint } : await loadState(recovery, checkpoint));
  }

  /** Under the lock: the state as it is stored, whoever wrote it. */
  async function refresh(): Promise<LogState> {
    const published = await storage.read(CHECKPOINT);
    if (seen !== undefined && published === undefined) throw missing(CHECKPOINT);
    const isWhole = state !== undefined && (await storage.read(journalName(state.checkpoint.size))) === undefined;
    if (isWhole && published !== undefined) return adopt(await follow(published));
    const found = await recover(recovery);
    if (found === undefined) return begin();
    const own = new Set(journals.map(({ name }) => name));
    journals = [...journals, ...found.journals.filter(({ name }) => !own.has(name))];
    for (const name of found.narrow) narrow.add(name);
    return adopt(await continued(found.state));
  }

  async function begin(): Promise<LogState> {
    const root = growthRoot(nothing, hasher);
    const note = await signCheckpoint({ origin, size: 0, root }, [signer!]);
    await storage.replace({ name: CHECKPOINT, data: toUtf8(note) });
    await storage.sync([CHECKPOINT]);
    return adopt({ checkpoint: await recovery.verify(note), growth: nothing });
  }

  /** The newest checkpoint, for readers, without the lock. */
  async function current(): Promise<ProvenCheckpoint> {
    const published = await storage.read(CHECKPOINT);
    if (published === undefined) throw missing(CHECKPOINT);
    const known = state;
    const next = await follow(published);
    // A step of our own may have come in between.
    if (state === known) adopt(next);
    return next.checkpoint;
  }

  const covering = async (size: number): Promise<ProvenCheckpoint> =>
    state !== undefined && state.checkpoint.size >= size ? state.checkpoint : current();

  async function step(block: Uint8Array, count: number): Promise<number> {
    const { checkpoint, growth } = await refresh();
    const start = checkpoint.size;
    const grown = grow(growth, block, hasher);
    const root = growthRoot(grown.growth, hasher);
    const text = { origin, size: start + count, root, extensions: [] };
    const note = await signCheckpoint(text, [signer!]);
    const name = journalName(start);
    const data = writeJournal(start, count, block, note, hasher);
    // From here on a failure leaves open whether the entries are in: the next step looks.
    state = undefined;
    await storage.write([{ name, data }]);
    await storage.sync([name]);
    await storage.write(grown.objects);
    await storage.replace({ name: CHECKPOINT, data: toUtf8(note) });
    const by = [{ key: { name: verifier.name, id: verifier.id, type: verifier.type, text: verifier.text } }];
    adopt({ checkpoint: { ...text, note, by, witnesses: [] }, growth: grown.growth });
    journals = [...journals, { name, start, bytes: data.length }];
    for (const { name: written, width } of grown.objects) if (width < TILE_WIDTH) narrow.add(written);
    return start;
  }

  const groups = createGroups(async (block, count) => {
    if (failure !== undefined) throw failure;
    const start = await storage.lock(() => step(block, count));
    if (journals.reduce((sum, { bytes }) => sum + bytes, 0) > journalBytes) await settle();
    return start;
  });

  /** Makes files durable in the background, so that journals can go; one such work at a time. */
  async function settle(): Promise<void> {
    await retiring;
    if (state === undefined || journals.length === 0) return;
    const [mine, written] = [journals, narrow];
    [journals, narrow] = [[], new Set()];
    retiring = retire(storage, mine, state.checkpoint.size, written).catch((error) => {
      failure = error;
    });
  }

  await (signer === undefined ? current() : storage.lock(refresh));
  return {
    origin,
    async append(entries) {
      if (closed) throw problem("provenance/locked", "log expected to be open, got it closed");
      if (signer === undefined) throw new TypeError(expected("signer", "the log's key, to append", undefined));
      const some = entries instanceof Uint8Array ? [entries] : entries;
      if (!Array.isArray(some) || some.length === 0) throw new TypeError(expected("entries", "at least one", entries));
      return { index: await groups.add(writeBundle(some), some.length) };
    },
    checkpoint: current,
    entry: async (index) => reader.entry(await covering(index + 1), index),
    async inclusionProof(index) {
      const { size, hashes } = await reader.inclusion(await covering(index + 1), index);
      return { size, hashes };
    },
    async consistencyProof(first, second) {
      const checkpoint = await covering(second ?? first);
      return reader.consistency(checkpoint, first, second ?? checkpoint.size);
    },
    async proofFile(index, extra) {
      const checkpoint = await covering(index + 1);
      const { hashes } = await reader.inclusion(checkpoint, index);
      return writeLogProof({ index, hashes, checkpoint: checkpoint.note, ...(extra !== undefined && { extra }) });
    },
    publish: (note) =>
      storage.lock(async () => {
        const now = await refresh();
        const { size, root } = now.checkpoint;
        const checkpoint = await recovery.verify(note);
        if (checkpoint.size !== size || !equalBytes(checkpoint.root, root)) {
          throw changed(`checkpoint expected the newest, of ${size} entries, got one of ${checkpoint.size}`);
        }
        await storage.replace({ name: CHECKPOINT, data: toUtf8(note) });
        await storage.sync([CHECKPOINT]);
        adopt({ ...now, checkpoint });
      }),
    async check() {
      const work = async () => {
        const checkpoint = signer === undefined ? await current() : (await refresh()).checkpoint;
        await checkAll(storage, checkpoint, hasher);
        return checkpoint;
      };
      return signer === undefined ? work() : storage.lock(work);
    },
    async close() {
      closed = true;
      await groups.idle();
      await settle();
      await retiring;
      if (failure !== undefined) throw failure;
    },
  };
}
