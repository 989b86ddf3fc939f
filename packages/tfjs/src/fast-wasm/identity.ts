import type { KernelFunc } from "@tensorflow/tfjs-core";
import type { WasmBackend } from "./heap.ts";

/**
 * Identity: a second reference to the same memory, as on the cpu backend, where the stock kernel copies. Every operation on
 * the tape saves its operands by this kernel, so that each activation of a training step would be held twice.
 */
export const identity: KernelFunc = (args) => {
  const { dataId, shape, dtype } = args.inputs.x!;
  (args.backend as WasmBackend).incRef(dataId);
  return { dataId, shape, dtype };
};
