import { expected, ParapetError } from "@parapet/core";

/** What can go wrong in the world of ONNX. */
export type OnnxErrorCode =
  | "onnx/malformed"
  | "onnx/unsupported"
  | "onnx/too-large"
  | "onnx/no-derivative"
  | "onnx/model-disposed"
  | "onnx/runtime"
  | "onnx/unsupported-model";

/** The error that the bytes are no ONNX file, or a damaged one. */
export function malformed(name: string, expectation: string, got: unknown): ParapetError<OnnxErrorCode> {
  return new ParapetError("onnx/malformed", expected(name, expectation, got));
}

/** The error that a file may be right, yet holds what this engine does not carry. */
export function unsupported(name: string, expectation: string, got: unknown): ParapetError<OnnxErrorCode> {
  return new ParapetError("onnx/unsupported", expected(name, expectation, got));
}

/** The error that a file asks for more than a limit allows. */
export function tooLarge(name: string, expectation: string, got: unknown): ParapetError<OnnxErrorCode> {
  return new ParapetError("onnx/too-large", expected(name, expectation, got));
}

/** A name from a file, as messages quote it: a hostile one may be as long as the file. */
export function brief(name: string): string {
  return name.length > 80 ? `${name.slice(0, 80)}...` : name;
}
