export {
  compareUtf8,
  concatBytes,
  equalBytes,
  fromBase64,
  fromHex,
  fromUtf8,
  toBase64,
  toHex,
  toUtf8,
} from "./bytes.ts";
export { type Condition, type EvidenceDemand, meetDemands, readDemands } from "./demands.ts";
export {
  type DerNode,
  derChildren,
  readDer,
  readDerBits,
  readDerIdentifier,
  readDerInteger,
  tags,
  writeDer,
} from "./der.ts";
export {
  type Envelope,
  envelopeToJson,
  type ProvenEnvelope,
  preAuthenticationEncoding,
  readEnvelope,
  signEnvelope,
  verifyEnvelope,
} from "./dsse.ts";
export { ecdsaFromDer, ecdsaToDer } from "./ecdsa.ts";
export { AttestationError, type AttestationErrorCode } from "./errors.ts";
export { type Evidence, type ProvenEvidence, signEvidence, verifyEvidence } from "./evidence.ts";
export { canonicalJson, type Json, type JsonLimits, olpcJson, parseJson } from "./json.ts";
export { type Curve, type KeyAlgorithm, type PublicKey, publicKeyFrom, readPublicKey } from "./keys.ts";
export { type PemBlock, parsePem, toPem } from "./pem.ts";
export { sha256 } from "./sha256.ts";
export {
  createSigner,
  createVerifier,
  exportPrivateKey,
  generateKeyPair,
  type KeyPair,
  type Signer,
  type Verifier,
} from "./signer.ts";
export {
  createStatement,
  encodeStatement,
  parseStatement,
  type Statement,
  type Subject,
  statementMediaType,
  statementType,
} from "./statement.ts";
