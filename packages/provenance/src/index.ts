export type { Consent, DatasetFile, DatasetManifest, Field, FieldStatistics } from "./datasets/manifest.ts";
export {
  type Checkpoint,
  type LogPolicy,
  type ProvenCheckpoint,
  readCheckpoint,
  signCheckpoint,
  verifyCheckpoint,
  writeCheckpoint,
} from "./log/checkpoint.ts";
export { type ConsistencySource, compareCheckpoints } from "./log/compare.ts";
export { indexedDbStorage } from "./log/indexed-db-storage.ts";
export { type Log, type LogOptions, openLog } from "./log/log.ts";
export {
  type Note,
  type NoteProof,
  type NoteSignature,
  type ProvenNote,
  readNote,
  signNote,
  verifyNote,
  writeNote,
} from "./log/note.ts";
export {
  type NoteKey,
  type NoteKeyType,
  type NoteSigner,
  type NoteVerifier,
  noteSigner,
  noteVerifier,
} from "./log/note-keys.ts";
export {
  type LogProof,
  type ProvenEntry,
  readLogProof,
  verifyLogProof,
  writeLogProof,
} from "./log/proof.ts";
export { rememberCheckpoint } from "./log/remember.ts";
export type { SplitViewError } from "./log/split-view.ts";
export { type LogStorage, memoryStorage, type StoredObject } from "./log/storage.ts";
export { readBundle, readTilePath, type Tile, type TileLevel, tilePath, writeBundle } from "./log/tiles.ts";
export { createWitness, type Witness } from "./log/witness.ts";
export type { TreeHasher } from "./merkle/hasher.ts";
export type { ProvenanceError, ProvenanceErrorCode } from "./problem.ts";
export type {
  Activity,
  ActivityKind,
  Artefact,
  ArtefactKind,
  CodeVersion,
  Environment,
  RecordsSeen,
  Run,
  Use,
} from "./run.ts";
