import { fromBase64, type Json } from "@parapet/attestation";
import { closed, object } from "../manifest.ts";
import { problem } from "../problem.ts";

const malformed = (message: string) => problem("model-signing/malformed", message);
/** Whole numbers in their one form, small enough for a time or a place in a log. */
const NUMBER = /^(0|[1-9][0-9]{0,14})$/;
/** A checkpoint: its text, an empty line, signatures. Names are of letters that mean themselves. */
const CHECKPOINT =
  /^([^\n]{1,200})\n(0|[1-9][0-9]{0,14})\n([A-Za-z0-9+/=]{1,100})\n(?:[^\n]{1,200}\n){0,16}\n(?:\u2014 [A-Za-z0-9./:_-]{1,200} [A-Za-z0-9+/=]{1,800}\n){1,16}$/;

/**
 * Holds the log entries and timestamps of a bundle to one form, before a reader sees them that takes many: no unknown fields,
 * base64 and numbers in their one form, and what stands twice the same both times.
 *
 * @param material - the bundle's `verificationMaterial`
 * @returns the names of the logs that have seen the signature, each once
 *
 * Source: https://github.com/sigstore/protobuf-specs, sigstore_rekor.proto; C2SP tlog-checkpoint.
 */
export function checkLogEntries(material: Json): ReadonlySet<string> {
  const { tlogEntries, timestampVerificationData } = object(material, "verificationMaterial");
  const logs = new Set((tlogEntries as readonly Json[]).map(checkEntry));
  if (timestampVerificationData !== undefined) {
    const { rfc3161Timestamps = [] } = closed(timestampVerificationData, "timestampVerificationData", [
      "rfc3161Timestamps",
    ]);
    if (!Array.isArray(rfc3161Timestamps) || rfc3161Timestamps.length > 16)
      throw malformed('"rfc3161Timestamps" expected a list of at most 16');
    for (const one of rfc3161Timestamps)
      base64(closed(one, "timestamp", ["signedTimestamp"]).signedTimestamp, "signedTimestamp");
  }
  return logs;
}

function checkEntry(json: Json): string {
  const entry = closed(json, "log entry", [
    "logIndex",
    "logId",
    "kindVersion",
    "integratedTime",
    "inclusionPromise",
    "inclusionProof",
    "canonicalizedBody",
  ]);
  const place = number(entry.logIndex, "logIndex");
  base64(closed(entry.logId ?? null, "logId", ["keyId"]).keyId, "keyId");
  const { kind, version } = closed(entry.kindVersion ?? null, "kindVersion", ["kind", "version"]);
  if (kind !== "dsse" && kind !== "intoto")
    throw malformed('log entry expected the kind "dsse" or "intoto", as an envelope is signed');
  if (typeof version !== "string") throw malformed('log entry expected a "version"');
  base64(entry.canonicalizedBody, "canonicalizedBody");
  const proof = closed(entry.inclusionProof ?? null, "inclusionProof", [
    "logIndex",
    "rootHash",
    "treeSize",
    "hashes",
    "checkpoint",
  ]);
  const { hashes = [] } = proof;
  if (!Array.isArray(hashes) || hashes.length > 64) throw malformed('"hashes" expected a list of at most 64');
  for (const hash of hashes) base64(hash, "hashes");
  const { envelope } = closed(proof.checkpoint ?? null, "checkpoint", ["envelope"]);
  const [, origin, size, root] = (typeof envelope === "string" ? CHECKPOINT.exec(envelope) : null) ?? [];
  if (origin === undefined) throw malformed("checkpoint expected its text and signatures, each in its one form");
  if (number(proof.treeSize, "treeSize") !== size || base64(proof.rootHash, "rootHash") !== root)
    throw malformed("inclusionProof expected the size and the root of its checkpoint");
  const inTree = number(proof.logIndex, "logIndex");
  if (entry.inclusionPromise !== undefined) {
    base64(
      closed(entry.inclusionPromise, "inclusionPromise", ["signedEntryTimestamp"]).signedEntryTimestamp,
      "signedEntryTimestamp",
    );
    number(entry.integratedTime, "integratedTime");
  } else if (place !== inTree || (entry.integratedTime ?? "0") !== "0") {
    throw malformed(
      "log entry expected nothing that the log does not sign: a time without a promise, or another place",
    );
  }
  // The name of a log that goes on in another tree ends with the number of the tree.
  return origin.replace(/ - [0-9]+$/, "");
}

function number(json: Json | undefined, name: string): string {
  if (typeof json !== "string" || !NUMBER.test(json)) throw malformed(`"${name}" expected a whole number as text`);
  return json;
}

function base64(json: Json | undefined, name: string): string {
  if (typeof json !== "string" || json === "") throw malformed(`"${name}" expected base64`);
  fromBase64(json);
  return json;
}
