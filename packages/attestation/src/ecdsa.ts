import { concatBytes } from "./bytes.ts";
import { derChildren, readDer, readDerInteger, tags, writeDer, writeDerInteger } from "./der.ts";
import { malformed } from "./errors.ts";

/**
 * An ECDSA signature as DER, from the two numbers side by side that WebCrypto makes.
 *
 * @param raw - `r` and `s`, each as long as the curve's field
 * @returns a sequence of two whole numbers
 * @throws AttestationError `attestation/malformed` when the halves are not equally long
 *
 * @example
 * ```ts
 * import { ecdsaToDer } from "@parapet/attestation";
 * console.log(ecdsaToDer(Uint8Array.of(0, 1, 255, 2)).join()); // => 48,8,2,1,1,2,3,0,255,2
 * ```
 *
 * Source: RFC 3279, section 2.2.3.
 */
export function ecdsaToDer(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  if (raw.length === 0 || raw.length % 2 !== 0)
    throw malformed(`signature expected two halves, got ${raw.length} bytes`);
  const half = raw.length / 2;
  return writeDer(tags.sequence, writeDerInteger(raw.subarray(0, half)), writeDerInteger(raw.subarray(half)));
}

/**
 * The two numbers of an ECDSA signature side by side, from DER in its one form.
 *
 * @param der - a sequence of two whole numbers
 * @param size - bytes of the curve's field: 32, 48 or 66
 * @returns `r` and `s`, `2 size` bytes
 * @throws AttestationError `attestation/malformed` or `attestation/not-canonical`
 *
 * @example
 * ```ts
 * import { ecdsaFromDer } from "@parapet/attestation";
 * console.log(ecdsaFromDer(Uint8Array.of(48, 8, 2, 1, 1, 2, 3, 0, 255, 2), 2).join()); // => 0,1,255,2
 * ```
 *
 * Source: RFC 3279, section 2.2.3.
 */
export function ecdsaFromDer(der: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const numbers = derChildren(readDer(der), tags.sequence);
  if (numbers.length !== 2) throw malformed(`signature expected two numbers, got ${numbers.length}`);
  const padded = numbers.map((number) => {
    const bytes = readDerInteger(number);
    if (bytes.length > size)
      throw malformed(`signature expected numbers of at most ${size} bytes, got ${bytes.length}`);
    return concatBytes(new Uint8Array(size - bytes.length), bytes);
  });
  return concatBytes(...padded);
}
