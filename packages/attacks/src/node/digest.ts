import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import type { Subject } from "../evaluation/evaluation.ts";

/**
 * A model's file as the subject of an evaluation: its name and the SHA-256 of its bytes.
 *
 * @param path - of the file
 * @returns the subject
 * @throws the file system's errors
 *
 * @example
 * ```ts
 * import { mkdtempSync, writeFileSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { subjectOf } from "@parapet/attacks/node";
 * const path = join(mkdtempSync(join(tmpdir(), "parapet-")), "model.onnx");
 * writeFileSync(path, "weights");
 * console.log((await subjectOf(path)).name); // => model.onnx
 * ```
 */
export async function subjectOf(path: string): Promise<Subject> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return { name: basename(path), digest: { sha256: hash.digest("hex") } };
}
