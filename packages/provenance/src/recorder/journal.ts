import { canonicalJson, fromUtf8, type Json, toHex, toUtf8 } from "@parapet/attestation";
import { checkHex, jsonOf, malformed, membersOf } from "../datasets/strict.ts";
import { portableHash } from "../merkle/tree.ts";
import { problem } from "../problem.ts";

/** Where a run's events are written as they happen. */
export interface Journal {
  /** All that is there. */
  readonly read: () => Promise<Uint8Array>;
  /** Adds bytes at the end; on the disk when it resolves. */
  readonly append: (bytes: Uint8Array) => Promise<void>;
  /** Cuts off what is behind `length` bytes: the line in whose middle a program was killed. */
  readonly truncate: (length: number) => Promise<void>;
}

/**
 * A journal that forgets when the program ends.
 *
 * @param bytes - what is there already
 * @returns the journal
 *
 * @example
 * ```ts
 * import { memoryJournal } from "@parapet/provenance";
 * const journal = memoryJournal();
 * await journal.append(new Uint8Array(3));
 * console.log((await journal.read()).length); // => 3
 * ```
 */
export function memoryJournal(bytes: Uint8Array = new Uint8Array()): Journal {
  let kept = Uint8Array.from(bytes);
  return {
    read: async () => kept.slice(),
    async append(more) {
      const grown = new Uint8Array(kept.length + more.length);
      grown.set(kept);
      grown.set(more, kept.length);
      kept = grown;
    },
    async truncate(length) {
      kept = kept.slice(0, length);
    },
  };
}

/** Bytes of a journal, of a line, and the depth of what stands in it. */
const limits = { journal: 1 << 28, line: 1 << 22, depth: 64 };
const FIRST = "0".repeat(64);

/** Lines, each of which holds the hash of the one before it, so that none can be changed, moved or taken out of the middle. */
export interface Chain {
  readonly events: readonly Json[];
  /** The hash of the last line. */
  readonly head: string;
  /** Bytes of all whole lines. */
  readonly length: number;
}

/** A line for an event behind a hash, and its own hash. */
export function chainLine(event: Json, previous: string): { readonly line: Uint8Array; readonly head: string } {
  const line = toUtf8(`${fromUtf8(canonicalJson({ previous, event }))}\n`);
  return { line, head: toHex(portableHash(line)) };
}

/**
 * Reads the lines of a journal. A last line without an end is what a killed program left, and is passed over; anything else that
 * does not belong there was changed.
 */
export function readChain(bytes: Uint8Array): Chain {
  if (bytes.length > limits.journal)
    throw problem("provenance/too-large", `journal expected at most ${limits.journal} bytes, got ${bytes.length}`);
  const events: Json[] = [];
  let head = FIRST;
  let at = 0;
  for (;;) {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) return { events, head, length: at };
    const line = bytes.subarray(at, end + 1);
    const where = `journal, line ${events.length + 1},`;
    const json = jsonOf(where, line.subarray(0, -1), { maxBytes: limits.line, maxDepth: limits.depth });
    const { previous, event } = membersOf(where, json, ["previous", "event"], malformed);
    checkHex(`${where} previous`, previous, malformed);
    if (previous !== head) {
      throw problem(
        "provenance/changed",
        `${where} expected to follow the line before it, got another: a line was changed`,
      );
    }
    const again = chainLine(event as Json, head);
    if (toHex(portableHash(line)) !== again.head)
      throw problem("provenance/changed", `${where} expected its canonical form, got another`);
    events.push(event as Json);
    head = again.head;
    at = end + 1;
  }
}
