import { ed25519Signer, ed25519Verifier } from "@parapet/attestation/small";
import { type NoteKeyType, type NoteVerifier, noteSigner, noteVerifier } from "@parapet/provenance";

/** A signer of notes whose key is the same on each run. */
export const testSigner = (name: string, seed = 1, options: { type?: NoteKeyType; now?: () => number } = {}) =>
  noteSigner(name, ed25519Signer(new Uint8Array(32).fill(seed)), options);

/** Its verifier, which works where WebCrypto does not have Ed25519. */
export const verifierOf = (key: { readonly text: string }): Promise<NoteVerifier> =>
  noteVerifier(key.text, ed25519Verifier);

/** The code of the error that a promise rejects with. */
export const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing",
    (error) => error.code ?? error.name,
  );
