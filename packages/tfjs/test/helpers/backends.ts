import * as tf from "@tensorflow/tfjs";
import { type Backend, useBackend } from "../../../../tests/helpers/browser-backends.ts";
import { registerFastGradients } from "../../src/fast-wasm/index.ts";

/** A backend, and whether its slow and missing gradients are registered anew. */
export interface Setting {
  readonly name: string;
  readonly backend: Backend;
  readonly fast: boolean;
  /** False where equal sums round differently from batch to batch. */
  readonly exact: boolean;
  /** True where the tests run shaders in software, slowly. */
  readonly software: boolean;
}

const everywhere: readonly Setting[] = [
  { name: "cpu", backend: "cpu", fast: false, exact: true, software: false },
  { name: "wasm", backend: "wasm", fast: false, exact: true, software: false },
  { name: "fast wasm", backend: "wasm", fast: true, exact: true, software: false },
];
const inBrowsers: readonly Setting[] = [
  { name: "webgl", backend: "webgl", fast: false, exact: true, software: true },
  { name: "webgpu", backend: "webgpu", fast: false, exact: false, software: true },
];

/** The settings that this place has: Node two backends, a browser four. */
export const settings: readonly Setting[] = typeof window === "undefined" ? everywhere : [...everywhere, ...inBrowsers];

/** Sets the backend; returns what undoes it. */
export async function use({ backend, fast }: Setting): Promise<() => void> {
  await useBackend(backend);
  return fast ? registerFastGradients() : () => {};
}

export { tf };
