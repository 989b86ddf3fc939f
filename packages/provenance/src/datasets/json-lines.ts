import { concatBytes } from "@parapet/attestation";
import { problem } from "../problem.ts";
import type { FieldsRecord } from "./record.ts";
import { dictionaryOf, jsonOf, malformed } from "./strict.ts";

/** Longest line, in bytes. */
const MOST_LINE = 1 << 24;

/** Bytes as they come from a file, a body of `fetch`, a blob's stream. */
export type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Lines without their line feeds; the last one where something is in it. */
async function* linesOf(pieces: Pieces): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const add = (part: Uint8Array) => {
    length += part.length;
    if (length > MOST_LINE) throw problem("provenance/too-large", `line expected at most ${MOST_LINE} bytes, got more`);
    // A source may use its memory again.
    parts.push(part.slice());
  };
  for await (const piece of pieces) {
    let from = 0;
    for (let to = piece.indexOf(10); to >= 0; to = piece.indexOf(10, from)) {
      add(piece.subarray(from, to));
      yield concatBytes(...parts);
      [parts, length] = [[], 0];
      from = to + 1;
    }
    if (from < piece.length) add(piece.subarray(from));
  }
  if (length > 0) yield concatBytes(...parts);
}

/**
 * The records of a table in JSON Lines: one object a line, read strictly, as they come.
 *
 * @param pieces - the bytes: UTF-8, lines of at most 16 MiB
 * @returns the records, one after the other
 * @throws ParapetError `provenance/malformed` with the line, `provenance/too-large`
 *
 * @example
 * ```ts
 * import { toUtf8 } from "@parapet/attestation";
 * import { createDataset, readJsonLines } from "@parapet/provenance";
 * const records = readJsonLines([toUtf8('{"age": 30}\n{"age": 40}\n')]);
 * console.log((await createDataset(records, { name: "ages" })).manifest.records); // => 2
 * ```
 *
 * Source: https://jsonlines.org.
 */
export async function* readJsonLines(pieces: Pieces): AsyncGenerator<FieldsRecord> {
  let line = 0;
  for await (const bytes of linesOf(pieces)) {
    const what = `line ${++line}`;
    yield dictionaryOf(what, jsonOf(what, bytes, { maxBytes: MOST_LINE }), malformed) as FieldsRecord;
  }
}
