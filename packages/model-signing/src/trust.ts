import type { PublicKey } from "@parapet/attestation";
import type { Extensions } from "./extensions.ts";
import type { KeylessIdentity, KeylessVerifier } from "./keyless.ts";

/** Whom to trust: keys, certificates that others lead to, or identities of Sigstore. At least one of them. */
export interface Trust {
  /** PEM of public keys. */
  readonly keys?: readonly string[];
  /** PEM of certificates, one or more in each text. */
  readonly roots?: readonly string[];
  /** Identities of Sigstore, and what proves their signatures; from `keylessTrust` of `./node/keyless`. */
  readonly keyless?: { readonly identities: readonly KeylessIdentity[]; readonly verifier: KeylessVerifier };
  /** Algorithms beside ECDSA that may sign, each with what proves it. Default: none. */
  readonly extensions?: Extensions;
  /** When certificates must be valid; default: now. Those of Sigstore end within minutes: they must be valid when they signed. */
  readonly now?: Date;
}

/** Who signed, as it was proven. */
export interface SignedBy {
  /** The key that signed; of an identity of Sigstore, the one that it used this once. */
  readonly key: PublicKey;
  /** Of a certificate that leads to one of the roots. */
  readonly certificate?: {
    readonly commonName: string;
    readonly fingerprint: string;
    /** Fingerprints of the certificates that lead from this one to a trusted one, that one last. */
    readonly authorities: readonly string[];
  };
  /** Of an identity of Sigstore. */
  readonly identity?: {
    /** Such as an address for mail, or the address of a workflow. */
    readonly identity: string;
    /** Who said that it is this identity. */
    readonly issuer: string;
    readonly fingerprint: string;
    readonly authorities: readonly string[];
    /** When it had signed at the latest, by the log or by a timestamp. */
    readonly signedBefore: Date;
  };
}
