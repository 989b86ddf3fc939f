import { AttestationError, malformed } from "./errors.ts";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = /* @__PURE__ */ (() => {
  const values = new Int8Array(128).fill(-1);
  for (let i = 0; i < 64; i++) values[LETTERS.charCodeAt(i)] = i;
  return values;
})();

/**
 * Bytes as base64, with padding.
 *
 * @param bytes - any bytes
 * @returns text of `4 * ceil(length / 3)` letters
 *
 * @example
 * ```ts
 * import { toBase64, toUtf8 } from "@parapet/attestation";
 * console.log(toBase64(toUtf8("hello"))); // => aGVsbG8=
 * ```
 *
 * Source: RFC 4648, section 4.
 */
export function toBase64(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let from = 0; from < bytes.length; from += 0x3000) {
    parts.push(btoa(String.fromCharCode(...bytes.subarray(from, from + 0x3000))));
  }
  return parts.join("");
}

/**
 * Reads base64 strictly: with padding, without blanks, and with no bit that could be another one. So a text has one
 * value and a value one text.
 *
 * @param text - base64
 * @returns the bytes
 * @throws AttestationError `attestation/malformed` or `attestation/not-canonical`
 *
 * @example
 * ```ts
 * import { fromBase64, fromUtf8 } from "@parapet/attestation";
 * console.log(fromUtf8(fromBase64("aGVsbG8="))); // => hello
 * ```
 *
 * Source: RFC 4648, sections 3.5 and 4.
 */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  if (text.length % 4 !== 0) throw malformed(`base64 expected a length that is a multiple of 4, got ${text.length}`);
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let to = 0;
  for (let at = 0; at < text.length; at += 4) {
    let word = 0;
    const padded = at + 4 === text.length ? padding : 0;
    for (let i = 0; i < 4; i++) {
      const code = text.charCodeAt(at + i);
      const value = i >= 4 - padded ? 0 : code < 128 ? VALUES[code]! : -1;
      if (value < 0) throw malformed(`base64 expected letters of its alphabet, got another one at ${at + i}`);
      word = (word << 6) | value;
    }
    if ((padded === 1 && (word & 0xff) !== 0) || (padded === 2 && (word & 0xffff) !== 0)) {
      throw new AttestationError("attestation/not-canonical", "base64 expected its last bits to be 0");
    }
    bytes[to++] = word >> 16;
    if (padded < 2) bytes[to++] = (word >> 8) & 255;
    if (padded < 1) bytes[to++] = word & 255;
  }
  return bytes;
}

/**
 * Bytes as hexadecimal digits, lower case.
 *
 * @param bytes - any bytes
 * @returns two digits a byte
 *
 * @example
 * ```ts
 * import { toHex } from "@parapet/attestation";
 * console.log(toHex(Uint8Array.of(1, 171))); // => 01ab
 * ```
 */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/**
 * Reads hexadecimal digits: lower case, two a byte.
 *
 * @param text - digits
 * @returns the bytes
 * @throws AttestationError `attestation/malformed`
 *
 * @example
 * ```ts
 * import { fromHex } from "@parapet/attestation";
 * console.log(fromHex("01ab").join()); // => 1,171
 * ```
 */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) {
    throw malformed("hexadecimal expected pairs of the digits 0-9 and a-f");
  }
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

/**
 * Text as UTF-8.
 *
 * @param text - text without half surrogate pairs
 * @returns the bytes
 * @throws AttestationError `attestation/malformed` when a surrogate stands alone: it has no UTF-8
 *
 * @example
 * ```ts
 * import { toUtf8 } from "@parapet/attestation";
 * console.log(toUtf8("é").join()); // => 195,169
 * ```
 */
export function toUtf8(text: string): Uint8Array<ArrayBuffer> {
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text)) {
    throw malformed("text expected whole characters, got half of a surrogate pair");
  }
  return new TextEncoder().encode(text);
}

/**
 * Reads UTF-8, and nothing but: no byte order mark is taken off, no damage is mended.
 *
 * @param bytes - UTF-8
 * @returns the text
 * @throws AttestationError `attestation/malformed`
 *
 * @example
 * ```ts
 * import { fromUtf8 } from "@parapet/attestation";
 * console.log(fromUtf8(Uint8Array.of(195, 169))); // => é
 * ```
 */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed("text expected UTF-8, got bytes that are none");
  }
}

/**
 * Puts bytes one behind the other.
 *
 * @param parts - any number of them
 * @returns fresh memory
 *
 * @example
 * ```ts
 * import { concatBytes } from "@parapet/attestation";
 * console.log(concatBytes(Uint8Array.of(1), Uint8Array.of(2, 3)).join()); // => 1,2,3
 * ```
 */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * Whether bytes are the same. Not for secrets: the time that it takes tells where they differ.
 *
 * @example
 * ```ts
 * import { equalBytes } from "@parapet/attestation";
 * console.log(equalBytes(Uint8Array.of(1), Uint8Array.of(1))); // => true
 * ```
 */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/**
 * Compares text by its UTF-8 bytes, which is the order of code points; JavaScript's own order is that of UTF-16.
 *
 * @returns below 0, 0 or above 0, for `Array.prototype.sort`
 *
 * @example
 * ```ts
 * import { compareUtf8 } from "@parapet/attestation";
 * console.log(["\u{1f600}", "\uff5e"].sort(compareUtf8)[0] === "\uff5e", "\u{1f600}" < "\uff5e"); // => true true
 * ```
 */
export function compareUtf8(a: string, b: string): number {
  let i = 0;
  while (i < a.length && i < b.length && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  if (i >= a.length || i >= b.length) return a.length - b.length;
  // Surrogates stand for code points above all others.
  const rank = (unit: number) => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit);
  return rank(a.charCodeAt(i)) - rank(b.charCodeAt(i));
}

/** The caller gave something else than bytes. */
export function checkBytes(name: string, value: unknown): void {
  if (!(value instanceof Uint8Array)) throw new TypeError(`"${name}" expected a Uint8Array, got ${typeof value}`);
}
