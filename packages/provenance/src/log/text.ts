import { fromBase64, fromUtf8 } from "@parapet/attestation";
import { problem, shown } from "../problem.ts";

/** The longest text of a log that is read: a checkpoint with a hundred signatures is a tenth of it. */
const MAX_TEXT = 1_000_000;

export const malformed = (message: string, cause?: unknown) =>
  problem("provenance/malformed", message, cause === undefined ? undefined : { cause });

/** Text of at most a megabyte, whole characters, with no control character but the end of a line. */
export function plainText(text: string | Uint8Array, what: string): string {
  if (typeof text !== "string" && !(text instanceof Uint8Array)) {
    throw new TypeError(`"${what}" expected text or bytes, got ${typeof text}`);
  }
  if (text.length > MAX_TEXT) {
    throw problem("provenance/too-large", `${what} expected at most ${MAX_TEXT} characters, got ${text.length}`);
  }
  let plain: string;
  try {
    plain = typeof text === "string" ? text : fromUtf8(text);
  } catch (cause) {
    throw malformed(`${what} expected UTF-8, got bytes that are none`, cause);
  }
  if (/\p{Cs}|(?![\n\u007f-\u009f])\p{Cc}/u.test(plain)) {
    throw malformed(`${what} expected text in lines, got a control character or half of a surrogate pair`);
  }
  return plain;
}

/** Base64 in its one form. */
export function base64Of(text: string, what: string): Uint8Array<ArrayBuffer> {
  try {
    return fromBase64(text);
  } catch (cause) {
    throw malformed(`${what} expected base64, got ${shown(text)}`, cause);
  }
}

/** 32 bytes in base64. */
export function hashOf(text: string, what: string): Uint8Array<ArrayBuffer> {
  const hash = base64Of(text, what);
  if (hash.length !== 32) throw malformed(`${what} expected 32 bytes, got ${hash.length}`);
  return hash;
}

/** A whole number in decimal digits, without a zero before them. */
export function decimalOf(text: string, what: string): number {
  if (!/^(0|[1-9][0-9]{0,19})$/.test(text)) {
    throw malformed(`${what} expected decimal digits without a zero in front, got ${shown(text)}`);
  }
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw problem("provenance/unsupported", `${what} expected at most ${Number.MAX_SAFE_INTEGER}, got ${text}`);
  }
  return value;
}
