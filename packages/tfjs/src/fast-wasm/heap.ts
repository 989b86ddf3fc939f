import type { DataType, KernelBackend, KernelFunc, TensorInfo } from "@tensorflow/tfjs-core";

/** What these kernels use of the wasm backend, typed by structure so that the backend itself is never imported. */
export interface WasmBackend extends KernelBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array; readonly tfjs: { disposeData(id: number): void } };
  readonly dataIdMap: {
    get(dataId: object): { readonly id: number; readonly memoryOffset: number };
    delete(dataId: object): boolean;
  };
  /** Allocates, or only names the memory at `memoryOffset` (bytes) when that is given. */
  makeOutput(shape: number[], dtype: DataType, memoryOffset?: number): TensorInfo;
  disposeData(dataId: object, force?: boolean): boolean;
}

/** The stock kernels that run on XNNPACK, as they were registered before ours. */
export interface ForwardKernels {
  readonly conv2d: KernelFunc;
  readonly depthwiseConv2d: KernelFunc;
  readonly batchMatMul: KernelFunc;
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

/** A fresh float32 tensor whose contents are undefined. */
export function allocate(backend: WasmBackend, shape: number[]): TensorInfo {
  return backend.makeOutput(shape, "float32");
}

/** The tensor's values in place. Any allocation can grow the heap and detach this: allocate first, look after. */
export function floats(backend: WasmBackend, tensor: TensorInfo): Float32Array {
  return new Float32Array(backend.wasm.HEAPU8.buffer, offsetOf(backend, tensor), sizeOf(tensor.shape));
}

/** The same for int32 tensors, or for the bits of float32 ones. */
export function integers(backend: WasmBackend, tensor: TensorInfo): Int32Array {
  return new Int32Array(backend.wasm.HEAPU8.buffer, offsetOf(backend, tensor), sizeOf(tensor.shape));
}

export function dispose(backend: WasmBackend, ...tensors: TensorInfo[]): void {
  for (const tensor of tensors) backend.disposeData(tensor.dataId);
}

/**
 * A second name for `sizeOf(shape)` values of `tensor` from `start` on. Its data id is fresh, which matters twice: the
 * backend caches packed weights by data id without looking at the shape, and disposing of an id frees what was packed.
 */
export function alias(backend: WasmBackend, tensor: TensorInfo, start: number, shape: number[]): TensorInfo {
  return backend.makeOutput(shape, "float32", offsetOf(backend, tensor) + 4 * start);
}

/** Forgets an alias and leaves the memory, which is not its own, alone. */
export function dropAlias(backend: WasmBackend, tensor: TensorInfo): void {
  const { id } = backend.dataIdMap.get(tensor.dataId);
  backend.wasm.tfjs.disposeData(id);
  backend.dataIdMap.delete(tensor.dataId);
}

function offsetOf(backend: WasmBackend, tensor: TensorInfo): number {
  return backend.dataIdMap.get(tensor.dataId).memoryOffset;
}

/** Writes the transpose of `source` [rows, columns] to `target`: four rows at a time, in strips that stay cached. */
export function transpose(source: Float32Array, target: Float32Array, rows: number, columns: number): void {
  const strip = 64;
  const fours = rows - (rows % 4);
  for (let first = 0; first < columns; first += strip) {
    const end = Math.min(columns, first + strip);
    for (let row = 0; row < fours; row += 4) {
      const a = row * columns;
      const b = a + columns;
      const c = b + columns;
      const d = c + columns;
      for (let column = first, to = first * rows + row; column < end; column++, to += rows) {
        target[to] = source[a + column]!;
        target[to + 1] = source[b + column]!;
        target[to + 2] = source[c + column]!;
        target[to + 3] = source[d + column]!;
      }
    }
    for (let row = fours; row < rows; row++) {
      for (let column = first; column < end; column++) target[column * rows + row] = source[row * columns + column]!;
    }
  }
}
