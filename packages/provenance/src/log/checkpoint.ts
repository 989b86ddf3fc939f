import { fromBase64, toBase64, toHex } from "@parapet/attestation";
import { checkNumber, expected } from "@parapet/core";
import { problem, shown } from "../problem.ts";
import { type NoteProof, type ProvenNote, readNote, signNote, verifyNote } from "./note.ts";
import type { NoteSigner, NoteVerifier } from "./note-keys.ts";
import { decimalOf, hashOf, malformed, plainText } from "./text.ts";

/** What a log says about itself at one size. */
export interface Checkpoint {
  /** Which log: by custom the name of its key, such as "example.com/log". */
  readonly origin: string;
  /** How many entries. */
  readonly size: number;
  /** The root of the tree over them, 32 bytes. */
  readonly root: Uint8Array;
  /** Lines that mean something to whoever agreed on them; usually none. */
  readonly extensions?: readonly string[];
}

/** Whose word counts about a log. */
export interface LogPolicy {
  /** The log's key, or its keys while it changes from one to another. One of them must have signed. */
  readonly log: NoteVerifier | readonly NoteVerifier[];
  /** The log's first line; by default the name of its (first) key. */
  readonly origin?: string;
  /** Those who watch that the log only grows. */
  readonly witnesses?: readonly NoteVerifier[];
  /** How many of them must have signed; by default all. */
  readonly quorum?: number;
}

/** A checkpoint that keeps to a policy. */
export interface ProvenCheckpoint extends Checkpoint {
  readonly extensions: readonly string[];
  /** The checkpoint as it came, with its signatures. */
  readonly note: string;
  /** Which of the log's keys signed. */
  readonly by: readonly NoteProof[];
  /** Which witnesses signed, and when. */
  readonly witnesses: readonly NoteProof[];
}

/**
 * The text of a checkpoint, without signatures.
 *
 * @param checkpoint - origin, size, root
 * @returns three lines, and those of the extensions
 * @throws TypeError or RangeError when a part is not what it must be
 *
 * @example
 * ```ts
 * import { writeCheckpoint } from "@parapet/provenance";
 * const text = writeCheckpoint({ origin: "example.com/log", size: 7, root: new Uint8Array(32) });
 * console.log(text.split("\n").slice(0, 2).join(" ")); // => example.com/log 7
 * ```
 *
 * Source: https://c2sp.org/tlog-checkpoint, "Note text".
 */
export function writeCheckpoint({ origin, size, root, extensions = [] }: Checkpoint): string {
  checkNumber("size", size, { min: 0, max: Number.MAX_SAFE_INTEGER, integer: true });
  if (!(root instanceof Uint8Array) || root.length !== 32) throw new TypeError(expected("root", "32 bytes", root));
  for (const line of [origin, ...extensions]) {
    if (typeof line !== "string" || line === "" || line.includes("\n")) {
      throw new TypeError(expected("origin, extensions", "lines that are not empty", line));
    }
    plainText(line, "checkpoint");
  }
  return `${[origin, size, toBase64(root), ...extensions].join("\n")}\n`;
}

/**
 * Reads the text of a checkpoint: that of a note, or one without signatures. Nothing of it is proven: see `verifyCheckpoint`.
 *
 * @param text - three lines or more
 * @returns the checkpoint
 * @throws `provenance/malformed`, or `provenance/unsupported` for a size of 2^53 or more
 *
 * @example
 * ```ts
 * import { readCheckpoint } from "@parapet/provenance";
 * const { size } = readCheckpoint("example.com/log\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n");
 * console.log(size); // => 20852163
 * ```
 *
 * Source: https://c2sp.org/tlog-checkpoint, "Note text".
 */
export function readCheckpoint(text: string | Uint8Array): Checkpoint & { readonly extensions: readonly string[] } {
  const whole = plainText(text, "checkpoint");
  const body = whole.includes("\n\n") ? readNote(whole).text : whole;
  if (!body.endsWith("\n")) throw malformed("checkpoint expected lines that end");
  const [origin = "", size = "", root = "", ...extensions] = body.slice(0, -1).split("\n");
  if (origin === "" || extensions.includes("")) throw malformed("checkpoint expected lines that are not empty");
  return {
    origin,
    size: decimalOf(size, "size of a checkpoint"),
    root: hashOf(root, "root of a checkpoint"),
    extensions,
  };
}

/**
 * Signs a checkpoint.
 *
 * @param checkpoint - origin, size, root
 * @param signers - of the log; the name of the first should be the origin
 * @returns a note
 * @throws as `writeCheckpoint`
 *
 * @example
 * ```ts
 * import { ed25519Signer } from "@parapet/attestation/small";
 * import { noteSigner, noteVerifier, signCheckpoint, verifyCheckpoint } from "@parapet/provenance";
 * const signer = noteSigner("example.com/log", ed25519Signer(new Uint8Array(32)));
 * const note = await signCheckpoint({ origin: signer.name, size: 7, root: new Uint8Array(32) }, [signer]);
 * const { size } = await verifyCheckpoint(note, { log: await noteVerifier(signer.text) });
 * console.log(size); // => 7
 * ```
 *
 * Source: https://c2sp.org/tlog-checkpoint, "Signatures".
 */
export const signCheckpoint = (checkpoint: Checkpoint, signers: readonly NoteSigner[]): Promise<string> =>
  signNote(writeCheckpoint(checkpoint), signers);

/**
 * Proves that a checkpoint is of the log, and that enough witnesses signed it, or throws.
 *
 * @param note - the checkpoint with its signatures
 * @param policy - keys of the log and of witnesses
 * @returns the checkpoint, and who signed it
 * @throws `provenance/signature` when the log did not sign or a signature is not good; `provenance/policy` when it is of
 *   another log, or fewer witnesses signed than must; `provenance/malformed`
 *
 * @example
 * ```ts
 * import { ed25519Signer } from "@parapet/attestation/small";
 * import { noteSigner, noteVerifier, signCheckpoint, verifyCheckpoint } from "@parapet/provenance";
 * const signer = noteSigner("example.com/log", ed25519Signer(new Uint8Array(32)));
 * const note = await signCheckpoint({ origin: "example.com/log2", size: 7, root: new Uint8Array(32) }, [signer]);
 * const refusal = await verifyCheckpoint(note, { log: await noteVerifier(signer.text) }).catch((error) => error);
 * console.log(refusal.code); // => provenance/policy
 * ```
 *
 * Source: https://c2sp.org/tlog-checkpoint; https://c2sp.org/tlog-cosignature.
 */
export async function verifyCheckpoint(note: string | Uint8Array, policy: LogPolicy): Promise<ProvenCheckpoint> {
  const logs = Array.isArray(policy.log) ? (policy.log as readonly NoteVerifier[]) : [policy.log as NoteVerifier];
  if (logs.length === 0) throw new TypeError(expected("policy.log", "at least one key", logs));
  const { witnesses = [] } = policy;
  const quorum = checkNumber("policy.quorum", policy.quorum ?? witnesses.length, {
    min: 0,
    max: witnesses.length,
    integer: true,
  });
  // What follows the type is the key: under two names it is still one.
  const keys = new Set(
    [...logs, ...witnesses].map(({ text }) => toHex(fromBase64(text.replace(/^[^+]+\+[^+]+\+/, "")).subarray(1))),
  );
  if (keys.size < logs.length + witnesses.length) {
    throw new TypeError('"policy" expected every key once, got one twice: it would count as two');
  }
  const whole = plainText(note, "checkpoint");
  const proven = await verifyNote(whole, [...logs, ...witnesses]);
  const checkpoint = readCheckpoint(proven.text);
  const origin = policy.origin ?? logs[0]!.name;
  if (checkpoint.origin !== origin) {
    throw problem(
      "provenance/policy",
      `checkpoint expected of ${shown(origin)}, got one of ${shown(checkpoint.origin)}`,
    );
  }
  const by = signedBy(proven, logs);
  if (by.length === 0)
    throw problem("provenance/signature", `checkpoint expected a signature of the log ${shown(origin)}`);
  const seen = signedBy(proven, witnesses);
  if (seen.length < quorum) {
    throw problem(
      "provenance/policy",
      `checkpoint expected ${quorum} of ${witnesses.length} witnesses, got ${seen.length}`,
    );
  }
  return { ...checkpoint, note: whole, by, witnesses: seen };
}

const signedBy = ({ by }: ProvenNote, verifiers: readonly NoteVerifier[]) =>
  by.filter(({ key }) => verifiers.some(({ text }) => text === key.text));
