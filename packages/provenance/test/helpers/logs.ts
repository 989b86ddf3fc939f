import { toUtf8 } from "@parapet/attestation";
import { type Log, type LogOptions, type LogStorage, openLog } from "@parapet/provenance";
import { createNodeHasher } from "../../src/node/log-hasher.ts";
import { testSigner } from "./keys.ts";

const origin = "example.com/log";
export const signer = testSigner(origin);

/** Opens a log with the key of these tests, and Node's quick hashes and signatures. */
export const open = (storage: LogStorage, options: LogOptions = {}): Promise<Log> =>
  openLog({ ...storage, hasher: createNodeHasher() }, { signer, ...options });

/** The entry that has an index in these tests. */
export const entryOf = (index: number): Uint8Array => toUtf8(`entry ${index}`);

/** Entries from `start` to before `end`. */
export const entriesOf = (start: number, end: number): Uint8Array[] =>
  Array.from({ length: end - start }, (_, i) => entryOf(start + i));
