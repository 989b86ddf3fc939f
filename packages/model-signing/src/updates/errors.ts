import { ParapetError } from "@parapet/core";

/** Why an update was refused. */
export type UpdateErrorCode =
  /** Metadata that does not have its form. */
  | "model-signing/update-malformed"
  /** A version of the specification, or an algorithm, that is not known here. */
  | "model-signing/update-unsupported"
  /** Fewer good signatures of distinct keys than the role needs: an attacker's file, or a key that was taken back. */
  | "model-signing/update-signature"
  /** Something older than what was trusted before. */
  | "model-signing/update-rollback"
  /** Metadata that has expired: new files may be kept from this client (a freeze attack). */
  | "model-signing/update-expired"
  /** A file that is not the one that a trusted file names (a mix-and-match attack). */
  | "model-signing/update-mismatch"
  /** More bytes than a file may have (an endless-data attack). */
  | "model-signing/update-too-large"
  /** A file that could not be fetched, or not in time. */
  | "model-signing/update-unavailable"
  /** No role that may speak for this path names it. */
  | "model-signing/update-unknown-target"
  /** A release that its publisher took back, or that is older than what is allowed now. */
  | "model-signing/update-revoked"
  /** What is kept here says nothing that can be relied on. */
  | "model-signing/update-not-installed";

/** What an update's error says besides its message. */
export interface UpdateProblem {
  /** The role, or the file, that is at fault. */
  readonly role: string;
  readonly expected: string;
  readonly got: string;
}

/** An error of an update: tell it by its `code`. */
export type UpdateError = ParapetError<UpdateErrorCode> & UpdateProblem;

const advice: Readonly<Record<UpdateErrorCode, string>> = {
  "model-signing/update-malformed": "nothing was taken over",
  "model-signing/update-unsupported": "a newer release of this library may know it",
  "model-signing/update-signature": "nothing was taken over; ask the publisher whether its keys changed",
  "model-signing/update-rollback": "the server hands out old files: nothing was taken over",
  "model-signing/update-expired":
    "the publisher must sign it again, or the server holds newer files back; check the clock too",
  "model-signing/update-mismatch": "the server's files do not belong together: nothing was taken over",
  "model-signing/update-too-large": "reading was broken off",
  "model-signing/update-unavailable": "try again later",
  "model-signing/update-unknown-target": "check the path, and which roles may speak for it",
  "model-signing/update-revoked": "do not load it",
  "model-signing/update-not-installed": "update first",
};

export function updateError(
  code: UpdateErrorCode,
  role: string,
  expected: string,
  got: string,
  options?: ErrorOptions,
): UpdateError {
  const message = `${role} expected ${expected}, got ${got}: ${advice[code]}`;
  return Object.assign(new ParapetError(code, message, options), { role, expected, got });
}

/** Whether something thrown is an error of an update. */
export const isUpdateError = (error: unknown): error is UpdateError =>
  String((error as Partial<UpdateError> | undefined)?.code).startsWith("model-signing/update-");
