export { ed25519phSigner, ed25519phVerifier } from "./ed25519ph.ts";
export { mlDsaSigner, mlDsaVerifier } from "./ml-dsa.ts";
