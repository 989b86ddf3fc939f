import { concatBytes, toBase64 } from "@parapet/attestation";
import { problem, shown } from "../problem.ts";
import type { NoteKey, NoteSigner, NoteVerifier } from "./note-keys.ts";
import { base64Of, malformed, plainText } from "./text.ts";

/** One line under a note. */
export interface NoteSignature {
  /** The name of the key that made it. */
  readonly name: string;
  /** The key's 32 bits. */
  readonly id: number;
  readonly signature: Uint8Array;
}

/** A text with its signatures, none of them proven yet. */
export interface Note {
  /** It ends with the end of a line. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** Who signed a note, proven. */
export interface NoteProof {
  readonly key: NoteKey;
  /** When a witness signed, in seconds since 1970. */
  readonly time?: number;
}

/** A note whose signatures by known keys are all good, and at least one of them is there. */
export interface ProvenNote extends Note {
  readonly by: readonly NoteProof[];
}

/** The specification asks for 16 at least. */
const MAX_SIGNATURES = 100;
const DASH = "\u2014";

/**
 * Reads a signed note. Nothing of it is proven: see `verifyNote`.
 *
 * @param note - text, a blank line, and lines of signatures
 * @returns its parts
 * @throws `provenance/malformed`, or `provenance/too-large` for more than 100 signatures or a megabyte
 *
 * @example
 * ```ts
 * import { readNote } from "@parapet/provenance";
 * const { text, signatures } = readNote("hello\n\n\u2014 example.com/a AAAAAQI=\n");
 * console.log(JSON.stringify(text), signatures[0]?.name, signatures[0]?.id); // => "hello\n" example.com/a 1
 * ```
 *
 * Source: https://c2sp.org/signed-note, "Format".
 */
export function readNote(note: string | Uint8Array): Note {
  const whole = plainText(note, "note");
  const end = whole.lastIndexOf("\n\n");
  if (end < 0 || !whole.endsWith("\n") || end + 2 >= whole.length) {
    throw malformed("note expected a text, a blank line, and lines of signatures");
  }
  const lines = whole.slice(end + 2, -1).split("\n");
  if (lines.length > MAX_SIGNATURES) {
    throw problem("provenance/too-large", `note expected at most ${MAX_SIGNATURES} signatures, got ${lines.length}`);
  }
  // The same line again says nothing more: somebody put it there.
  if (new Set(lines).size < lines.length) throw malformed("note expected each signature once, got one twice");
  return { text: whole.slice(0, end + 1), signatures: lines.map(readSignature) };
}

function readSignature(line: string): NoteSignature {
  const [, name, base64] = /^\u2014 ([^\p{White_Space}+]+) ([A-Za-z0-9+/=]+)$/u.exec(line) ?? [];
  if (name === undefined || base64 === undefined) {
    throw malformed(`note expected signatures of the form "${DASH} name base64", got ${shown(line)}`);
  }
  const bytes = base64Of(base64, "signature of a note");
  if (bytes.length < 5) throw malformed(`signature of a note expected at least 5 bytes, got ${bytes.length}`);
  const { buffer, byteOffset } = bytes;
  return { name, id: new DataView(buffer, byteOffset, 4).getUint32(0), signature: bytes.subarray(4) };
}

/**
 * Writes a note with the signatures that it has.
 *
 * @param note - its text, which ends with the end of a line, and at least one signature
 * @returns the note, which `readNote` reads
 * @throws `provenance/malformed` when it would not be read as what it is
 *
 * @example
 * ```ts
 * import { writeNote } from "@parapet/provenance";
 * const signature = { name: "example.com/a", id: 1, signature: Uint8Array.of(2) };
 * console.log(writeNote({ text: "hello\n", signatures: [signature] }).split("\n")[2]?.slice(2)); // => example.com/a AAAAAQI=
 * ```
 *
 * Source: https://c2sp.org/signed-note, "Format".
 */
export function writeNote({ text, signatures }: Note): string {
  const lines = signatures.map(({ name, id, signature }) => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, id);
    return `${DASH} ${name} ${toBase64(concatBytes(bytes, signature))}\n`;
  });
  const whole = `${text}\n${lines.join("")}`;
  const again = readNote(whole);
  if (again.text !== text || !text.endsWith("\n"))
    throw malformed("note expected a text that ends with the end of a line");
  return whole;
}

/**
 * Signs a text as a note.
 *
 * @param text - lines, the last one ended too, without other control characters
 * @param signers - who signs it, each by a line; a witness signs checkpoints
 * @param signatures - that it already has
 * @returns the note
 * @throws `provenance/malformed` when the text has another form
 *
 * @example
 * ```ts
 * import { ed25519Signer } from "@parapet/attestation/small";
 * import { noteSigner, noteVerifier, signNote, verifyNote } from "@parapet/provenance";
 * const signer = noteSigner("example.com/me", ed25519Signer(new Uint8Array(32)));
 * const note = await signNote("hello\n", [signer]);
 * const { by } = await verifyNote(note, [await noteVerifier(signer.text)]);
 * console.log(by[0]?.key.name); // => example.com/me
 * ```
 *
 * Source: https://c2sp.org/signed-note, "Signatures".
 */
export async function signNote(
  text: string,
  signers: readonly NoteSigner[],
  signatures: readonly NoteSignature[] = [],
): Promise<string> {
  const body = plainText(text, "text");
  if (!body.endsWith("\n")) throw malformed("note expected a text that ends with the end of a line");
  const made = signers.map(async ({ name, id, sign }) => ({ name, id, signature: await sign(body) }));
  return writeNote({ text: body, signatures: [...signatures, ...(await Promise.all(made))] });
}

/**
 * Proves that a note was signed by a known key, or throws. Signatures of unknown keys are passed over; one of a known key that
 * is not good spoils the note, whatever else is under it.
 *
 * @param note - the note
 * @param verifiers - the known keys
 * @returns text, signatures, and which keys signed
 * @throws `provenance/signature`, `provenance/malformed`, `provenance/too-large`
 *
 * @example
 * ```ts
 * import { noteVerifier, verifyNote } from "@parapet/provenance";
 * const key = await noteVerifier("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
 * const line = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=";
 * const { text } = await verifyNote(`This is an example message.\n\n\u2014 example.com/foo ${line}\n`, [key]);
 * console.log(text.trim()); // => This is an example message.
 * ```
 *
 * Source: https://c2sp.org/signed-note, "Signatures".
 */
export async function verifyNote(note: string | Uint8Array, verifiers: readonly NoteVerifier[]): Promise<ProvenNote> {
  const { text, signatures } = readNote(note);
  const by = new Map<NoteVerifier, NoteProof>();
  for (const { name, id, signature } of signatures) {
    for (const verifier of verifiers) {
      if (verifier.name !== name || verifier.id !== id) continue;
      try {
        const { time } = await verifier.verify(text, signature);
        const { type, text: key } = verifier;
        if (!by.has(verifier))
          by.set(verifier, { key: { name, id, type, text: key }, ...(time !== undefined && { time }) });
      } catch (cause) {
        throw problem("provenance/signature", `note expected a good signature of ${shown(name)}, got another one`, {
          cause,
        });
      }
    }
  }
  if (by.size === 0) {
    const known = verifiers.map(({ name }) => name).join(", ");
    throw problem("provenance/signature", `note expected a signature of a known key (${shown(known)}), got none`);
  }
  return { text, signatures, by: [...by.values()] };
}
