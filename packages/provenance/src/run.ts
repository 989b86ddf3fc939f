import type { Json } from "@parapet/attestation";

/** What can be made, used, and named by its digest. */
export type ArtefactKind = (typeof artefactKinds)[number];
export const artefactKinds = ["dataset", "model", "code", "report", "file"] as const;

/** Something that a step used or made. The same bytes are the same artefact, whatever they are called. */
export interface Artefact {
  /** "sha256:" and 64 hexadecimal digits: of a file its SHA-256, of a signed model its root digest, of a dataset that of its manifest. */
  readonly id: string;
  readonly kind: ArtefactKind;
  readonly name: string;
  /** Where it can be had, without secrets in it. */
  readonly uri?: string;
  readonly mediaType?: string;
  /** Bytes. */
  readonly size?: number;
  /** Number of records of a dataset. */
  readonly records?: number;
  /** As an SPDX expression. */
  readonly licence?: string;
  readonly description?: string;
  /** Whatever else is to be kept of it. */
  readonly notes?: Readonly<Record<string, Json>>;
}

/** What kind of thing a step did. */
export type ActivityKind = (typeof activityKinds)[number];
export const activityKinds = [
  ...(["load", "filter", "split", "augment", "train", "evaluate", "harden", "distil"] as const),
  ...(["quantise", "export", "other"] as const),
] as const;

/** How steps and runs ended, or that they have not. */
export const states = ["running", "done", "failed", "interrupted"] as const;

/** Which records of a dataset a step saw: all of them, or those of an index stream. */
export type RecordsSeen =
  | { readonly count: number; readonly all: true }
  /** SHA-256 of the indices in the order in which they were seen, each as 4 bytes, little-endian. */
  | { readonly count: number; readonly all: false; readonly indices: string };

/** An artefact in the part that it played in a step. */
export interface Use {
  /** The artefact's `id`. */
  readonly artefact: string;
  /** Such as "training data", "base model", "weights". */
  readonly role: string;
  readonly records?: RecordsSeen;
}

/** One step of a run. */
export interface Activity {
  /** Unlike that of any other step of the run, such as "train-2". */
  readonly id: string;
  readonly kind: ActivityKind;
  readonly name: string;
  /** RFC 3339, UTC. */
  readonly started: string;
  /** Missing while it runs, and of a step that was cut off. */
  readonly finished?: string;
  readonly status: (typeof states)[number];
  readonly used: readonly Use[];
  readonly made: readonly Use[];
  readonly parameters: Readonly<Record<string, Json>>;
  /** Seeds by what they were for. */
  readonly seeds: Readonly<Record<string, number>>;
  readonly metrics: Readonly<Record<string, number>>;
  /** Why it failed, without secrets in it. */
  readonly error?: string;
}

/** Which code ran. */
export interface CodeVersion {
  /** Without a user, a password or a token in it. */
  readonly repository?: string;
  /** Of git. */
  readonly commit?: string;
  /** Whether files differ from the commit. */
  readonly modified?: boolean;
  /** The script, from the root of the repository. */
  readonly entry?: string;
}

/** Where it ran: versions and names, no secrets. */
export interface Environment {
  /** Such as "node 20.20.2". */
  readonly runtime: string;
  /** Such as "linux x64". */
  readonly platform: string;
  readonly processor?: string;
  /** Versions of packages by name. */
  readonly packages: Readonly<Record<string, string>>;
  /** Variables that were asked for. */
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * What a run did: artefacts, and the steps that made them from each other. A value of JSON, and evidence: `signEvidence` makes it
 * a statement about the models that came out.
 */
export interface Run {
  readonly schema: "urn:parapet:evidence:lineage:v1";
  /** A UUID. */
  readonly id: string;
  readonly name: string;
  readonly started: string;
  readonly finished?: string;
  readonly status: (typeof states)[number];
  readonly code: CodeVersion;
  readonly environment: Environment;
  readonly artefacts: readonly Artefact[];
  /** In the order in which they began; some may have run at the same time. */
  readonly activities: readonly Activity[];
}
