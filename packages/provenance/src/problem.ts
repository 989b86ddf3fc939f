import { ParapetError } from "@parapet/core";

/** Why something of provenance was refused. */
export type ProvenanceErrorCode =
  /** Text or bytes that do not have their form. */
  | "provenance/malformed"
  /** More than may be there. */
  | "provenance/too-large"
  /** A proof that does not hold: of membership, of absence, or that a log only grew. */
  | "provenance/proof"
  /** A signature that is missing, or not good. */
  | "provenance/signature"
  /** Two histories of one log. */
  | "provenance/split-view"
  /** Something that was changed after it was recorded, or is no longer there. */
  | "provenance/changed"
  /** A file that is not there. */
  | "provenance/missing"
  /** Somebody else is writing, or took over. */
  | "provenance/locked"
  /** A graph in which something comes before what it was made from. */
  | "provenance/cycle"
  /** What a policy demands, and is not proven. */
  | "provenance/policy"
  /** A form or an algorithm that is not known here. */
  | "provenance/unsupported";

/** An error of this package: tell it by its `code`. */
export type ProvenanceError = ParapetError<ProvenanceErrorCode>;

/** Says what was expected, what came, and, where that helps, what to do. */
export const problem = (code: ProvenanceErrorCode, message: string, options?: ErrorOptions): ProvenanceError =>
  new ParapetError(code, message, options);

/** Text from outside, so short that no message grows with it. */
export const shown = (text: string): string => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);
