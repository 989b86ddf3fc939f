export {
  convertLayersModel,
  type LayersModelArtifacts,
  type LayersWeightSpec,
  type WeightArray,
  type WithWeights,
  weightsToArtifacts,
} from "./convert/layers-model.ts";
export { fromOnnx, type OnnxOptions, toOnnx } from "./from-onnx.ts";
export type { ElementType, Tensor } from "./graph.ts";
export { inspectOnnx, type OnnxSummary, type OnnxValue } from "./inspect.ts";
export type { OnnxClassifier, Releasable } from "./onnx-classifier.ts";
export { type AdamOptions, adam, adamw, momentum, type Optimizer, sgd } from "./optimizers.ts";
export type { OnnxErrorCode } from "./problem.ts";
export type { OnnxRuntime, SessionOptions } from "./runtime.ts";
