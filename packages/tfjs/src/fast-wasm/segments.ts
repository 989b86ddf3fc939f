import type { KernelFunc, NamedAttrMap } from "@tensorflow/tfjs-core";
import { allocate, floats, integers, sizeOf, type WasmBackend } from "./heap.ts";

/** UnsortedSegmentSum: the gradient of a gather, hence of an embedding. Ids outside 0 ... numSegments - 1 are dropped. */
export const unsortedSegmentSum: KernelFunc = (args) => {
  const backend = args.backend as WasmBackend;
  const x = args.inputs.x!;
  const ids = args.inputs.segmentIds!;
  const segments = (args.attrs as NamedAttrMap).numSegments as number;
  const inner = x.shape.slice(ids.shape.length);
  const run = sizeOf(inner);
  const result = allocate(backend, [segments, ...inner]);
  const from = floats(backend, x);
  const to = floats(backend, result);
  to.fill(0);
  let source = 0;
  for (const id of integers(backend, ids)) {
    if (id < 0 || id >= segments) {
      source += run;
      continue;
    }
    for (let at = id * run, end = at + run; at < end; at++) to[at] = to[at]! + from[source++]!;
  }
  return result;
};
