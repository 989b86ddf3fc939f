import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where vectors lie that are too large for the repository. */
const folder = process.env.PARAPET_VECTORS ?? fileURLToPath(new URL("../../../../../shared/vectors", import.meta.url));

/** Whether they are here; without them their tests count as skipped. */
export const hasVectors = existsSync(join(folder, "oms", "rfc6962"));

export const vector = (...parts: readonly string[]): string => join(folder, "oms", ...parts);

export const hasOpenLineage = existsSync(join(folder, "openlineage"));

export const openLineageVector = (...parts: readonly string[]): string => join(folder, "openlineage", ...parts);
