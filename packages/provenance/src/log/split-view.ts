import type { ParapetError } from "@parapet/core";
import { type ProvenanceErrorCode, problem } from "../problem.ts";

/** Two histories of one log; `evidence` is what convicts it: two checkpoints with its signatures. */
export type SplitViewError = ParapetError<ProvenanceErrorCode> & { readonly evidence: readonly [string, string] };

/** Two checkpoints of one log that cannot both be true. */
export function splitView(message: string, first: string, second: string, cause?: unknown): SplitViewError {
  const error = problem("provenance/split-view", message, cause === undefined ? undefined : { cause });
  return Object.assign(error, { evidence: [first, second] as const });
}
