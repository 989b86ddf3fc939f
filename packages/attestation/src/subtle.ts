import { AttestationError } from "./errors.ts";

/** The platform's cryptography. Pages that were not loaded over https have none. */
export function subtle(): SubtleCrypto {
  const found = globalThis.crypto?.subtle;
  if (found === undefined) {
    throw new AttestationError(
      "attestation/unsupported",
      "this page has no WebCrypto: serve it over https or from localhost, or use @parapet/attestation/small",
    );
  }
  return found;
}
