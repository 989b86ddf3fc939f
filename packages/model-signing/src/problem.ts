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
