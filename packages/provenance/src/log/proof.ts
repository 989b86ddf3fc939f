import { toBase64 } from "@parapet/attestation";
import { checkNumber, expected } from "@parapet/core";
import { leafHash, verifyInclusion } from "../merkle/tree.ts";
import { type LogPolicy, type ProvenCheckpoint, readCheckpoint, verifyCheckpoint } from "./checkpoint.ts";
import { base64Of, decimalOf, hashOf, malformed, plainText } from "./text.ts";

/** That an entry is in a log: all that it takes to check it, without the log. */
export interface LogProof {
  readonly index: number;
  /** From the entry's neighbour up to the root's child, 32 bytes each. */
  readonly hashes: readonly Uint8Array[];
  /** The checkpoint with its signatures. */
  readonly checkpoint: string;
  /** Something that goes with it and is not protected by anything. */
  readonly extra?: Uint8Array;
}

/** What a proof shows. */
export interface ProvenEntry {
  readonly index: number;
  readonly checkpoint: ProvenCheckpoint;
  /** Not protected by anything: as it came. */
  readonly extra?: Uint8Array;
}

const FIRST = "c2sp.org/tlog-proof@v1";

/**
 * Writes a proof, to be kept as a file ".tlog-proof" beside what it is about.
 *
 * @param proof - such as `log.proofFile` makes
 * @returns the text
 * @throws TypeError or RangeError when a part is not what it must be; `provenance/malformed` for another checkpoint
 *
 * @example
 * ```ts
 * import { writeLogProof } from "@parapet/provenance";
 * const checkpoint = `example.com/log\n1\n${"A".repeat(43)}=\n\n\u2014 example.com/log AAAAAQI=\n`;
 * console.log(writeLogProof({ index: 0, hashes: [], checkpoint }).split("\n")[1]); // => index 0
 * ```
 *
 * Source: https://c2sp.org/tlog-proof, "Format".
 */
export function writeLogProof({ index, hashes, checkpoint, extra }: LogProof): string {
  checkNumber("index", index, { min: 0, max: Number.MAX_SAFE_INTEGER, integer: true });
  const lines = hashes.map((hash) => {
    if (!(hash instanceof Uint8Array) || hash.length !== 32)
      throw new TypeError(expected("hashes", "32 bytes each", hash));
    return toBase64(hash);
  });
  const text = [
    FIRST,
    ...(extra === undefined ? [] : [`extra ${toBase64(extra)}`]),
    `index ${index}`,
    ...lines,
    "",
    checkpoint,
  ];
  const whole = text.join("\n");
  readLogProof(whole);
  return whole;
}

/**
 * Reads a proof. Nothing of it is proven: see `verifyLogProof`.
 *
 * @param text - of a file ".tlog-proof"
 * @returns its parts
 * @throws `provenance/malformed`, `provenance/too-large`, `provenance/unsupported`
 *
 * @example
 * ```ts
 * import { readLogProof } from "@parapet/provenance";
 * const checkpoint = `example.com/log\n1\n${"A".repeat(43)}=\n\n\u2014 example.com/log AAAAAQI=\n`;
 * console.log(readLogProof(`c2sp.org/tlog-proof@v1\nindex 0\n\n${checkpoint}`).index); // => 0
 * ```
 *
 * Source: https://c2sp.org/tlog-proof, "Format".
 */
export function readLogProof(text: string | Uint8Array): LogProof {
  const whole = plainText(text, "log proof");
  const blank = whole.indexOf("\n\n");
  const [first, ...lines] = whole.slice(0, Math.max(blank, 0)).split("\n");
  if (first !== FIRST) throw malformed(`log proof expected the first line ${FIRST} and a blank line`);
  const extra = lines[0]?.startsWith("extra ") ? base64Of(lines.shift()!.slice(6), "extra of a log proof") : undefined;
  const line = lines.shift();
  if (!line?.startsWith("index ")) throw malformed('log proof expected a line "index N"');
  const index = decimalOf(line.slice(6), "index of a log proof");
  if (lines.length > 63) throw malformed(`log proof expected at most 63 hashes, got ${lines.length}`);
  const hashes = lines.map((hash) => hashOf(hash, "hash of a log proof"));
  const checkpoint = whole.slice(blank + 2);
  if (!checkpoint.includes("\n\n")) throw malformed("log proof expected a checkpoint with signatures");
  readCheckpoint(checkpoint);
  return { index, hashes, checkpoint, ...(extra !== undefined && { extra }) };
}

/**
 * Proves that an entry is in a log, offline, or throws: the checkpoint keeps to the policy, and the entry is in its tree.
 *
 * @param text - the proof
 * @param entry - the bytes that were appended
 * @param policy - keys of the log and of witnesses
 * @returns where it is in the log, and the checkpoint
 * @throws `provenance/proof` when it is not that entry; and as `readLogProof` and `verifyCheckpoint`
 *
 * @example
 * ```ts
 * import { ed25519Signer, ed25519Verifier } from "@parapet/attestation/small";
 * import { memoryStorage, noteSigner, noteVerifier, openLog, verifyLogProof } from "@parapet/provenance";
 * const signer = noteSigner("example.com/log", ed25519Signer(new Uint8Array(32)));
 * const log = await openLog(memoryStorage(), { signer, makeVerifier: ed25519Verifier });
 * await log.append([Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)]);
 * const proof = await log.proofFile(1);
 * const policy = { log: await noteVerifier(signer.text, ed25519Verifier) };
 * const { index } = await verifyLogProof(proof, Uint8Array.of(2), policy);
 * console.log(index); // => 1
 * ```
 *
 * Source: https://c2sp.org/tlog-proof; RFC 9162, section 2.1.3.2.
 */
export async function verifyLogProof(
  text: string | Uint8Array,
  entry: Uint8Array,
  policy: LogPolicy,
): Promise<ProvenEntry> {
  if (!(entry instanceof Uint8Array)) throw new TypeError(expected("entry", "bytes", entry));
  const { index, hashes, checkpoint, extra } = readLogProof(text);
  const proven = await verifyCheckpoint(checkpoint, policy);
  verifyInclusion({ index, size: proven.size, hashes }, leafHash(entry), proven.root);
  return { index, checkpoint: proven, ...(extra !== undefined && { extra }) };
}
