export {
  createRepository,
  type MetadataDraft,
  type Repository,
  type RepositoryOptions,
  type RoleOptions,
} from "./drafts.ts";
export {
  addDelegation,
  addTarget,
  type DelegationOptions,
  removeTarget,
  renewRole,
  rotateKeys,
  type TargetOptions,
} from "./editing.ts";
export type { UpdateError, UpdateErrorCode, UpdateProblem } from "./errors.ts";
export { type Fetcher, type FetchRequest, type HttpFetcherOptions, httpFetcher } from "./fetcher.ts";
export type { Hashes } from "./hashes.ts";
export { indexedDbStore } from "./indexed-db-store.ts";
export {
  type InstalledModel,
  type InstalledModelOptions,
  installedModel,
  type ModelState,
  type UsableModel,
} from "./installed-model.ts";
export type { VerifierOf } from "./keys.ts";
export type { UpdateLimits } from "./limits.ts";
export { compareVersions, type ModelRelease, readRelease, releaseToJson } from "./release.ts";
export {
  type Lifetimes,
  type Release,
  type ReleaseOptions,
  releaseRepository,
  signRole,
  targetFileNames,
} from "./releasing.ts";
export { memoryStore, type UpdateStore } from "./store.ts";
export { type ModelCandidate, type StagedModel, type UpdateModelOptions, updateModel } from "./update-model.ts";
export {
  createUpdater,
  type TargetInfo,
  type TrustedVersions,
  type UpdateCall,
  type Updater,
  type UpdaterOptions,
} from "./updater.ts";
