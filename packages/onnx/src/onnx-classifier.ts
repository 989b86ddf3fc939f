import type { DifferentiableClassifier, Graphed, Layered, TwiceDifferentiable } from "@parapet/core";

/** A model of onnxruntime; `release` frees its sessions. */
export interface Releasable {
  /** Frees the sessions; calls after it reject. May be called again. */
  release(): Promise<void>;
}

/** A model opened by `fromOnnx`: a white box with layers, a graph and second derivatives. */
export interface OnnxClassifier
  extends DifferentiableClassifier,
    Releasable,
    Layered<OnnxClassifier>,
    Graphed<OnnxClassifier>,
    TwiceDifferentiable {}
