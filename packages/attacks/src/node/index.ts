export { type CheckpointFile, openCheckpoints } from "./checkpoints.ts";
export { subjectOf } from "./digest.ts";
export { evaluateInWorkers, type WorkersOptions } from "./evaluate-in-workers.ts";
export { type EvaluationModule, evaluationWorker } from "./worker.ts";
