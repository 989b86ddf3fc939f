export {
  type AdversarialTrainingOptions,
  type AdversarialTrainingResult,
  adversarialTraining,
  type EpochReport,
  type LabelledData,
  type Training,
  type TrainingContext,
  type TrainingEvent,
} from "./adversarial-training.ts";
export { fastRecipe } from "./fast-recipe.ts";
export { constant, cyclic, ramp, type Schedule } from "./schedules.ts";
