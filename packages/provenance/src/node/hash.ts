import { hash } from "node:crypto";
import type { HashFunction } from "../merkle/tree.ts";

/**
 * SHA-256 by Node, which answers at once: several times as fast as the one in JavaScript.
 *
 * @param data - any bytes
 * @returns 32 bytes
 *
 * @example
 * ```ts
 * import { createDataset } from "@parapet/provenance";
 * import { nodeHash256 } from "@parapet/provenance/node";
 * const { manifest } = await createDataset([{ a: 1 }], { name: "one", hash: nodeHash256 });
 * console.log(manifest.records); // => 1
 * ```
 *
 * Source: FIPS 180-4.
 */
export const nodeHash256: HashFunction = (data) => new Uint8Array(hash("sha256", data, "buffer"));
