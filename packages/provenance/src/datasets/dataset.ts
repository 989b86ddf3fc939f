import { toHex } from "@parapet/attestation";
import { createPacer, createSecureRng, expected, type Progress, type SecureRng } from "@parapet/core";
import { type HashFunction, portableHash } from "../merkle/tree.ts";
import { problem } from "../problem.ts";
import { checkManifest, MOST_RECORDS } from "./check-manifest.ts";
import { commitmentOf, saltOf, saltSecretDigest, WIDTH } from "./commitment.ts";
import { at } from "./levels.ts";
import type { Consent, DatasetFile, DatasetManifest } from "./manifest.ts";
import { manifestBytes } from "./read-manifest.ts";
import { checkJson, type DatasetRecord, recordBytes } from "./record.ts";
import { rootsOf } from "./roots.ts";
import { createSummary, type FieldNotes } from "./summary.ts";

/** A dataset without its records: what proofs about them are made from. */
export interface Dataset {
  /** To be published, and signed. */
  readonly manifest: DatasetManifest;
  /** Of each record 32 bytes, in the order of the records. They tell nothing about the records. */
  readonly commitments: Uint8Array;
  /** Of each record 32 bytes, to be kept secret: who has a record's salt can see that it was there. All zero: erased. */
  readonly salts: Uint8Array;
}

/** What a manifest says that the records do not. */
export interface DescribeOptions {
  /** 1 to 10,000 characters. */
  readonly name: string;
  readonly version?: string;
  readonly description?: string;
  /** As an SPDX expression. */
  readonly licence?: string;
  readonly consent?: Consent;
  readonly creators?: readonly string[];
  readonly sources?: NonNullable<DatasetManifest["sources"]>;
  readonly citation?: string;
  /** RFC 3339. */
  readonly created?: string;
  readonly notes?: NonNullable<DatasetManifest["notes"]>;
  /** Files with their plain hashes: who can guess a file's contents can see that it is there. For data that is public. */
  readonly files?: readonly DatasetFile[];
}

/** Options of `createDataset`. */
export interface DatasetOptions extends DescribeOptions {
  /** Of fields by their names. */
  readonly fields?: Readonly<Record<string, FieldNotes>>;
  /** Default true. They stand in the manifest, in the clear. */
  readonly statistics?: boolean;
  /** At least 32 bytes: salts are derived from it and the record, see `derivedSalt`. Default: salts are random. */
  readonly secret?: Uint8Array;
  /** Where random salts come from; default: the platform's secure source. */
  readonly rng?: SecureRng;
  /** SHA-256; default: in JavaScript. Node's own is faster: `nodeHash256` of `./node`. */
  readonly hash?: HashFunction;
  /** Stops the call; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called now and then, and at the end. `total` is infinite until the end, unless it is given. */
  readonly onProgress?: (progress: Progress) => void;
  /** Number of records, where it is known. */
  readonly total?: number;
}

/** Salts that are asked for at once. */
const BATCH = 2048;

/** Bytes that grow by doubling. */
function createGrowing() {
  let bytes = new Uint8Array(1024 * WIDTH);
  let length = 0;
  return {
    add(part: Uint8Array) {
      if (length === bytes.length) {
        const grown = new Uint8Array(2 * length);
        grown.set(bytes);
        bytes = grown;
      }
      bytes.set(part, length);
      length += WIDTH;
    },
    whole: () => bytes.slice(0, length),
  };
}

function randomSalts(rng: SecureRng): () => Uint8Array {
  let batch = new Uint8Array();
  let next = 0;
  return () => {
    if (next * WIDTH === batch.length) {
      batch = Uint8Array.from(rng.bytes(BATCH * WIDTH));
      next = 0;
    }
    return at(batch, next++);
  };
}

/** The members of a manifest that say what the caller says. */
export function described(options: DescribeOptions): DescribeOptions {
  const { name, version, description, licence, consent, creators, sources, citation, created, notes, files } = options;
  const all = { name, version, description, licence, consent, creators, sources, citation, created, notes, files };
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined),
  ) as unknown as DescribeOptions;
}

/** Refuses options that would make a manifest which `readManifest` does not read. */
export const mistaken = (message: string): TypeError => new TypeError(message.replace(/^manifest\.?/, "options: "));

/**
 * Commits to records, in one pass: they may be more than memory holds. What is kept is 64 bytes of each, at most 2^25 records.
 *
 * Of each record the manifest has a leaf `recordCommitment(salt, record)` in two trees by RFC 6962: in the order of the records,
 * and in the order of the commitments' bytes. The fields and their statistics are gathered on the way: of numbers and arrays the
 * extremes, the mean and the standard deviation (of the population, over all elements), of fields with up to 100 different values
 * their number, and how often each came, if on average it came at least twice. Numbers that are not finite count as missing.
 *
 * @param records - an array, a generator, any iterable, synchronous or not
 * @param options - what the manifest is to say, and how to work
 * @returns the manifest to publish, the commitments, and the salts to keep secret
 * @throws TypeError for options that no manifest can hold, and as `recordBytes`
 * @throws ParapetError `provenance/too-large` for too many records or fields
 *
 * @example
 * ```ts
 * import { ndArray } from "@parapet/core";
 * import { createDataset, rowsOf } from "@parapet/provenance";
 * const images = ndArray([0, 0.5, 1, 0.5], [2, 2]);
 * const { manifest } = await createDataset(rowsOf({ image: images, label: [3, 8] }), { name: "digits", licence: "CC0-1.0" });
 * console.log(manifest.records, manifest.statistics!.image!.mean); // => 2 0.5
 * ```
 *
 * Source: RFC 6962, section 2.1, for the trees; T. Chan, G. Golub and R. LeVeque, Updating formulae and a pairwise algorithm for
 * computing sample variances (1979), for the moments.
 */
export async function createDataset(
  records: Iterable<DatasetRecord> | AsyncIterable<DatasetRecord>,
  options: DatasetOptions,
): Promise<Dataset> {
  const { hash = portableHash, secret, signal, onProgress, total = Number.POSITIVE_INFINITY } = options;
  const notes =
    secret === undefined ? options.notes : { ...options.notes, saltSecret: toHex(saltSecretDigest(secret)) };
  const about = described(notes === undefined ? options : { ...options, notes });
  const make = (
    rest: Pick<DatasetManifest, "records" | "root" | "sortedRoot" | "fields" | "statistics">,
  ): DatasetManifest => checkManifest({ schema: "urn:parapet:evidence:dataset:v1", ...about, ...rest }, mistaken);
  checkJson("notes", notes ?? null, 0);
  // Options that cannot be are refused before the work, not after it.
  manifestBytes(make({ records: 0, ...rootsOf(new Uint8Array(), portableHash), fields: [] }));
  const nextSalt = secret === undefined ? randomSalts(options.rng ?? createSecureRng()) : undefined;
  const pace = createPacer(signal);
  const [commitments, salts, summary] = [createGrowing(), createGrowing(), createSummary(options.fields)];
  let count = 0;
  for await (const record of iterableOf(records)) {
    if (count === MOST_RECORDS) {
      throw problem(
        "provenance/too-large",
        `records expected at most ${MOST_RECORDS}, got more; make several datasets`,
      );
    }
    const canonical = recordBytes(record);
    const salt = nextSalt === undefined ? saltOf(secret!, canonical) : nextSalt();
    commitments.add(commitmentOf(salt, canonical, hash));
    salts.add(salt);
    summary.add(record);
    if (++count % 64 === 0) await pace();
    if (count % 4096 === 0) onProgress?.({ done: count, total });
  }
  signal?.throwIfAborted();
  const all = commitments.whole();
  const [fields, statistics] = [summary.fields(), summary.statistics()];
  const counted = options.statistics === false ? {} : { statistics };
  const manifest = make({ records: count, ...rootsOf(all, hash), fields, ...counted });
  onProgress?.({ done: count, total: count });
  return { manifest, commitments: all, salts: salts.whole() };
}

function iterableOf<T>(records: Iterable<T> | AsyncIterable<T>): Iterable<T> | AsyncIterable<T> {
  const isIterable =
    typeof records === "object" && records !== null && (Symbol.asyncIterator in records || Symbol.iterator in records);
  if (!isIterable || records instanceof Uint8Array) {
    throw new TypeError(expected("records", "an iterable of records", records));
  }
  return records;
}
