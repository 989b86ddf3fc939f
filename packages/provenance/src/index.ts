export type { Consent, DatasetFile, DatasetManifest, Field, FieldStatistics } from "./datasets/manifest.ts";
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
