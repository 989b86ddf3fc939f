import { canonicalJson, type Json, toHex } from "@parapet/attestation";
import { type HashFunction, portableHash } from "../merkle/tree.ts";
import { problem } from "../problem.ts";
import { checkManifest } from "./check-manifest.ts";
import type { DatasetManifest } from "./manifest.ts";
import { jsonOf, malformed } from "./strict.ts";

/** Longest text of a manifest. */
export const MOST_BYTES = 1 << 26;

/**
 * Reads a dataset's manifest strictly: unknown members, names twice, figures that contradict each other and paths that lead out
 * of a folder are refused. It is not proof of anything before its identity was compared with one from a trusted place.
 *
 * @param source - JSON as text or UTF-8, at most 64 MiB, at most 64 levels
 * @returns the manifest
 * @throws ParapetError `provenance/malformed` with the member, or `provenance/too-large`
 *
 * @example
 * ```ts
 * import { createDataset, readManifest } from "@parapet/provenance";
 * const { manifest } = await createDataset([{ age: 30 }, { age: 40 }], { name: "ages" });
 * console.log(readManifest(JSON.stringify(manifest)).records); // => 2
 * ```
 */
export function readManifest(source: Uint8Array | string): DatasetManifest {
  return checkManifest(jsonOf("manifest", source, { maxBytes: MOST_BYTES }), malformed);
}

/**
 * The identity of a dataset: "sha256:" and the SHA-256 of its manifest's canonical JSON. One that says anything else is another
 * dataset.
 *
 * @param manifest - from `createDataset` or `readManifest`
 * @param hash - SHA-256; default: in JavaScript
 * @returns "sha256:" and 64 hexadecimal digits
 * @throws ParapetError `provenance/too-large` when `readManifest` would not read it again
 *
 * @example
 * ```ts
 * import { createDataset, manifestId } from "@parapet/provenance";
 * const { manifest } = await createDataset([], { name: "nothing" });
 * console.log(manifestId(manifest).slice(0, 15)); // => sha256:d2b9db09
 * ```
 *
 * Source: RFC 8785 for the bytes.
 */
export function manifestId(manifest: DatasetManifest, hash: HashFunction = portableHash): string {
  return `sha256:${toHex(hash(manifestBytes(manifest)))}`;
}

/** The manifest's canonical JSON. */
export function manifestBytes(manifest: DatasetManifest): Uint8Array {
  const bytes = canonicalJson(manifest as unknown as Json);
  if (bytes.length > MOST_BYTES) {
    throw problem(
      "provenance/too-large",
      `manifest expected at most ${MOST_BYTES} bytes, got ${bytes.length}; list fewer files`,
    );
  }
  return bytes;
}
