import { expected, ParapetError } from "@parapet/core";
import * as tf from "@tensorflow/tfjs-core";

/** What can go wrong in the world of tfjs. */
export type TfjsErrorCode =
  | "tfjs/backend-missing"
  | "tfjs/gradients-missing"
  | "tfjs/kernel-missing"
  | "tfjs/model-disposed"
  | "tfjs/unsupported-model";

/** Waits for the backend that is set, or the best one registered. */
export async function backendReady(): Promise<void> {
  try {
    await tf.ready();
  } catch (cause) {
    throw new ParapetError<TfjsErrorCode>(
      "tfjs/backend-missing",
      expected(
        "backend",
        'one that is set, e.g. import "@tensorflow/tfjs-backend-wasm", await tf.setBackend("wasm")',
        "none",
      ),
      { cause },
    );
  }
}

/** Turns tfjs's own messages for missing gradients and kernels into errors that name the way out. */
export function explained(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (error.message.includes("gradient function not found")) {
    return new ParapetError<TfjsErrorCode>(
      "tfjs/gradients-missing",
      `${error.message} Gradients come with @tensorflow/tfjs or @tensorflow/tfjs-layers: import one of them first.`,
      { cause: error },
    );
  }
  if (/Kernel '.*' not registered/.test(error.message)) {
    const fast = tf.getBackend() === "wasm" ? " Call registerFastGradients() of @parapet/tfjs/fast-wasm first," : "";
    return new ParapetError<TfjsErrorCode>(
      "tfjs/kernel-missing",
      `${error.message}.${fast || " Load it,"} or set another backend.`,
      { cause: error },
    );
  }
  return error;
}
