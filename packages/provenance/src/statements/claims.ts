import { type Envelope, envelopeToJson, fromUtf8, type Json, parseJson, readEnvelope } from "@parapet/attestation";
import { problem } from "../problem.ts";

/** Claims that one file holds at most. */
const MOST = 1000;
/** Bytes of one claim. */
const MOST_BYTES = 1 << 26;

/**
 * The passport of a model: envelopes one to a line, as they lie beside it in `claims.jsonl`. Their order says nothing, and that
 * one is missing shows nowhere: a policy demands those that must be there.
 *
 * @param envelopes - signed statements
 * @returns text for the file
 *
 * @example
 * ```ts
 * import { generateKeyPair, signEvidence } from "@parapet/attestation";
 * import { readClaims, writeClaims } from "@parapet/provenance";
 * const { signer } = await generateKeyPair("ecdsa-p256-sha256");
 * const model = { digest: { sha256: "a".repeat(64) } };
 * const text = writeClaims([await signEvidence({ schema: "urn:example:v1" }, [model], [signer])]);
 * console.log(readClaims(text).length); // => 1
 * ```
 *
 * Source: in-toto attestation framework, "Bundle": https://github.com/in-toto/attestation/blob/main/spec/v1/bundle.md.
 */
export function writeClaims(envelopes: readonly Envelope[]): string {
  return envelopes.map((envelope) => `${JSON.stringify(envelopeToJson(envelope))}\n`).join("");
}

/**
 * Reads claims. Nothing is proven by that; lines that are no envelopes are passed over, as they could only take away.
 *
 * @param source - text, or UTF-8
 * @returns the envelopes
 * @throws ParapetError `provenance/too-large` beyond 1,000 claims or 64 MiB
 *
 * @example
 * ```ts
 * import { readClaims } from "@parapet/provenance";
 * console.log(readClaims("not an envelope\n{}\n").length); // => 0
 * ```
 */
export function readClaims(source: string | Uint8Array): readonly Envelope[] {
  if (source.length > MOST_BYTES) throw problem("provenance/too-large", `claims expected at most 64 MiB, got more`);
  const text = typeof source === "string" ? source : textOf(source);
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length > MOST)
    throw problem("provenance/too-large", `claims expected at most ${MOST}, got ${lines.length}`);
  return lines.flatMap((line) => {
    try {
      return [readEnvelope(parseJson(line, { maxBytes: MOST_BYTES }) as Json)];
    } catch (error) {
      if (String((error as { code?: unknown }).code).startsWith("attestation/")) return [];
      throw error;
    }
  });
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw problem("provenance/malformed", "claims expected UTF-8", { cause });
  }
}
