export { type ByteSource, fileOf } from "./byte-source.ts";
export type { ContainerErrorCode } from "./errors.ts";
export {
  type ModelJson,
  type ModelJsonOptions,
  readModelJson,
  type WeightEntry,
  type WeightGroup,
} from "./model-json.ts";
export {
  type ExternalDataOptions,
  type ExternalTensor,
  type OnnxExternalData,
  onnxExternalData,
} from "./onnx-external-data.ts";
export {
  readSafetensors,
  type Safetensors,
  type SafetensorsEntry,
  type SafetensorsLimits,
  type SafetensorsType,
} from "./safetensors.ts";
export {
  type ContainerKind,
  refusePickle,
  type SniffedContainer,
  type SniffOptions,
  sniffContainer,
} from "./sniff-container.ts";
