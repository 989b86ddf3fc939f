/** One weight in tfjs's `weightSpecs`: the bytes of all of them follow each other in `weightData`. */
export interface LayersWeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  /** `"optimizer"` for the state of a saved optimizer, which is no weight. */
  readonly group?: string | undefined;
  /** How the bytes stand for the values, where they are not the values themselves. */
  readonly quantization?:
    | { readonly dtype: string; readonly scale?: number | undefined; readonly min?: number | undefined }
    | undefined;
}

/**
 * A layers model as tfjs's save handlers give it and `tf.io.fromMemory` takes it: `ModelArtifacts`, met structurally, so
 * that this package does not import tfjs.
 */
export interface LayersModelArtifacts {
  /** The parsed JSON of the topology. */
  readonly modelTopology?: object | undefined;
  readonly weightSpecs?: readonly LayersWeightSpec[] | undefined;
  readonly weightData?: ArrayBuffer | readonly ArrayBuffer[] | undefined;
}

/** An array by shape and values, as `NdArray` is. */
export interface WeightArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}
