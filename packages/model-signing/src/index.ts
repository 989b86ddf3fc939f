export type { ExtensionName, Extensions } from "./extensions.ts";
export { type FileSource, type ModelEntry, memorySource } from "./file-source.ts";
export type { Hasher, HashName } from "./hashing.ts";
export type { KeylessIdentity, KeylessProof, KeylessVerifier } from "./keyless.ts";
export { type VerifyingFetch, type VerifyingFetchOptions, verifyingFetch } from "./loading/verifying-fetch.ts";
export {
  type LoadedArtifacts,
  type LoadHandler,
  type VerifyingIOHandlerOptions,
  verifyingIOHandler,
} from "./loading/verifying-io-handler.ts";
export type { Form, Manifest, Resource } from "./manifest.ts";
export {
  type PolicyOptions,
  readPolicy,
  type TrustedModel,
  type TrustedSigner,
  type TrustPolicy,
  verifyByPolicy,
} from "./policy.ts";
export type { SigningErrorCode } from "./problem.ts";
export { type SignOptions, signModel } from "./sign.ts";
export type { SignedBy, Trust } from "./trust.ts";
export {
  type ProvenManifest,
  type ProvenModel,
  type VerifyOptions,
  verifyBundle,
  verifyModel,
} from "./verify.ts";
