import { expected, type NdArray } from "@parapet/core";

/** SHA-256 in lower-case hexadecimal digits. */
export async function sha256(...parts: readonly (string | Uint8Array)[]): Promise<string> {
  const { crypto } = globalThis;
  if (crypto?.subtle === undefined) {
    throw new TypeError(expected("globalThis.crypto", "Web Crypto with subtle (https, or localhost)", crypto));
  }
  const chunks = parts.map((part) => (typeof part === "string" ? new TextEncoder().encode(part) : part));
  const all = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The digest of a test set: SHA-256 of one line of JSON (dtype and shape of `x`, number of labels), then the values of
 * `x` as float32, then the labels as int32, both little-endian.
 */
export function digestOf(x: NdArray, labels: Int32Array): Promise<string> {
  const line = `${JSON.stringify({ dtype: x.dtype, shape: x.shape, labels: labels.length })}\n`;
  return sha256(line, littleEndian(x.data), littleEndian(labels));
}

function littleEndian(values: Float32Array | Int32Array): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] === 1) return bytes;
  const turned = bytes.slice();
  for (let at = 0; at < turned.length; at += 4) turned.subarray(at, at + 4).reverse();
  return turned;
}

/** float32 values as base64 of their little-endian bytes, and back. */
export function toBase64(values: Float32Array): string {
  return base64(littleEndian(values));
}

export function fromBase64(text: string): Float32Array {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length >> 2 }, (_, i) => view.getFloat32(4 * i, true));
}

export function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return btoa(text);
}
