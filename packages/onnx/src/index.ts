export type { Releasable } from "./classifier.ts";
export { convertLayersModel, weightsToArtifacts } from "./convert/layers-model.ts";
export { fromOnnx, type OnnxOptions, toOnnx } from "./from-onnx.ts";
export type { ElementType, Tensor } from "./graph.ts";
export { inspectOnnx } from "./inspect.ts";
export { type AdamOptions, adam, adamw, momentum, type Optimizer, sgd } from "./optimizers.ts";
export type { OnnxErrorCode } from "./problem.ts";
export type { OnnxRuntime, SessionOptions } from "./runtime.ts";
