import type { Json } from "@parapet/attestation";
import { ParapetError } from "@parapet/core";

/** Why a model was not signed, or not proven. */
export type SigningErrorCode =
  /** A bundle, a statement or a certificate that does not have its form. */
  | "model-signing/malformed"
  /** A form, algorithm or version that is not known here, or not allowed. */
  | "model-signing/unsupported"
  /** No trusted key or certificate made the signature. */
  | "model-signing/signature"
  /** A certificate that does not lead to a trusted one, or is not valid now. */
  | "model-signing/certificate"
  /** A signature that no log or timestamp authority has seen, or not while its certificate was valid. */
  | "model-signing/log"
  /** A name of a file that could be taken for another one, or lead out of the model. */
  | "model-signing/name"
  /** A link where none is allowed, or something that is no file. */
  | "model-signing/link"
  /** A signed file that is not there. */
  | "model-signing/missing"
  /** A file that nobody signed. */
  | "model-signing/unsigned"
  /** A file that is not as it was signed. */
  | "model-signing/changed"
  /** What a trust policy demands, and is not there. */
  | "model-signing/policy"
  /** A model without files. */
  | "model-signing/empty";

export const problem = (code: SigningErrorCode, message: string, options?: ErrorOptions): ParapetError =>
  new ParapetError(code, message, options);

/** Text from outside, so short that no message grows with it. */
export const shown = (text: string): string => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);

/** What a value of JSON is, in words. */
export function kindOf(value: Json | undefined): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string") return shown(value);
  if (value === null || typeof value !== "object") return String(value);
  return Array.isArray(value) ? "a list" : "an object";
}
