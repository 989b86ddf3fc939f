export { ed25519PublicKey, ed25519Signer, ed25519Verifier } from "./ed25519.ts";
export { sha256 } from "./sha256.ts";
