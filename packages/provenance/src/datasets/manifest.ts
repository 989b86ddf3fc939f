import type { Json } from "@parapet/attestation";

/** One column of a table, one kind of feature. */
export interface Field {
  readonly name: string;
  readonly type: "number" | "integer" | "text" | "boolean" | "bytes" | "array" | "other";
  /** Of arrays: the type of their elements and their shape without the batch. */
  readonly dtype?: string;
  readonly shape?: readonly number[];
  readonly description?: string;
  /** Whether it is about persons. */
  readonly personal?: boolean;
}

/** What a field's values are like, over all records that have one; of arrays, over all their elements. */
export interface FieldStatistics {
  /** Records that have a value; it is none where it is null, or a number that is not finite. */
  readonly count: number;
  /** All others. */
  readonly missing: number;
  readonly min?: number;
  readonly max?: number;
  readonly mean?: number;
  /** Of the population: the sum of squares is divided by the number of values. */
  readonly standardDeviation?: number;
  /** Number of distinct values, up to a limit, beyond which it is left out. */
  readonly distinct?: number;
  /** Of fields with few values, how often each came: what classes there are. */
  readonly counts?: Readonly<Record<string, number>>;
}

/** On what ground data may be used. */
export interface Consent {
  /** Such as "consent", "contract", "public", "licence". */
  readonly basis: string;
  /** What it may be used for. */
  readonly purposes?: readonly string[];
  /** RFC 3339: until when. */
  readonly expires?: string;
  readonly notes?: string;
}

/** One file that belongs to a dataset. */
export interface DatasetFile {
  /** Relative, with `/`. */
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly mediaType?: string;
}

/**
 * What a dataset is: its records by two Merkle trees, its files, its fields. A value of JSON; its canonical form (RFC 8785) is
 * hashed, and "sha256:" with that hash is the dataset's identity.
 */
export interface DatasetManifest {
  readonly schema: "urn:parapet:evidence:dataset:v1";
  readonly name: string;
  readonly version?: string;
  readonly description?: string;
  /** Number of records. */
  readonly records: number;
  /** Root of the tree of the records' commitments, in the order of the records; hexadecimal digits. */
  readonly root: string;
  /** Root of the tree of the same commitments in the order of their bytes: shows that something is absent. */
  readonly sortedRoot: string;
  readonly files?: readonly DatasetFile[];
  readonly fields: readonly Field[];
  readonly statistics?: Readonly<Record<string, FieldStatistics>>;
  /** As an SPDX expression. */
  readonly licence?: string;
  readonly consent?: Consent;
  readonly creators?: readonly string[];
  /** Where it came from: addresses, and digests of what lay there. */
  readonly sources?: readonly { readonly uri: string; readonly sha256?: string }[];
  readonly citation?: string;
  /** RFC 3339. */
  readonly created?: string;
  /** Of derived salts `saltSecret`, of subsets `subsetOf` and `indices`, and whatever else is to be kept. */
  readonly notes?: Readonly<Record<string, Json>>;
}
