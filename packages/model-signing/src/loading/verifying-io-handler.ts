import { concatBytes, type Json, parseJson } from "@parapet/attestation";
import { checkNames } from "../names.ts";
import { problem } from "../problem.ts";
import type { Trust } from "../verify.ts";
import { type VerifyingFetchOptions, verifyingFetch } from "./verifying-fetch.ts";

/** What TensorFlow.js loads a model from: its `io.IOHandler`, as far as it is used here. */
export interface LoadHandler {
  readonly load: () => Promise<LoadedArtifacts>;
}

/** What of `io.ModelArtifacts` a model.json holds. */
export interface LoadedArtifacts {
  // TensorFlow.js declares topology and weight specifications as types of its own; it checks them itself.
  // biome-ignore lint/suspicious/noExplicitAny: so that the handler is one for tf.loadLayersModel and tf.loadGraphModel
  readonly [name: string]: any;
  readonly weightData: ArrayBuffer;
}

/** Options of `verifyingIOHandler`. */
export interface VerifyingIOHandlerOptions extends VerifyingFetchOptions {
  /** The file that is loaded first, default "model.json". */
  readonly file?: string;
}

/**
 * Loads a model of TensorFlow.js from signed files only: hand it to `tf.loadLayersModel` or `tf.loadGraphModel`.
 *
 * @param bundle - the signature: bytes or text
 * @param trust - whom to trust
 * @param options - where the model lies
 * @returns a handler; `load` proves model.json and every file of weights before anything of them is used
 * @throws ParapetError as `verifyBundle`; `load` rejects as `verifyingFetch` does, and with `model-signing/malformed` when a
 *   model.json names weights that it cannot have
 *
 * @example
 * ```ts
 * // browser only
 * import { verifyingIOHandler } from "@parapet/model-signing";
 * import * as tf from "@tensorflow/tfjs";
 * const base = "https://example.com/models/digits/";
 * const bundle = await (await fetch(`${base}model.sig`)).text();
 * const key = "-----BEGIN PUBLIC KEY-----...";
 * const model = await tf.loadLayersModel(await verifyingIOHandler(bundle, { keys: [key] }, { base }));
 * ```
 */
export async function verifyingIOHandler(
  bundle: Uint8Array | string,
  trust: Trust,
  options: VerifyingIOHandlerOptions,
): Promise<LoadHandler> {
  const { file = "model.json", base } = options;
  const fetch = await verifyingFetch(bundle, trust, options);
  const bytesOf = async (name: string) => {
    const address = new URL(
      name.split("/").map(encodeURIComponent).join("/"),
      new URL(base, globalThis.location?.href),
    );
    const response = await fetch(address);
    if (!response.ok)
      throw problem(
        "model-signing/missing",
        `${JSON.stringify(name)} expected to be there, got status ${response.status}`,
      );
    return new Uint8Array(await response.arrayBuffer());
  };
  return {
    async load() {
      const { modelTopology, weightsManifest, ...rest } = members(parseJson(await bytesOf(file)));
      if (!Array.isArray(weightsManifest)) throw malformed('"weightsManifest" expected a list');
      const groups = weightsManifest.map((group: Json) => {
        const { paths, weights } = members(group);
        if (!Array.isArray(paths) || !Array.isArray(weights))
          throw malformed("a group of weights expected paths and weights");
        return { paths: paths as readonly Json[], weights: weights as readonly Json[] };
      });
      const folder = file.slice(0, file.lastIndexOf("/") + 1);
      const paths = groups.flatMap((group) => group.paths);
      const strange = paths.find((path) => typeof path !== "string");
      if (strange !== undefined) throw malformed("a path of weights expected to be a text");
      checkNames(paths as readonly string[]);
      const parts: Uint8Array[] = [];
      for (const path of paths as readonly string[]) parts.push(await bytesOf(folder + path));
      return {
        ...rest,
        modelTopology,
        weightSpecs: groups.flatMap(({ weights }) => weights),
        weightData: concatBytes(...parts).buffer,
      };
    },
  };
}

const malformed = (message: string) => problem("model-signing/malformed", `model.json: ${message}`);

function members(json: Json | undefined): Readonly<Record<string, Json>> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw malformed("expected an object");
  return json as Readonly<Record<string, Json>>;
}
