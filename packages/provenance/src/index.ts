export {
  type AbsenceProof,
  type Neighbour,
  type ProvenAbsence,
  proveAbsence,
  readAbsenceProof,
  verifyAbsence,
} from "./datasets/absence.ts";
export { derivedSalt, recordCommitment, saltSecretDigest } from "./datasets/commitment.ts";
export { type CsvOptions, readCsv } from "./datasets/csv.ts";
export { createDataset, type Dataset, type DatasetOptions, type DescribeOptions } from "./datasets/dataset.ts";
export { eraseRecord, isErased } from "./datasets/erase.ts";
export { createIndexStream, type IndexStream, indexStreamDigest } from "./datasets/index-stream.ts";
export { type Pieces, readJsonLines } from "./datasets/json-lines.ts";
export type { Consent, DatasetFile, DatasetManifest, Field, FieldStatistics } from "./datasets/manifest.ts";
export {
  type MembershipProof,
  type ProvenMembership,
  proveMembership,
  readMembershipProof,
  verifyMembership,
} from "./datasets/membership.ts";
export { createProver, type Prover } from "./datasets/prover.ts";
export { manifestId, readManifest } from "./datasets/read-manifest.ts";
export { type DatasetRecord, type FieldsRecord, type FieldValue, recordBytes } from "./datasets/record.ts";
export { verifyCommitments } from "./datasets/roots.ts";
export { type Columns, rowsOf } from "./datasets/rows.ts";
export { type SearchResult, searchRecord } from "./datasets/search.ts";
export { subset } from "./datasets/subset.ts";
export type { FieldNotes } from "./datasets/summary.ts";
export { type CroissantOptions, croissant } from "./exporters/croissant.ts";
export { type CycloneDxOptions, cyclonedx } from "./exporters/cyclonedx.ts";
export { exporters } from "./exporters/index.ts";
export { type ModelCard, type ModelCardOptions, modelCard } from "./exporters/model-card.ts";
export type { ModelFacts } from "./exporters/model-story.ts";
export { type OpenLineageOptions, openlineage } from "./exporters/openlineage.ts";
export { prov } from "./exporters/prov.ts";
export { type SlsaOptions, slsa } from "./exporters/slsa.ts";
export { type SpdxOptions, spdx } from "./exporters/spdx.ts";
export { type GraphNode, type GraphOrder, orderOf } from "./graph.ts";
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
export { type LogProof, type ProvenEntry, readLogProof, verifyLogProof, writeLogProof } from "./log/proof.ts";
export { rememberCheckpoint } from "./log/remember.ts";
export type { SplitViewError } from "./log/split-view.ts";
export { type LogStorage, memoryStorage, type StoredObject } from "./log/storage.ts";
export { readBundle, readTilePath, type Tile, type TileLevel, tilePath, writeBundle } from "./log/tiles.ts";
export { createWitness, type Witness } from "./log/witness.ts";
export type { TreeHasher } from "./merkle/hasher.ts";
export type { HashFunction } from "./merkle/tree.ts";
export type { ProvenanceError, ProvenanceErrorCode } from "./problem.ts";
export { type Difference, diff } from "./questions/diff.ts";
export { type Impact, impact, type RecordQuestion } from "./questions/impact.ts";
export { type Lineage, lineage, type StepOfRun } from "./questions/lineage.ts";
export {
  type ProvenancePolicy,
  type ProvenLineage,
  readProvenancePolicy,
  type SourceRule,
  verify,
} from "./questions/verify.ts";
export type { ArtefactOptions } from "./recorder/artefact.ts";
export { type Journal, memoryJournal } from "./recorder/journal.ts";
export { readRun } from "./recorder/read-run.ts";
export {
  createRecorder,
  type Recorder,
  type RecorderOptions,
  type Step,
  type StepOptions,
} from "./recorder/recorder.ts";
export { createRedactor, isSecretName } from "./recorder/redact.ts";
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
export { readClaims, writeClaims } from "./statements/claims.ts";
export { signManifest, signRun } from "./statements/sign-run.ts";
export { type SummaryOptions, verificationSummary } from "./statements/verification-summary.ts";
export { type LineageHtmlOptions, lineageHtml } from "./views/lineage-html.ts";
export { type LineageTextOptions, lineageText } from "./views/lineage-text.ts";
