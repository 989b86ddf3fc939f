export { type FunctionOptions, fromFunction, type ModelFunction } from "./from-function.ts";
export { fromGraphModel, type GraphModelLike, type GraphModelOptions } from "./from-graph-model.ts";
export {
  fromLayersModel,
  type LayersModelLike,
  type LayersModelOptions,
  type LayerVariableLike,
} from "./from-layers-model.ts";
export type { TfjsErrorCode } from "./problem.ts";
