/** What can be wrong with something that was to be read or proven. */
export type AttestationErrorCode =
  /** It does not have the form that it claims to have. */
  | "attestation/malformed"
  /** It has more than one form, and this is not the one that is allowed. */
  | "attestation/not-canonical"
  /** It is larger or deeper than what is read. */
  | "attestation/too-large"
  /** An algorithm, version or type that is not known here. */
  | "attestation/unknown"
  /** Known, but this platform cannot do it. */
  | "attestation/unsupported"
  /** A key that cannot be opened, or does not fit. */
  | "attestation/key"
  /** A signature that is not by this key over these bytes. */
  | "attestation/signature"
  /** Fewer good signatures than were asked for. */
  | "attestation/threshold"
  /** A proven statement that says something else than was asked for. */
  | "attestation/statement"
  /** Evidence that was demanded and is not there, or does not say enough. */
  | "attestation/evidence";

/**
 * The world's fault: bytes that are damaged, hostile or signed by somebody else. Tell errors apart by `code`, not by
 * `instanceof`: two copies of this package may be loaded. A caller's mistake is a `TypeError` or `RangeError`.
 *
 * @example
 * ```ts
 * import { AttestationError, fromHex } from "@parapet/attestation";
 * try {
 *   fromHex("abc");
 * } catch (error) {
 *   console.log((error as AttestationError).code); // => attestation/malformed
 * }
 * ```
 */
export class AttestationError extends Error {
  /** What went wrong, as a literal that never changes. */
  readonly code: AttestationErrorCode;

  constructor(code: AttestationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AttestationError";
    this.code = code;
  }
}

export const malformed = (message: string): AttestationError => new AttestationError("attestation/malformed", message);
