import type { Json } from "@parapet/attestation";
import { ParapetError } from "@parapet/core";
import { kindOf } from "../problem.ts";

/** Why a file of weights was refused. */
export type ContainerErrorCode =
  /** A file that is not what it claims to be, or that two readers could read in two ways. */
  | "model-signing/container-malformed"
  /** A file that asks for more than it may. */
  | "model-signing/container-too-large"
  /** A type, a field or a feature that is not known here. */
  | "model-signing/container-unsupported"
  /** A file that is a program, or holds one: loading it runs what its author wrote. */
  | "model-signing/container-runs-code";

const error = (code: ContainerErrorCode, where: string, expected: string, got: string, options?: ErrorOptions) =>
  new ParapetError(code, `${where} expected ${expected}, got ${got}`, options);

export const malformed = (where: string, expected: string, got: string, options?: ErrorOptions): ParapetError =>
  error("model-signing/container-malformed", where, expected, got, options);

export const tooLarge = (where: string, expected: string, got: string | number, options?: ErrorOptions): ParapetError =>
  error("model-signing/container-too-large", where, expected, String(got), options);

export const unsupported = (where: string, expected: string, got: string): ParapetError =>
  error("model-signing/container-unsupported", where, expected, got);

export const runsCode = (where: string, found: readonly string[]): ParapetError =>
  error(
    "model-signing/container-runs-code",
    where,
    "weights and nothing else",
    `${found.slice(0, 10).join("; ")}${found.length > 10 ? "; ..." : ""}: convert it to safetensors or ONNX where it was made`,
  );

export function objectOf(where: string, value: Json | undefined): Readonly<Record<string, Json>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw malformed(where, "an object", kindOf(value));
  return value as Readonly<Record<string, Json>>;
}
