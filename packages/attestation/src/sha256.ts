import { checkBytes } from "./bytes.ts";
import { subtle } from "./subtle.ts";

/**
 * SHA-256 by the platform.
 *
 * @param bytes - all of them at once: WebCrypto has no streams
 * @returns 32 bytes
 * @throws AttestationError `attestation/unsupported` on a page that is no secure context
 *
 * @example
 * ```ts
 * import { sha256, toHex, toUtf8 } from "@parapet/attestation";
 * console.log(toHex(await sha256(toUtf8("abc"))).slice(0, 16)); // => ba7816bf8f01cfea
 * ```
 *
 * Source: FIPS 180-4.
 */
export async function sha256(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  checkBytes("bytes", bytes);
  return new Uint8Array(await subtle().digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}
