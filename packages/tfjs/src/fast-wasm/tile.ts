import type { KernelFunc, NamedAttrMap } from "@tensorflow/tfjs-core";
import { floats, sizeOf, type WasmBackend } from "./heap.ts";

/**
 * Tile, where the result is the whole input again and again: all that batch-norm's gradient asks for, once for every
 * layer, and the stock kernel goes element by element. Copies what is there, so that it doubles each time.
 */
export const tile =
  (stock: KernelFunc): KernelFunc =>
  (args) => {
    const backend = args.backend as WasmBackend;
    const x = args.inputs.x!;
    const reps = (args.attrs as NamedAttrMap).reps as number[];
    // Repeating along an axis repeats the whole when nothing but ones come before it.
    const whole = reps.every((times, axis) => times === 1 || sizeOf(x.shape.slice(0, axis)) === 1);
    if (!whole || x.dtype !== "float32" || sizeOf(reps) === 0) return stock(args);
    const result = backend.makeOutput(
      x.shape.map((length, axis) => length * reps[axis]!),
      "float32",
    );
    const to = floats(backend, result);
    to.set(floats(backend, x));
    for (let filled = sizeOf(x.shape); filled > 0 && filled < to.length; filled *= 2) to.copyWithin(filled, 0, filled);
    return result;
  };
